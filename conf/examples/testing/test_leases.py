# A suite for Python's unittest, whose classes run at the same time, each by a worker in a lease of its
# own:
#
#	python3 test_leases.py
#
# Copy it, keep the end, and change the classes. One class alone:
#
#	portfence run --lease 20 --map 8080 -- python3 -m unittest test_leases.Told

import os
import subprocess
import sys
import unittest
import urllib.request

FIRST = int(os.environ.get("PORTFENCE_FIRST", 0))
LAST = int(os.environ.get("PORTFENCE_LAST", 0))


class Served(unittest.TestCase):
    """What the classes below have in common: a web server for each test."""

    def serve(self, port):
        """Returns the port that the server says it has."""
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "http.server", "-b", "127.0.0.1", str(port)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(server.communicate)
        self.addCleanup(server.terminate)
        said = server.stdout.readline()
        self.assertIn("Serving HTTP", said)
        return int(said.split(" port ")[1].split()[0])

    def get(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.status


class Told(Served):
    """A server that is told its port: of the lease, one is as good as another."""

    def test_one(self):
        self.assertEqual(self.get(self.serve(FIRST)), 200)

    def test_two(self):
        ports = [self.serve(FIRST + i) for i in range(2)]
        self.assertEqual([self.get(port) for port in ports], [200, 200])


class Any(Served):
    """A server that takes any port: it is one of the lease."""

    def test_many(self):
        ports = [self.serve(0) for _ in range(5)]
        self.assertEqual(len(set(ports)), 5)
        for port in ports:
            self.assertTrue(FIRST <= port <= LAST)
            self.assertEqual(self.get(port), 200)


class Fixed(Served):
    """A server that has its port for good: every worker has a port 8080."""

    def test_page(self):
        self.assertEqual(self.serve(8080), 8080)
        self.assertEqual(self.get(8080), 200)

    def test_outside(self):
        # who looks from outside finds it here
        self.serve(8080)
        self.assertTrue(FIRST <= int(os.environ["PORTFENCE_MAP_8080"]) <= LAST)


class FixedToo(Fixed):
    """The same tests, at the same time."""


def work(names):
    run = "portfence run --lease 20 --wait 60 --map 8080 --".split()
    workers = [subprocess.Popen(run + [sys.executable, "-m", "unittest", f"test_leases.{name}"])
               for name in names]
    return max(worker.wait() for worker in workers)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(work(["Told", "Any", "Fixed", "FixedToo"]))
