#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""http_service_test.py - the HTTP example as its clients meet it: right, wrong, slow, many, gone.

Usage: http_service_test.py SERVICE [unittest arguments]. H71, and malformed requests.
"""
import array
import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest

SERVICE = None
PATIENCE = 60 * float(os.environ.get("ROTA_TEST_TIMEOUT_SCALE", "1"))
BIG = b"0123456789abcdef" * 65536 * 8  # 8 MiB


class Running:
    """A service with options, as a context."""

    def __init__(self, *options):
        self.options = options
        self.stopped = False

    def __enter__(self):
        self.root = tempfile.TemporaryDirectory()
        with open(os.path.join(self.root.name, "small.txt"), "wb") as file:
            file.write(b"small\n")
        with open(os.path.join(self.root.name, "big.bin"), "wb") as file:
            file.write(BIG)
        self.process = subprocess.Popen(
            [SERVICE, "--address", "127.0.0.1:0", "--root", self.root.name, *self.options],
            stdout=subprocess.PIPE, text=True)
        host, port = self.process.stdout.readline().split()[-1].rsplit(":", 1)
        self.address = (host, int(port))
        return self

    def __exit__(self, *error):
        self.stop()
        try:
            self.status = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = "killed"
        self.process.stdout.close()
        self.root.cleanup()

    def stop(self):
        """Asks once: a second SIGTERM ends a process at once."""
        if not self.stopped and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.stopped = True

    def connect(self):
        return socket.create_connection(self.address, timeout=PATIENCE)

    def ask(self, request):
        """All that comes until the service closes the connection."""
        with self.connect() as connection:
            try:
                connection.sendall(request)
            except ConnectionError:  # refused before its end
                pass
            return read_all(connection)

    def status_of(self, request):
        return self.ask(request).split(b" ", 2)[1]


def read_all(connection):
    """What comes until the end, or the reset."""
    answer = b""
    try:
        while chunk := connection.recv(1 << 20):
            answer += chunk
    except ConnectionError:
        pass
    return answer


def read_until(connection, end):
    answer = b""
    while not answer.endswith(end) and (chunk := connection.recv(4096)):
        answer += chunk
    return answer


def eventually(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def has_arrived(connection):
    """Whether the service's kernel has all that was sent."""
    left = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, left)
    return left[0] == 0


def get(path, *headers, method="GET", close=True):
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def metrics_of(service):
    head, body = service.ask(get("/metrics")).split(b"\r\n\r\n", 1)
    assert b"text/plain; version=0.0.4" in head, head
    return body.decode()


class Metrics(unittest.TestCase):
    def test_metrics(self):
        with Running("--loops", "2") as service:
            for _ in range(5):
                service.ask(get("/"))
            # A step is counted when it has ended, which may be after its answer has arrived.
            for asked in range(6, 1000):
                values = dict(line.rsplit(" ", 1) for line in metrics_of(service).splitlines()
                              if not line.startswith("#"))
                started = int(values['rota_task_started_total{name="connection"}'])
                finished = int(values['rota_task_finished_total{name="connection"}'])
                self.assertLessEqual(started, asked)
                if finished >= 5:
                    break
            self.assertLessEqual(5, finished)
            self.assertEqual("2", values["rota_loops"])
            self.assertLess(0, float(values['rota_task_run_seconds_total{name="connection"}']))
            for loop in "01":
                self.assertIn(f'rota_step_seconds_bucket{{loop="{loop}",le="+Inf"}}', values)

    def test_promtool(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("there is no promtool, which Debian's package prometheus has")
        with Running("--loops", "2") as service:
            check = subprocess.run([promtool, "check", "metrics"], input=metrics_of(service),
                                   capture_output=True, text=True, check=False)
            self.assertEqual((0, "", ""), (check.returncode, check.stdout, check.stderr))


class Answers(unittest.TestCase):
    def test_routes(self):
        with Running() as service:
            self.assertIn(b"hello from rota\n", service.ask(get("/")))
            self.assertTrue(service.ask(get("/static/small.txt")).endswith(b"\r\n\r\nsmall\n"))
            self.assertTrue(service.ask(get("/static/big.bin")).endswith(b"\r\n\r\n" + BIG))
            self.assertIn(b'"loops":[', service.ask(get("/stats")))
            self.assertEqual(b"200", service.status_of(get("/burn?ms=1")))
            self.assertEqual(b"202", service.status_of(get("/burn?ms=1&loop=0")))
            for path in ("/burn?ms=99999", "/burn?ms=1&loop=500", "/burn?ms=-1"):
                self.assertEqual(b"400", service.status_of(get(path)), path)
            for path in ("/metrics", "/stats", "/"):
                head = service.ask(get(path, method="HEAD"))
                self.assertTrue(head.endswith(b"\r\n\r\n"), head)
            self.assertIn(b"Content-Length: 16", head)
        self.assertEqual(0, service.status)

    def test_nothing_outside_the_root(self):
        with Running() as service:
            for path in ("/static/../../etc/passwd", "/static//etc/passwd", "/static/.", "/static/",
                         "/static/nothing", "/nowhere"):
                self.assertEqual(b"404", service.status_of(get(path)), path)

    def test_keep_alive_and_pipelining(self):
        with Running() as service, service.connect() as connection:
            for _ in range(3):
                connection.sendall(get("/", close=False))
                self.assertIn(b"HTTP/1.1 200", read_until(connection, b"hello from rota\n"))
            count = 500  # more answers than one batch holds
            connection.sendall(get("/", close=False) * count + get("/"))
            self.assertEqual(count + 1, read_all(connection).count(b"hello from rota\n"))

    def test_a_request_byte_by_byte(self):
        with Running() as service, service.connect() as connection:
            for byte in get("/"):
                connection.sendall(bytes([byte]))
            self.assertIn(b"hello from rota\n", read_all(connection))

    def test_bodies(self):
        with Running() as service:
            body = b"x" * 100000
            request = get("/", f"Content-Length: {len(body)}", method="POST") + body
            self.assertEqual(b"200", service.status_of(request))
            request = get("/", "Transfer-Encoding: chunked", method="POST")
            request += b"3\r\nabc\r\n0\r\n\r\n"
            self.assertEqual(b"200", service.status_of(request))


class Refusals(unittest.TestCase):
    def test_malformed_and_oversized(self):
        cases = {
            b"400": [b"rubbish\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n",
                     b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
            b"505": [b"GET / HTTP/9.9\r\n\r\n"],
            b"405": [get("/", method="DELETE")],
            b"413": [get("/", "Content-Length: 2000000", method="POST") + b"x" * 1200000],
            b"414": [get("/" + "x" * 2000)],
            b"431": [b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n"],
        }
        with Running() as service:
            for status, requests in cases.items():
                for request in requests:
                    with self.subTest(request[:40]):
                        self.assertEqual(status, service.status_of(request))
            self.assertEqual(b"200", service.status_of(get("/")))
        self.assertEqual(0, service.status)

    def test_peers_that_vanish(self):
        with Running() as service:
            for size in range(0, len(get("/")), 7):
                with service.connect() as connection:
                    connection.sendall(get("/")[:size])
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            with service.connect() as connection:
                connection.sendall(get("/static/big.bin"))
                connection.recv(1000)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.assertEqual(b"200", service.status_of(get("/")))
        self.assertEqual(0, service.status)


class Limits(unittest.TestCase):
    """Each connection is older than what the service measures: the test may be as slow as it likes.
    """

    def closed_since(self, begun, connection, send=b"", every=0.1):
        """Seconds until the service closes, while a byte is sent now and then, and what came."""
        connection.settimeout(every)
        answer = b""
        while time.monotonic() - begun < PATIENCE:
            try:
                chunk = connection.recv(4096)
                if not chunk:
                    return time.monotonic() - begun, answer
                answer += chunk
            except TimeoutError:
                try:
                    connection.sendall(send)
                except ConnectionError:
                    pass  # the next look tells
            except ConnectionError:
                return time.monotonic() - begun, answer
        self.fail("the connection stays open")

    def test_a_slow_head_ends(self):
        begun = time.monotonic()
        with Running("--head-seconds", "0.7") as service, service.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            seconds, answer = self.closed_since(begun, connection, b"x")
            self.assertGreater(seconds, 0.7)
            self.assertIn(b"408", answer)

    def answered(self, service):
        """A connection that has an answer. One that comes late with its request has been idle."""
        while True:
            connection = service.connect()
            begun = time.monotonic()
            try:
                connection.sendall(get("/", close=False))
                if read_until(connection, b"hello from rota\n"):
                    return begun, connection
            except ConnectionError:
                pass
            connection.close()

    def test_an_idle_connection_ends(self):
        with Running("--idle-seconds", "0.5") as service:
            begun, connection = self.answered(service)
            seconds, answer = self.closed_since(begun, connection)
            connection.close()
            self.assertGreater(seconds, 0.5)
            self.assertEqual(b"", answer)

    def test_a_slow_body_ends(self):
        options = ("--head-seconds", "0.5", "--min-rate", "100000")
        begun = time.monotonic()
        with Running(*options) as service, service.connect() as connection:
            connection.sendall(get("/", "Content-Length: 100000", method="POST"))
            seconds, answer = self.closed_since(begun, connection, b"x")
            self.assertGreater(seconds, 0.5)
            self.assertIn(b"408", answer)

    def test_a_peer_that_does_not_read_ends(self):
        options = ("--head-seconds", "0.5", "--min-rate", "100000000")
        with Running(*options) as service, service.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(get("/static/big.bin"))
            end = select.poll()
            end.register(connection, select.POLLRDHUP)
            self.assertTrue(end.poll(PATIENCE * 1000))
            self.assertTrue(eventually(lambda: service.status_of(get("/")) == b"200"))
            self.assertLess(len(read_all(connection)), len(BIG))

    def test_the_number_of_connections(self):
        with Running("--connections", "4", "--idle-seconds", "1000") as service:
            held = [service.connect() for _ in range(4)]
            for connection in held:
                connection.sendall(get("/", close=False))
                self.assertIn(b"HTTP/1.1 200", read_until(connection, b"hello from rota\n"))
            with service.connect() as fifth:
                fifth.sendall(get("/"))
                fifth.settimeout(0.5)
                with self.assertRaises(TimeoutError):
                    fifth.recv(1)
                held.pop().close()
                fifth.settimeout(PATIENCE)
                self.assertIn(b"hello", read_all(fifth))
            for connection in held:
                connection.close()


class Stop(unittest.TestCase):
    def test_requests_that_have_come_are_answered(self):
        with Running("--loops", "2", "--drain-seconds", "60") as service:
            connections = [service.connect() for _ in range(4)]
            for connection in connections:
                connection.sendall(get("/burn?ms=200"))
            for connection in connections:
                self.assertTrue(eventually(lambda sent=connection: has_arrived(sent)))
            service.stop()
            for connection in connections:
                self.assertEqual(b"200", read_all(connection).split(b" ", 2)[1])
                connection.close()
        self.assertEqual(0, service.status)

    def test_idle_connections_do_not_hold_it_up(self):
        with Running("--idle-seconds", "1000") as service:
            idle = [service.connect() for _ in range(20)]
            for connection in idle:
                connection.sendall(get("/", close=False))
                self.assertIn(b"HTTP/1.1 200", read_until(connection, b"hello from rota\n"))
            service.stop()
            self.assertEqual(0, service.process.wait(timeout=PATIENCE))
            for connection in idle:
                connection.close()


if __name__ == "__main__":
    SERVICE = sys.argv.pop(1)
    unittest.main()
