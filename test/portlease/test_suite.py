"""200 tests for pytest, each with a real server on a port of portlease.py. In those whose numbers are in $VICTIMS,
the worker is killed at any moment, perhaps while it takes the port."""

import os
import signal
import socket
import subprocess
import time

import portlease
import pytest

SERVER = os.environ["LEASED_SERVER"]
VICTIMS = [int(number) for number in os.environ["VICTIMS"].split()]


def ask(server, port, question):
    """What the server says, once it is there."""
    while server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(question)
                return connection.recv(100).split(b"\r\n")[0]
        except ConnectionRefusedError:
            time.sleep(0.005)
    return b""


def serve_once(number, port):
    """Starts a server, and is answered by that one."""
    kind = "http" if number % 10 == 0 else ("nginx", "redis")[number % 2]
    token = f"{os.getpid()}-{number}"
    with subprocess.Popen([SERVER, kind, str(port), token]) as server:
        if kind == "redis":
            assert ask(server, port, f"AUTH {token}\r\n".encode()) == b"+OK"
        else:
            assert b" 200 OK" in ask(server, port, f"GET /{token} HTTP/1.0\r\n\r\n".encode())
        assert server.poll() is None
        if number in VICTIMS:
            signal.pause()
        server.kill()


@pytest.fixture
def dying(number):
    if number in VICTIMS:
        subprocess.Popen([os.environ["DIE_SOON"], str(os.getpid())])


@pytest.mark.parametrize("number", range(200))
def test_server(number, dying, port, ports, port_block):
    serve_once(number, (port, ports(3)[2], port_block[number % len(port_block)])[number % 3])


def test_no_portfence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="'portfence' is not installed.*PORTLEASE_PROBE=1"):
        portlease.Lease(3)
    monkeypatch.setenv("PORTLEASE_PROBE", "1")
    with pytest.warns(UserWarning, match="portfence is not installed"):
        with portlease.Lease(3) as probed:
            assert len(probed) == 3
