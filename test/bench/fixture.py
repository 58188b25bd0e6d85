"""What a fixture of pytest does with conf/examples/testing/portlease.py, without pytest: for each byte on
standard input, it takes a port, gives it back, and answers with a byte."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/examples/testing"))
import portlease  # noqa: E402

while os.read(0, 1):
    with portlease.Lease() as (_,):
        pass
    os.write(1, b".")
