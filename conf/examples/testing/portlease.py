# Ports for tests that nobody else has meanwhile: a plugin for pytest, and a class for unittest.
#
# Copy this file beside conftest.py, write there
#
#	pytest_plugins = ["portlease"]
#
# and change your tests so that they take their ports from these fixtures:
#
#	def test_one(port): ...           # a port, for this test
#	def test_two(ports): ...          # web, database = ports(2): as many as you want, for this test
#	def test_three(port_block): ...   # port_block[0] to [19], for all tests of this process
#
# With pytest-xdist each worker is a process, and has a port_block of its own. In unittest, and elsewhere:
#
#	with portlease.Lease(2) as (web, database): ...
#
# It needs nothing but the command portfence. Where that is not installed, you get an error; or, with
# PORTLEASE_PROBE=1 in the environment, a warning and ports that were free a moment ago.

import os
import random
import socket
import subprocess
import warnings

try:
    import pytest
except ImportError:
    pytest = None

BLOCK = 20  # how many ports a port_block has
holders = set()  # so that no lease ends because nobody has kept the object


class Lease(list):
    """A list of consecutive ports, yours until free() is called or this process ends, however it ends.

    Options are those of `portfence lease`, such as "--pool", "30000-30999"; with "--name", "db", all
    processes that give this name have the same ports. If no ports are free, it waits for a minute.
    """

    def __init__(self, count=1, *options):
        command = ["portfence", "lease", "--wait", "60", *options, str(count)]
        self.holder = None
        try:
            # the lease ends when this pipe ends, and when this process ends
            holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            super().__init__(probe(count))
            return
        block = holder.stdout.readline()
        if not block:
            with holder:
                raise RuntimeError(f"no ports could be leased: {holder.stderr.read().strip()}")
        self.holder = holder
        holders.add(holder)
        first, _, last = block.strip().partition("-")
        super().__init__(range(int(first), int(last or first) + 1))

    def free(self):
        """Gives the ports back. End first what listens there."""
        if self.holder:
            with self.holder:
                self.holder.terminate()
            holders.remove(self.holder)
            self.holder = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.free()


def probe(count):
    """Ports that nothing listens on now, though another program may take them the moment after."""
    if os.environ.get("PORTLEASE_PROBE") != "1":
        raise RuntimeError("the command 'portfence' is not installed, so no port can be leased; install it, "
                           "or set PORTLEASE_PROBE=1 to look for ports that are free just now")
    warnings.warn("portfence is not installed: other programs may take the same ports")
    for first in random.sample(range(20000, 30000 - count), 1000):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for i, one in enumerate(sockets):
                one.bind(("", first + i))
            return range(first, first + count)
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise RuntimeError(f"no {count} ports in a row are free")


if pytest:
    @pytest.fixture
    def port():
        with Lease() as (only,):
            yield only

    @pytest.fixture
    def ports():
        leases = []

        def take(count, *options):
            leases.append(Lease(count, *options))
            return leases[-1]
        yield take
        for lease in leases:
            lease.free()

    @pytest.fixture(scope="session")
    def port_block():
        with Lease(BLOCK) as block:
            yield block
