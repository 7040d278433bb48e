# SPDX-License-Identifier: MIT
"""storms.py - what the campaigns with many peers share: the HTTP service, its figures, clients.

A campaign asserts what holds on any machine; it asserts times only where it is told that it runs
at full scale, and prints them always. What it waits for, it waits for long.
"""
import contextlib
import errno
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback

PATIENCE = 120 * float(os.environ.get("ROTA_TEST_TIMEOUT_SCALE", "1"))
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close resets
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """What a campaign checks does not hold."""


def check(holds, what):
    if not holds:
        raise Failure(what)


def eventually(condition, what, seconds=PATIENCE):
    """Waits until the condition holds, and gives its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        check(time.monotonic() < end, f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.01)
    return value


def open_many_files():
    """Lets this process have as many descriptors as it may. Returns how many that are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


class Service:
    """The HTTP service as a process, with a limit of descriptors, as a context."""

    def __init__(self, *options, files_max=None, binary=None):
        path = os.path.join(os.environ["ROTA_BUILD"], "docs/examples/http/http-service")
        self.command = [binary or path, "--address", "127.0.0.1:0", *options]
        self.files_max = files_max
        self.process = None
        self.stderr = None
        self.address = None
        self.own_sockets = 0

    def __enter__(self):
        def limit():
            if self.files_max:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.files_max, self.files_max))

        # pylint: disable-next=subprocess-popen-preexec-fn # the parent has one thread
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=limit)
        line = self.process.stdout.readline()
        check(line.startswith("listening on "), f"the service did not start: {line!r}")
        host, port = line.split()[-1].rsplit(":", 1)
        self.address = (host, int(port))
        self.own_sockets = self.sockets()
        return self

    def __exit__(self, *error):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def stop(self):
        """Stops it gracefully. Returns the seconds that this took; its reports are in stderr."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.stderr = self.process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            raise Failure("the service does not stop") from None
        check(self.process.returncode == 0,
              f"the service ended with {self.process.returncode}: {self.stderr}")
        return time.monotonic() - begun

    # ---- What it holds, and what it has used

    def files(self):
        """What its descriptors refer to."""
        folder = f"/proc/{self.process.pid}/fd"
        names = []
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                names.append(os.readlink(f"{folder}/{number}"))
        return names

    def sockets(self):
        return sum(name.startswith("socket:") for name in self.files())

    def files_at_rest(self):
        """How many descriptors there are, once no connection is left."""
        eventually(lambda: self.sockets() == self.own_sockets, "all connections are closed")
        return len(self.files())

    def resident(self):
        """Bytes of memory."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * PAGE

    def cpu(self):
        """Seconds."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    # ---- Clients

    def connect(self):
        """A connection; patient where the kernel has no port or no room for a moment."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return socket.create_connection(self.address, timeout=PATIENCE)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.ECONNRESET):
                    raise
                check(time.monotonic() < end, f"no connection: {error}")
                time.sleep(0.05)

    def answers(self):
        """Whether a request is answered."""
        with self.connect() as connection:
            connection.sendall(request("/", close=True))
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.endswith(b"hello from rota\n")


def request(path, close=False):
    end = "Connection: close\r\n" if close else ""
    return f"GET {path} HTTP/1.1\r\nHost: storm\r\n{end}\r\n".encode()


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def run(campaign, scale, full):
    """Runs a campaign: campaign(scale, is_full) gives its figures, or raises Failure."""
    random.seed(scale)
    try:
        figures = campaign(scale, scale >= full)
    except (Failure, OSError) as failure:
        traceback.print_exception(failure, file=sys.stdout)
        print("figures: failed")
        return 1
    print("figures: " + "; ".join(figures))
    return 0
