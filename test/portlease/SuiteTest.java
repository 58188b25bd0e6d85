// 16 tests for JUnit 5, eight at once, each with a real server on a port of PortLease. If VICTIMS is a test's number, the
// process is killed at any moment of this test, perhaps while it takes a port.

import static org.junit.jupiter.api.Assertions.*;

import java.io.*;
import java.net.ConnectException;
import java.net.Socket;
import org.junit.jupiter.api.*;
import org.junit.jupiter.api.extension.*;
import org.junit.jupiter.api.parallel.*;

@Execution(ExecutionMode.CONCURRENT)
class SuiteTest {
	@RegisterExtension static PortLease block = new PortLease(16);
	// before the ports of the test
	@RegisterExtension @Order(1) BeforeEachCallback dieSoon = (context) -> {
		if (isVictim(context.getDisplayName()))
			new ProcessBuilder(System.getenv("DIE_SOON"), Long.toString(ProcessHandle.current().pid())).start();
	};
	@RegisterExtension @Order(2) PortLease ports = new PortLease(3);

	// the name of a test is "repetition 1 of 16"
	static boolean isVictim(String name) {
		return name.startsWith("repetition " + System.getenv("VICTIMS") + " ");
	}

	// What the server says, once it is there.
	static String ask(int port, String question) throws Exception {
		for (;;) {
			try (Socket connection = new Socket("127.0.0.1", port)) {
				connection.getOutputStream().write(question.getBytes());
				return new BufferedReader(new InputStreamReader(connection.getInputStream())).readLine();
			} catch (ConnectException notYet) {
				Thread.sleep(5);
			}
		}
	}

	@RepeatedTest(16) void server(RepetitionInfo info, TestInfo test) throws Exception {
		int number = info.getCurrentRepetition();
		int port = number % 3 == 0 ? block.get(number - 1) : ports.get(number % 3);
		String kind = number % 2 == 0 ? "nginx" : "redis";
		String token = ProcessHandle.current().pid() + "-" + number;
		Process server = new ProcessBuilder(System.getenv("LEASED_SERVER"), kind, Integer.toString(port), token).start();
		if (kind.equals("redis"))
			assertEquals("+OK", ask(port, "AUTH " + token + "\r\n"));
		else
			assertTrue(ask(port, "GET /" + token + " HTTP/1.0\r\n\r\n").contains(" 200 OK"));
		if (isVictim(test.getDisplayName()))
			server.waitFor();
		server.destroyForcibly().waitFor();
	}

	@Test void error() {
		Exception tooFew = assertThrows(IllegalStateException.class,
				() -> new PortLease(2, "--pool", "21000-21000").take());
		assertTrue(tooFew.getMessage().contains("a lease of 2 ports does not fit into the pool 21000"), tooFew.getMessage());
		assertThrows(IndexOutOfBoundsException.class, () -> new PortLease(2).get(0));
	}
}
