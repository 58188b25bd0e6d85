// Eight tests at once for node:test, each with a real server on a port of portlease.cjs. NUMBER is in
// the file's name, NUMBER.test.cjs; in the files whose numbers are in $VICTIMS, the process is killed at
// any moment of one of its tests, perhaps while it takes a port.

"use strict";
const { test } = require("node:test");
const assert = require("node:assert");
const { spawn } = require("node:child_process");
const net = require("node:net");
const path = require("node:path");
const { lease, portFor, portsFor } = require("./portlease.cjs");

const file = String(parseInt(path.basename(__filename)));
const dying = process.env.VICTIMS.split(" ").includes(file) ? Math.floor(Math.random() * 8) : -1;

// What the server says, once it is there.
function ask(port, question) {
	return new Promise((resolve, reject) => {
		const connection = net.connect(port, "127.0.0.1", () => connection.write(question));
		connection.once("data", (answer) => {
			connection.destroy();
			resolve(String(answer).split("\r\n")[0]);
		});
		connection.once("error", (error) => {
			if (error.code === "ECONNREFUSED") setTimeout(() => resolve(ask(port, question)), 5);
			else reject(error);
		});
	});
}

async function serveOnce(number, port) {
	const kind = ["nginx", "redis"][number % 2];
	const token = `${process.pid}-${number}`;
	const server = spawn(process.env.LEASED_SERVER, [kind, port, token]);
	const ended = new Promise((resolve) => server.once("exit", resolve));
	if (kind === "redis")
		assert.strictEqual(await ask(port, `AUTH ${token}\r\n`), "+OK");
	else
		assert.match(await ask(port, `GET /${token} HTTP/1.0\r\n\r\n`), / 200 OK/);
	if (number === dying) await new Promise(() => {});
	server.kill("SIGKILL");
	await ended;
}

test("servers", { concurrency: 8 }, async (suite) => {
	const tests = [];
	for (let number = 0; number < 8; number++)
		tests.push(suite.test(`server ${number}`, async (t) => {
			if (number === dying) spawn(process.env.DIE_SOON, [process.pid]);
			await serveOnce(number, number % 2 ? await portFor(t) : (await portsFor(t, 3))[2]);
		}));
	await Promise.all(tests);
});

test("errors", async () => {
	await assert.rejects(lease(2, "--pool", "21000-21000"),
		/a lease of 2 ports does not fit into the pool 21000/);
	process.env.PATH = "/nowhere";
	await assert.rejects(lease(3), /'portfence' is not installed/);
	process.env.PORTLEASE_PROBE = "1";
	assert.strictEqual((await lease(3)).length, 3);
});
