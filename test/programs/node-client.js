// node-client.js ADDRESS PORT: has a word echoed with net and with dgram.
"use strict";
const dgram = require("dgram");
const net = require("net");

const [address, port] = process.argv.slice(2);

function expect(got, wanted) {
	if (got !== wanted) {
		console.error(`got '${got}' for '${wanted}'`);
		process.exit(1);
	}
}

const stream = net.connect(port, address, () => stream.end("hello"));
stream.on("data", (data) => expect(String(data), "hello"));

const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
socket.on("message", (data) => {
	expect(String(data), "hello");
	socket.close();
});
socket.send("hello", port, address);
