// Ports for tests that nobody else has meanwhile, for JUnit 5.
//
// Copy this file, give it the package of your tests, and change them so that they take their ports from it:
//
//	@RegisterExtension PortLease ports = new PortLease(2);          // for each test
//	@RegisterExtension static PortLease ports = new PortLease(10);  // for all tests of the class
//
//	@Test void one() { serve(ports.get(0)); }
//
// Elsewhere: try (PortLease ports = new PortLease(2).take()) { ... }. The ports are given back when the
// test or the class ends, and when the process ends, however it ends.
//
// It needs nothing but the command portfence. Where that is not installed, you get an error; or, with
// PORTLEASE_PROBE=1 in the environment, a warning and ports that were free a moment ago.

import java.io.IOException;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.extension.*;

/** Consecutive ports. */
public class PortLease implements BeforeAllCallback, AfterAllCallback, BeforeEachCallback, AfterEachCallback,
		AutoCloseable {
	// so that no lease ends because nobody has kept the object
	private static final Set<Process> HOLDERS = ConcurrentHashMap.newKeySet();
	private final int count;
	private final List<String> command;
	private boolean ofClass, taken;
	private Process holder;
	private int first;

	/**
	 * Options are those of `portfence lease`, such as "--pool", "30000-30999"; with "--name", "db", all
	 * processes that give this name have the same ports.
	 */
	public PortLease(int count, String... options) {
		this.count = count;
		command = new ArrayList<>(List.of("portfence", "lease", "--wait", "60"));
		command.addAll(List.of(options));
		command.add(Integer.toString(count));
	}

	/** The first port is get(0). */
	public int get(int index) {
		if (!taken || index < 0 || index >= count)
			throw new IndexOutOfBoundsException(taken ? "port " + index + " of " + count : "no port is leased yet");
		return first + index;
	}

	/** Takes the ports. If none are free, it waits for a minute. */
	public PortLease take() throws IOException {
		try {
			// the lease ends when this process ends, and with the pipe that is the holder's standard input
			holder = new ProcessBuilder(command).start();
		} catch (IOException missing) {
			first = probe();
			taken = true;
			return this;
		}
		// both end once the block is told
		String block = new String(holder.getInputStream().readAllBytes());
		String why = new String(holder.getErrorStream().readAllBytes());
		if (block.isEmpty())
			throw new IllegalStateException("no ports could be leased: " + why.strip());
		HOLDERS.add(holder);
		first = Integer.parseInt(block.strip().split("-")[0]);
		taken = true;
		return this;
	}

	/** Gives the ports back. End first what listens there. */
	@Override public void close() throws IOException {
		if (holder != null) {
			holder.getOutputStream().close();
			holder.onExit().join();
			HOLDERS.remove(holder);
		}
		taken = false;
	}

	/** The first of ports that nothing listens on now, though another program may take them the moment after. */
	private int probe() {
		if (!"1".equals(System.getenv("PORTLEASE_PROBE")))
			throw new IllegalStateException("the command 'portfence' is not installed, so no port can be leased; "
					+ "install it, or set PORTLEASE_PROBE=1 to look for ports that are free just now");
		System.err.println("warning: portfence is not installed: other programs may take the same ports");
		for (int tries = 0; tries < 1000; tries++) {
			int candidate = ThreadLocalRandom.current().nextInt(20000, 30000 - count);
			List<ServerSocket> sockets = new ArrayList<>();
			try {
				for (int i = 0; i < count; i++)
					sockets.add(new ServerSocket(candidate + i));
				return candidate;
			} catch (IOException inUse) {
				continue;
			} finally {
				for (ServerSocket one : sockets)
					try { one.close(); } catch (IOException ignored) { }
			}
		}
		throw new IllegalStateException("no " + count + " ports in a row are free");
	}

	@Override public void beforeAll(ExtensionContext context) throws IOException {
		ofClass = true;
		take();
	}

	@Override public void afterAll(ExtensionContext context) throws IOException {
		close();
	}

	@Override public void beforeEach(ExtensionContext context) throws IOException {
		if (!ofClass)
			take();
	}

	@Override public void afterEach(ExtensionContext context) throws IOException {
		if (!ofClass)
			close();
	}
}
