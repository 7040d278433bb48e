#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""demo_run.py - starts the HTTP service, checks it, loads it, and tells what happened.

Called by tools/demo. Progress goes to stderr; the table, or with --json one object, to stdout.
"""
import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

THINK_MS = 4
CONNECT_S = 0.3  # connections are there, on all loops, before loops are kept
PROMISE_US = 5000
WRK_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_wrk.lua")
PER_LOOP = ("connections", "requests", "switches", "steals", "stolen", "rescued", "wakes",
            "idle_ns")


class Failure(Exception):
    """What the demo promises did not happen."""


started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - started:4.0f} s] {text}", file=sys.stderr, flush=True)


class Service:
    """The service as a process, and curl to talk to it."""

    def __init__(self, options, root, loops):
        command = [options.service, "--address", "127.0.0.1:0", "--root", root]
        if loops:
            command += ["--loops", str(loops)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise Failure(f"the service did not start: {line!r}")
        self.address = line.split()[-1]
        self.curl_count = 0

    def url(self, path):
        return f"http://{self.address}{path}"

    def curl(self, path, patience=20):
        """The status and body of one request."""
        self.curl_count += 1
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", str(patience), "--write-out",
             "\n%{http_code}", self.url(path)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"curl {path}: {done.stderr.strip()}")
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), body

    def raw(self, request):
        """The first line of the answer to bytes that curl would not send; the connection ends."""
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.split(b"\r\n", 1)[0].decode()

    def stats(self):
        status, body = self.curl("/stats")
        if status != 200:
            raise Failure(f"/stats answered {status}")
        return json.loads(body)

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failure(f"the service died with status {self.process.returncode}")

    def stop(self):
        """The seconds that the graceful stop took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            raise Failure("the service did not stop within 30 s of SIGTERM") from late
        if status != 0:
            raise Failure(f"the service ended with status {status}")
        return time.monotonic() - begun


def expect(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: expected {wanted!r}, got {got!r}")


def check_answers(service, text):
    """Every kind of request once, and what must be refused."""
    expect("/", service.curl("/"), (200, "hello from rota\n"))
    expect("/static/hello.txt", service.curl("/static/hello.txt"), (200, text))
    expect("a path outside the root", service.curl("/static/..%2f..%2fetc/passwd")[0], 404)
    expect("a path that is not there", service.curl("/nowhere")[0], 404)
    expect("/burn", service.curl("/burn?ms=5"), (200, "burnt\n"))
    expect("a malformed request", service.raw(b"this is not HTTP\r\n\r\n"),
           "HTTP/1.1 400 Bad Request")
    expect("an oversized head",
           service.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n"),
           "HTTP/1.1 431 Request Header Fields Too Large")
    service.check_alive()
    say("answers checked: text, file, burn; 404, 400 and 431 where they are due")


class Burner(threading.Thread):
    """Keeps a loop for longer than a phase lasts: one request whose task does not suspend."""

    def __init__(self, service, seconds):
        super().__init__()
        self.service = service
        self.seconds = seconds
        self.failure = None

    def run(self):
        try:
            expect("a burn", self.service.curl(f"/burn?ms={self.seconds * 1000}",
                                               self.seconds + 20), (200, "burnt\n"))
        except Failure as failure:
            self.failure = failure


def block_loops(service, options, count):
    """Has so many loops kept by a task. A loop that is kept serves no request, so that each of
    these takes another one."""
    burners = []
    for _ in range(count):
        burner = Burner(service, options.seconds + 3)
        burner.start()
        burners.append(burner)
        time.sleep(0.2)
    return burners


def start_wrk(service, options, think_ms):
    command = ["wrk", "--threads", "1", "--connections", str(options.connections), "--duration",
               f"{options.seconds}s", "--timeout", "10s", "--script", WRK_SCRIPT, service.url("/"),
               "--", str(think_ms)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wrk_result(loading):
    output = loading.communicate()[0]
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if loading.returncode != 0 or not lines:
        raise Failure(f"wrk failed: {output}")
    return json.loads(lines[-1])


def difference(before, after):
    """What each loop did between two readings, and the share of the time that it was idle."""
    elapsed_ns = after["time_ns"] - before["time_ns"]
    loops = []
    for old, new in zip(before["loops"], after["loops"]):
        row = {name: new[name] - old[name] for name in PER_LOOP}
        row["loop"] = new["loop"]
        row["idle_share"] = min(1.0, row.pop("idle_ns") / elapsed_ns)
        loops.append(row)
    return loops


def load(service, options, name, think_ms=0, blocked=False):
    """One phase under load: its figures, checked."""
    say(f"{name}: {options.connections} connections for {options.seconds} s")
    curls_before = service.curl_count
    before = service.stats()
    loading = start_wrk(service, options, think_ms)
    time.sleep(CONNECT_S)
    burners = block_loops(service, options, len(before["loops"]) - 1) if blocked else []
    wrk = wrk_result(loading)
    service.check_alive()
    after = service.stats()
    loops = difference(before, after)
    served = sum(row["requests"] for row in loops)
    curls = service.curl_count - curls_before
    errors = {key: wrk[key] for key in wrk if key.endswith("_errors") or key == "timeouts"}
    if any(errors.values()):
        raise Failure(f"{name}: wrk saw errors: {errors}")
    if not wrk["requests"] <= served <= wrk["requests"] + options.connections + curls:
        raise Failure(f"{name}: the loops count {served} requests, wrk {wrk['requests']}, "
                      f"curl {curls}")
    if any(row["requests"] == 0 for row in loops) and not blocked:
        raise Failure(f"{name}: a loop served nothing")
    for burner in burners:
        burner.join()
        if burner.failure is not None:
            raise burner.failure
    return {"phase": name, "blocked": len(burners), "errors": sum(errors.values()),
            "requests": wrk["requests"], "served": served,
            "requests_per_s": wrk["requests"] * 1e6 / wrk["duration_us"],
            "p50_us": wrk["p50_us"], "p99_us": wrk["p99_us"], "p999_us": wrk["p999_us"],
            "max_us": wrk["max_us"], "loops": loops}


def run_service(options, root, loops, phases_of):
    """What `phases_of` makes of a service that runs, and how long this took to stop."""
    service = Service(options, root, loops)
    try:
        say(f"serving on {service.address}")
        return phases_of(service), service.stop()
    finally:
        if service.process.poll() is None:
            service.process.kill()


def all_phases(service, options, text):
    check_answers(service, text)
    thinking = f"thinking {THINK_MS} ms"
    return [load(service, options, "healthy"),
            load(service, options, f"healthy, {thinking}", THINK_MS),
            load(service, options, f"all loops but one kept by a task, {thinking}", THINK_MS,
                 blocked=True)]


def what_is_left(options, root, busy):
    """The phase that says what the machine leaves to any service while `busy` CPUs are asked for:
    one loop that nothing keeps, beside as many processes that do not end."""
    endless = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        name = f"one loop beside {busy} endless process{'' if busy == 1 else 'es'}, thinking " \
               f"{THINK_MS} ms"
        return run_service(options, root, 1,
                           lambda service: load(service, options, name, THINK_MS))[0]
    finally:
        for process in endless:
            process.kill()
            process.wait()


def print_phase(phase):
    print(f"\n{phase['phase']}")
    print(f"  {'requests/s':>12} {'p50 ms':>9} {'p99 ms':>9} {'p99.9 ms':>9} {'max ms':>9}"
          f" {'errors':>7}")
    print(f"  {phase['requests_per_s']:12,.0f} {phase['p50_us'] / 1e3:9.2f}"
          f" {phase['p99_us'] / 1e3:9.2f} {phase['p999_us'] / 1e3:9.2f}"
          f" {phase['max_us'] / 1e3:9.2f} {phase['errors']:7d}")
    print(f"  {'loop':>6} {'connections':>12} {'requests':>10} {'switches':>10} {'steals':>8}"
          f" {'stolen':>8} {'rescued':>8} {'wakes':>8} {'idle':>6}")
    for row in phase["loops"]:
        print(f"  {row['loop']:6d} {row['connections']:12,d} {row['requests']:10,d}"
              f" {row['switches']:10,d} {row['steals']:8,d} {row['stolen']:8,d}"
              f" {row['rescued']:8,d} {row['wakes']:8,d} {row['idle_share']:6.1%}")


def print_table(result):
    for phase in result["phases"]:
        print_phase(phase)
    *_, kept, left = result["phases"]
    held = "was held" if kept["p99_us"] < PROMISE_US else "was NOT held"
    print(f"\nwrk shares the {result['cpus']} CPUs with the service, and so do tasks that keep"
          f"\n{kept['blocked']} of {len(kept['loops'])} loops. What is registered there is served"
          f" by others: p99 below {PROMISE_US / 1e3:.0f} ms {held}."
          f"\nThe last phase is what the machine leaves to a service that nothing blocks, while as"
          f"\nmany CPUs are asked for: its p99 is {left['p99_us'] / 1e3:.2f} ms, that with"
          f" loops kept {kept['p99_us'] / left['p99_us']:.2f} of it."
          f"\nSIGTERM: stopped gracefully in {result['stop_s']:.2f} s.")


def main():
    parser = argparse.ArgumentParser(description="a multicore HTTP service under real load")
    parser.add_argument("--service", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--seconds", type=int, default=10, help="per phase (default 10)")
    parser.add_argument("--connections", type=int, default=256, help="of wrk (default 256)")
    parser.add_argument("--loops", type=int, default=0, help="default: one per CPU")
    options = parser.parse_args()
    text = "a file, served by a task\n" * 100
    try:
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, "hello.txt"), "w", encoding="utf-8") as file:
                file.write(text)
            phases, stop_s = run_service(
                options, root, options.loops, lambda service: all_phases(service, options, text))
            phases.append(what_is_left(options, root, phases[-1]["blocked"]))
            result = {"cpus": os.cpu_count(), "phases": phases, "stop_s": stop_s}
    except Failure as failure:
        say(f"FAILED: {failure}")
        return 1
    if options.json:
        print(json.dumps(result))
    else:
        print_table(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
