// Eight tests at once for node:test, each with a real server on a port of portlease.cjs. NUMBER is in
// the file's name, NUMBER.test.cjs; of three files, the second kills its process once all of
// its servers are there.

"use strict";
const { test } = require("node:test");
const assert = require("node:assert");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const { lease, portFor, portsFor } = require("./portlease.cjs");

const file = parseInt(path.basename(__filename));
let answered = 0;

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

function die() {
	fs.appendFileSync(path.join(process.env.LEDGER, "killed"), `${process.pid}\n`);
	process.kill(process.pid, "SIGKILL");
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
	answered++;
	if (file % 3 === 1) {
		if (answered === 8) die();
		await new Promise(() => {});
	}
	server.kill("SIGKILL");
	await ended;
}

test("servers", { concurrency: 8 }, async (suite) => {
	const tests = [];
	for (let number = 0; number < 8; number++)
		tests.push(suite.test(`server ${number}`, async (t) => {
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
