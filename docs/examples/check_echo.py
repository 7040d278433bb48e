#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_echo.py - runs the echo example, talks to it, and stops it: by SIGTERM and by SIGINT.

    check_echo.py <program> [<argument>...]

Exits with 77, which ctest takes for "skipped", where its port is in use by somebody else.
"""

import os
import signal
import socket
import subprocess
import sys
import time

ADDRESS = ("127.0.0.1", 8080)
PATIENCE = 60 * float(os.environ.get("ROTA_TEST_TIMEOUT_SCALE", "1"))


def port_is_free():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(ADDRESS)
        except OSError:
            return False
    return True


def connect(process):
    """A connection, once the program listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(ADDRESS, timeout=PATIENCE)
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.01)


def exchange(connection, data):
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        piece = connection.recv(65536)
        assert piece, "the connection ended early"
        received += piece
    assert received == data, "not what was sent"


def is_refused():
    try:
        socket.create_connection(ADDRESS, timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except (ConnectionResetError, ConnectionAbortedError):  # it came just before the end
        return False
    return False


def talk(process):
    connections = [connect(process) for _ in range(20)]
    for number, connection in enumerate(connections):
        exchange(connection, b"hello %d\n" % number)
    exchange(connections[0], bytes(range(256)) * 300)
    for connection in connections[1:]:
        connection.close()
    process.send_signal(signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while not is_refused():
        assert time.monotonic() < end, "it accepts after SIGTERM"
        time.sleep(0.01)
    assert process.poll() is None, "it has left its client alone"
    exchange(connections[0], b"still here\n")
    connections[0].close()
    status = process.wait(PATIENCE)
    assert status == 0, f"it ended with {status}"


def fail_on_a_busy_port(command):
    """It says in one line what went wrong."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 1, f"on a busy port it ended with {result.returncode}"
    # A slow machine may have more to say: what took long.
    lines = [line for line in result.stderr.splitlines() if not line.startswith("rota: ")]
    assert lines == ["echo: Address already in use (EADDRINUSE)"], result.stderr


def interrupt(process):
    """SIGINT does not wait for clients, and is no failure to report."""
    with connect(process) as connection:
        exchange(connection, b"hello\n")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT, f"it ended with {process.returncode}"
    assert errors == b"", errors


def main():
    if not port_is_free():
        return 77
    command = sys.argv[1:]
    # Whoever starts this may ignore SIGINT, which a program inherits; what is handled it does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command) as process:
        try:
            connect(process).close()
            fail_on_a_busy_port(command)
            talk(process)
        finally:
            process.kill()
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            interrupt(process)
        finally:
            process.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
