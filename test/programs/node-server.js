// node-server.js ADDRESS: echoes, with net and dgram, on ports that the system chooses.
"use strict";
const dgram = require("dgram");
const net = require("net");

const [address] = process.argv.slice(2);
const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");

socket.on("message", (data, peer) => socket.send(data, peer.port, peer.address));
socket.bind(0, address);
net.createServer((stream) => stream.pipe(stream)).listen(0, address);
