// Ports for tests that nobody else has meanwhile, for node:test, Jest, Vitest and Mocha.
//
// Copy this file, and portlease.d.cts for TypeScript, and change your tests so that they take their
// ports from it. In node:test, and in Vitest with the test's context:
//
//	const { portFor, portsFor } = require("./portlease.cjs"); // import does as well
//	test("one", async (t) => { const port = await portFor(t); ... });
//	test("two", async (t) => { const [web, database] = await portsFor(t, 2); ... });
//
// The ports are given back when the test ends. In Jest and Mocha:
//
//	let ports;
//	beforeEach(async () => { ports = await lease(2); }); // ports[0], ports[1]
//	afterEach(() => ports.free());
//
// and with beforeAll and afterAll (Mocha: before and after) for all tests of a file. They are given
// back, too, when the process ends, however it ends.
//
// It needs nothing but the command portfence. Where that is not installed, you get an error; or, with
// PORTLEASE_PROBE=1 in the environment, a warning and ports that were free a moment ago.

"use strict";
const { spawn } = require("node:child_process");
const net = require("node:net");

// Consecutive ports, with a function free() beside them. Options are those of `portfence lease`, such
// as "--pool", "30000-30999"; with "--name", "db", all processes that give this name have the same
// ports. If no ports are free, it waits for a minute.
async function lease(count = 1, ...options) {
	const holder = spawn("portfence", ["lease", "--wait", "60", ...options, String(count)]);
	// the lease ends when the pipe `holder.stdin` ends, and when this process ends
	const ended = new Promise((resolve) => holder.once("close", resolve));
	let block = "", why = "";
	holder.stdout.on("data", (text) => { block += text; });
	holder.stderr.on("data", (text) => { why += text; });
	try {
		// both end once the block is told
		await new Promise((resolve, reject) => {
			holder.once("error", reject);
			holder.stdout.once("end", resolve);
		});
	} catch (error) {
		if (error.code !== "ENOENT") throw error;
		return Object.assign(await probe(count), { free: async () => {} });
	}
	if (!block) {
		await ended;
		throw new Error(`no ports could be leased: ${why.trim()}`);
	}
	// a lease that is not given back keeps no process from its end
	holder.unref();
	holder.stdin.unref();
	return Object.assign(consecutive(parseInt(block), count), {
		async free() {
			holder.ref();
			holder.stdin.end();
			await ended;
		},
	});
}

// Ports for one test, given back when it ends.
async function portsFor(test, count, ...options) {
	const ports = await lease(count, ...options);
	(test.onTestFinished ?? test.after).call(test, () => ports.free());
	return ports;
}

async function portFor(test, ...options) {
	return (await portsFor(test, 1, ...options))[0];
}

function consecutive(first, count) {
	return Array.from({ length: count }, (_, i) => first + i);
}

// Ports that nothing listens on now, though another program may take them the moment after.
async function probe(count) {
	if (process.env.PORTLEASE_PROBE !== "1")
		throw new Error("the command 'portfence' is not installed, so no port can be leased; install it, " +
			"or set PORTLEASE_PROBE=1 to look for ports that are free just now");
	process.emitWarning("portfence is not installed: other programs may take the same ports");
	for (let tries = 0; tries < 1000; tries++) {
		const ports = consecutive(20000 + Math.floor(Math.random() * (10000 - count)), count);
		const servers = ports.map((port) => net.createServer().listen(port));
		const free = await Promise.all(servers.map((server) => new Promise((resolve) => {
			server.once("listening", () => server.close(() => resolve(true)));
			server.once("error", () => resolve(false));
		})));
		if (free.every(Boolean)) return ports;
	}
	throw new Error(`no ${count} ports in a row are free`);
}

module.exports = { lease, portsFor, portFor };
