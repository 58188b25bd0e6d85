// The types of portlease.cjs, for TypeScript: copy it beside that, and change nothing.

/** Consecutive ports that nobody else has until free() is called or this process ends. */
export interface Lease extends Array<number> {
	/** Gives the ports back. End first what listens there. */
	free(): Promise<void>;
}

/** What a test of node:test (after) or of Vitest (onTestFinished) is given. */
export type TestContext = { after(done: () => unknown): unknown } | { onTestFinished(done: () => unknown): unknown };

/** Takes ports (default: 1). Options are those of `portfence lease`. */
export function lease(count?: number, ...options: string[]): Promise<Lease>;
/** Takes ports for one test, and gives them back when it ends. */
export function portsFor(test: TestContext, count: number, ...options: string[]): Promise<Lease>;
/** Takes one port for one test, and gives it back when it ends. */
export function portFor(test: TestContext, ...options: string[]): Promise<number>;
