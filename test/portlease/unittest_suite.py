"""For unittest: ports for a test, given back after it; and what is said if there are none."""

import subprocess
import unittest

import portlease


def leased():
    return subprocess.run(["portfence", "leases"], capture_output=True, text=True, check=True).stdout


class Leases(unittest.TestCase):
    def test_scope(self):
        with portlease.Lease(2) as (one, two):
            self.assertEqual(two, one + 1)
            self.assertIn(f"\n{one}-{two} ", leased())
        self.assertNotIn(f"\n{one}-{two} ", leased())

    def test_not_kept(self):
        port = portlease.Lease()[0]
        self.assertIn(f"\n{port}-{port} ", leased())

    def test_options_and_error(self):
        with portlease.Lease(1, "--pool", "21000-21000") as (port,):
            self.assertEqual(port, 21000)
        with self.assertRaisesRegex(RuntimeError, "a lease of 2 ports does not fit into the pool 21000"):
            portlease.Lease(2, "--pool", "21000-21000")
