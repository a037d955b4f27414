"""Ten times the load that 256 descriptors and 128 MiB carry: what refusing costs, who is answered, how soon it is over.

New connections come at a rate, whatever becomes of those before them, each with one request; an origin
answers after a moment, so that the proxy is full by connections and not by work. A few clients that were
there before keep their connections and ask all the while.
"""

import errno
import os
import pathlib
import re
import select
import socket
import statistics
import subprocess
import time

import report
import stage

DESCRIPTORS, MEMORY = 256, "128MiB"
# The origin takes so long.
DELAY_MS = 200
CALM_SECONDS, FLOOD_SECONDS = 5.0, 10.0
TIMES = 10
# A client that has waited so long has given up.
PATIENCE = 10.0
REQUEST = b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n"
KEPT_REQUEST = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"
KEPT = 8
TICKS = os.sysconf("SC_CLK_TCK")


class Client:
    """A connection that asks; `kept` asks again and again."""

    def __init__(self, port, kept=False):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.kept, self.since, self.heard, self.asked = kept, time.monotonic(), b"", False
        self.connecting = self.socket.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS

    def on(self):
        """Goes on; what came of it once it is over: a status or a word. None: not yet."""
        try:
            if not self.asked:
                failure = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if failure:
                    return errno.errorcode.get(failure, str(failure))
                self.socket.send(KEPT_REQUEST if self.kept else REQUEST)
                self.asked = True
            # Events come once for all that there is.
            while piece := self.socket.recv(1 << 16):
                self.heard += piece
                if self.kept and self.whole():
                    return self.status()
        except BlockingIOError:
            return None
        except OSError as error:
            # What was said completely has been said.
            return self.status() if self.whole() else errno.errorcode.get(error.errno, str(error))
        return self.status() if self.whole() else "cut"

    def whole(self):
        """Whether an answer is complete."""
        head, gap, body = self.heard.partition(b"\r\n\r\n")
        if not gap:
            return False
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return len(body) >= int(line.split(b":")[1])
        return True

    def status(self):
        """The status, as a word; of a refusal also whether it says when to come again."""
        status = self.heard[9:12].decode()
        return "503 unsaid" if status == "503" and b"retry-after:" not in self.heard.lower() else status


class Load:
    """Clients on one poll."""

    def __init__(self, port):
        self.port, self.poll, self.clients = port, select.epoll(), {}
        self.outcomes, self.times = {}, {}

    def begin(self, kept=False):
        """One more client."""
        client = Client(self.port, kept)
        self.clients[client.socket.fileno()] = client
        self.poll.register(client.socket, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def turn(self, seconds):
        """Lets everybody go on for a moment."""
        for number, _ in self.poll.poll(seconds):
            client = self.clients[number]
            outcome = client.on()
            if outcome is not None:
                self._over(number, client, outcome)

    def _over(self, number, client, outcome):
        word = f"kept {outcome}" if client.kept else outcome
        self.outcomes[word] = self.outcomes.get(word, 0) + 1
        self.times.setdefault(word, []).append(time.monotonic() - client.since)
        if client.kept and outcome == "200":
            client.heard, client.since = b"", time.monotonic()
            client.socket.send(KEPT_REQUEST)
        else:
            self.poll.unregister(client.socket)
            client.socket.close()
            del self.clients[number]

    def give_up(self, after):
        """Those who have waited for so long give up."""
        now = time.monotonic()
        for number, client in list(self.clients.items()):
            if now - client.since > after:
                self._over(number, client, "gave up")


def cpu_seconds(pid):
    """Processor time that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid):
    """Most memory that it has had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def metric(port, name):
    """The sum of the series of a name."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as admin:
        admin.sendall(b"GET /metrics HTTP/1.0\r\nHost: admin\r\n\r\n")
        text = b"".join(iter(lambda: admin.recv(1 << 16), b"")).decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + "{", name + " ")))


def calm(port, seats):
    """As many clients as there is room for, each coming again when it has its answer: answers a second."""
    load, end = Load(port), time.monotonic() + CALM_SECONDS
    while time.monotonic() < end:
        while len(load.clients) < seats:
            load.begin()
        load.turn(0.05)
    return load


def flood(port, rate, load):
    """New clients at a rate."""
    started, begun, checked = time.monotonic(), 0, 0.0
    while (gone := time.monotonic() - started) < FLOOD_SECONDS:
        for _ in range(min(int(gone * rate) - begun, 200)):
            load.begin()
            begun += 1
        load.turn(0.002)
        if gone > checked + 1:
            checked = gone
            load.give_up(PATIENCE)
    return begun


def recovery(port):
    """Seconds until a new client is answered at once, and so are the next ten."""
    started, good, since = time.monotonic(), 0, None
    while time.monotonic() - started < 30:
        load, asked = Load(port), time.monotonic()
        load.begin()
        while load.clients and time.monotonic() - asked < 1:
            load.turn(0.05)
        load.give_up(0)
        if load.outcomes == {"200": 1}:
            since = since if good else asked - started
            good += 1
            if good > 10:
                return since
        else:
            good = 0
    return None


def percentile(times, share):
    """A percentile of seconds, in milliseconds."""
    return round(sorted(times)[min(int(len(times) * share), len(times) - 1)] * 1000, 1) if times else None


def run(results, binary, work, certificates, _chosen):
    """The suite."""
    if stage.kind_of(binary) != "rhumb":
        results.add("too much load", report.SKIP, "its settings are Rhumb's")
        return
    port = stage.free_port()
    origin = subprocess.Popen([binary, "origin", "--address", f"127.0.0.1:{port}", "--delay-ms", str(DELAY_MS)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not stage.reachable(port):
            raise RuntimeError("the origin does not listen")
        limited = stage.Stage(binary, work / "overload", certificates, {"web": port},
                              before=["prlimit", f"--nofile={DESCRIPTORS}"], rhumb=f"memory_limit: {MEMORY}")
        with limited as proxy:
            measure(results, proxy)
    finally:
        origin.terminate()
        origin.wait(5)


def measure(results, proxy):
    """Calm, then the flood, then calm again."""
    pid = proxy.worker_pid()
    kept = Load(proxy.clear)
    before = cpu_seconds(pid)
    # The kernel chooses the worker: so many that one of them could have them all, and a few less, because
    # a place is free a moment after its client has left.
    seats = int(re.search(r"each worker takes (\d+) connections", proxy.log_tail(20_000)).group(1)) * 9 // 10
    calm_load = calm(proxy.clear, seats)
    carried = calm_load.outcomes.get("200", 0)
    each = (cpu_seconds(pid) - before) / max(carried, 1)
    rate = carried / CALM_SECONDS
    results.add("what it carries", carried > 0 and set(calm_load.outcomes) == {"200"},
                f"{rate:.0f} requests/s on {seats} connections, {each * 1e6:.0f} us of CPU each; {calm_load.outcomes}")
    for client in list(calm_load.clients.values()):
        client.socket.close()
    time.sleep(0.5)

    load = kept
    for _ in range(KEPT):
        load.begin(kept=True)
    load.turn(0.5)
    before = cpu_seconds(pid)
    begun = flood(proxy.clear, rate * TIMES, load)
    spent = cpu_seconds(pid) - before
    for number, client in list(load.clients.items()):
        if client.kept:
            load.poll.unregister(client.socket)
            client.socket.close()
            del load.clients[number]
    recovered = recovery(proxy.clear)
    end = time.monotonic() + PATIENCE
    while load.clients and time.monotonic() < end:
        load.turn(0.05)
    load.give_up(0)
    answered = sum(load.outcomes.get(word, 0) for word in ("200", "kept 200"))
    refused = load.outcomes.get("503", 0)
    share = (spent - answered * each) / FLOOD_SECONDS
    known = {"200", "503", "kept 200"}
    others = {word: count for word, count in load.outcomes.items() if word not in known}
    results.add("whoever is accepted is answered", not others,
                f"{begun} came in {FLOOD_SECONDS:.0f} s, {answered} answered, {refused} refused; {others or 'nothing else'}",
                came=begun, answered=answered, refused=refused, other=others,
                refused_p50_ms=percentile(load.times.get("503", []), 0.5),
                refused_p99_ms=percentile(load.times.get("503", []), 0.99),
                answered_p50_ms=percentile(load.times.get("200", []), 0.5),
                answered_p99_ms=percentile(load.times.get("200", []), 0.99))
    lost = sum(count for word, count in load.outcomes.items() if word.startswith("kept") and word != "kept 200")
    results.add("clients that were there before go on", lost == 0 and load.outcomes.get("kept 200", 0) > 0,
                f"{load.outcomes.get('kept 200', 0)} answers, {lost} lost")
    results.add("refusing takes less than 20 % of a core", share < 0.2,
                f"{share * 100:.1f} % ({spent:.2f} s of CPU in all, {answered * each:.2f} s for answers)",
                refusing_percent=round(share * 100, 1), cpu_seconds=spent)
    results.add("it has recovered within 2 s", recovered is not None and recovered <= 2,
                f"{recovered if recovered is None else round(recovered, 3)} s", seconds=recovered)
    results.add("the process is still there", proxy.alive(), f"{memory_mib(pid)} MiB at most",
                memory_mib=memory_mib(pid))
    median = statistics.median(load.times.get("503", [0]))
    results.add("refusals are fast", refused > 0 and median < 2, f"{median * 1000:.0f} ms in the middle")
