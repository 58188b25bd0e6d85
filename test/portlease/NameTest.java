// A test for JUnit 5 that prints the ports of the lease 'db'.

import org.junit.jupiter.api.*;
import org.junit.jupiter.api.extension.*;

class NameTest {
	@RegisterExtension PortLease ports = new PortLease(3, "--name", "db");

	@Test void name() {
		System.out.println("ports: " + ports.get(0) + " " + ports.get(1) + " " + ports.get(2));
	}
}
