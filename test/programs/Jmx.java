// Jmx serve: a program with a JMX server, which ends with its input. Jmx ask PORT: asks it for its threads.
import java.lang.management.ManagementFactory;
import javax.management.ObjectName;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

public class Jmx {
	public static void main(String[] args) throws Exception {
		if (args[0].equals("serve")) {
			Thread.sleep(Long.MAX_VALUE);
		}
		String url = "service:jmx:rmi:///jndi/rmi://127.0.0.1:" + args[1] + "/jmxrmi";
		try (var connector = JMXConnectorFactory.connect(new JMXServiceURL(url))) {
			Object count = connector.getMBeanServerConnection().getAttribute(
				new ObjectName(ManagementFactory.THREAD_MXBEAN_NAME), "ThreadCount");
			System.out.println((int) count > 0 ? "threads" : "none");
		}
	}
}
