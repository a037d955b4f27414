"""Slow clients in every phase of a connection: all of them have to be ended in time, while others are served.

First clients of our own, a hundred of each kind, all kinds at once, each with the limit within which the
proxy has to end it, from when it began to connect; then the four modes of slowhttptest. A well-behaved
client asks all the while.
"""

import asyncio
import csv
import http.client
import shutil
import socket
import ssl
import statistics
import subprocess
import threading
import time

import h2.connection
import h2.settings

import stage
import web

EACH = 100
# Over this time the clients of a kind come; the last are there before the first has to be gone. If 2,500
# came at once, what they waited for at first would be this program, which has their handshakes to do.
COMING_SECONDS = 8.0
# How much later than its limit an end may be seen on a busy machine.
SLACK = 3.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SLOWHTTPTEST = {"slow headers": ["-H", "-i", "5"], "slow body": ["-B", "-i", "5", "-s", "8192"],
                "slow read": ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "1"],
                "ranges": ["-R", "-a", "10", "-b", "3000"]}
# slowhttptest gives up after this; everything has to be over before.
SLOW_SECONDS = 75


def hello():
    """The first half of a TLS handshake's first message."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="web.test")
    try:
        half.do_handshake()
    except ssl.SSLWantReadError:
        pass
    whole = outgoing.read()
    return whole, whole[:len(whole) // 2]


def request_without_window():
    """A connection of HTTP/2 that asks for much and takes nothing of it."""
    connection = h2.connection.H2Connection()
    # Changed afterwards, it would wait for an acknowledgement.
    connection.local_settings = h2.settings.Settings(
        client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/large"),
                                (":authority", "web.test")], end_stream=True)
    return connection.data_to_send()


def opening_a_crack():
    """More of a window of HTTP/2: 32 bytes."""
    return bytes([0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 32])


def unfinished_headers():
    """A header block of HTTP/2 that does not end."""
    return PREFACE + EMPTY_SETTINGS + bytes([0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82])


def unfinished_body():
    """A request of HTTP/2 whose body does not come."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":path", "/echo"),
                                (":authority", "web.test"), ("content-length", "100")])
    return connection.data_to_send()


class Slow:
    """A kind of slow client: what it sends at first, what it keeps sending, and when it has to be over.

    `over` says what an end is: of the connection, or of the stream (RST_STREAM or an answer).
    """

    def __init__(self, port, limit, first=b"", more=b"", every=2.0, tls=None, reads=True, over="connection"):
        self.port, self.limit, self.first, self.more, self.every = port, limit, first, more, every
        self.tls, self.reads, self.over = tls, reads, over

    async def suffer(self):
        """Connects and waits; how many seconds it was let."""
        start = time.monotonic()
        try:
            reader, writer = await asyncio.wait_for(self._connect(), 10)
        except OSError as error:
            return f"not even connected: {error}"
        try:
            return await asyncio.wait_for(self._wait(reader, writer, start), self.limit + SLACK)
        except asyncio.TimeoutError:
            return "still there"
        finally:
            writer.transport.abort()

    async def _connect(self):
        client = socket.socket()
        client.setblocking(False)
        if not self.reads:
            # What its kernel would take for it is no part of what is to be seen: megabytes for each.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        try:
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
            return await asyncio.open_connection(
                sock=client, ssl=self.tls, server_hostname="web.test" if self.tls else None, limit=1 << 12)
        except BaseException:
            client.close()
            raise

    async def _wait(self, reader, writer, start):
        writer.write(self.first)
        sending = asyncio.ensure_future(self._keep_sending(writer))
        try:
            if not self.reads:
                ours = writer.get_extra_info("sockname")[1]
                # Until it is accepted, nobody owns it either.
                await asyncio.sleep(2)
                while held(self.port, ours):
                    await asyncio.sleep(1)
                return time.monotonic() - start
            heard = b""
            while piece := await reader.read(1 << 12):
                heard = (heard + piece)[-(1 << 16):]
                if self.over == "stream" and ended(heard):
                    break
        except OSError:
            pass
        finally:
            sending.cancel()
        return time.monotonic() - start

    async def _keep_sending(self, writer):
        while True:
            await asyncio.sleep(self.every)
            if self.more:
                writer.write(self.more)
                await writer.drain()


def held(port, client):
    """Whether the proxy still has its end of a connection: an end that waits behind bytes that nobody
    reads cannot be seen at the other end. In the kernel's table a socket without an owner has no inode."""
    global table, looked
    if time.monotonic() - looked > 0.5:
        with open("/proc/net/tcp") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        table = {(int(row[1][-4:], 16), int(row[2][-4:], 16)) for row in rows if row[9] != "0"}
        looked = time.monotonic()
    return (port, client) in table


def unread(port):
    """Connections of the proxy for which the kernel keeps much that their clients do not take, whether
    the proxy still has its end of them or not."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    own = [row for row in rows if int(row[1][-4:], 16) == port]
    return sum(int(row[4].partition(":")[0], 16) > 1 << 12 for row in own)


table, looked = set(), 0.0


def ended(heard):
    """Whether frames of HTTP/2 tell of a stream's end; what is read here is small enough to be whole."""
    place = 0
    while place + 9 <= len(heard):
        kind, flags = heard[place + 3], heard[place + 4]
        if kind in (3, 7) or (kind in (0, 1) and flags & 1):
            return True
        place += 9 + int.from_bytes(heard[place:place + 3], "big")
    return False


def kinds(proxy):
    """All kinds, with Rhumb's limits."""
    whole, half = hello()
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    h2_over_tls = ssl.create_default_context()
    h2_over_tls.check_hostname, h2_over_tls.verify_mode = False, ssl.CERT_NONE
    h2_over_tls.set_alpn_protocols(["h2"])
    post = b"POST /echo HTTP/1.1\r\nHost: web.test\r\nContent-Length: 1000\r\n\r\n"
    return {
        "silent": Slow(proxy.clear, 10),
        "silent on TLS": Slow(proxy.tls, 10),
        "half a TLS hello": Slow(proxy.tls, 10, half),
        "a TLS hello, byte by byte": Slow(proxy.tls, 10, whole[:1], whole[1:2]),
        "a TLS hello and no more": Slow(proxy.tls, 10, whole),
        "silent after the TLS handshake": Slow(proxy.tls, 10, tls=insecure),
        "silent on PROXY protocol": Slow(proxy.proxied, 10),
        "half a PROXY header": Slow(proxy.proxied, 10, b"PROXY TCP4 127.0.0.1 "),
        "a PROXY header, byte by byte": Slow(proxy.proxied, 10, b"PROXY TCP4 ", b"1"),
        "half a binary PROXY header": Slow(proxy.proxied, 10, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"),
        "silent after the PROXY header": Slow(proxy.proxied, 10, b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"),
        "half a preface": Slow(proxy.h2c, 10, PREFACE[:10]),
        "half a preface over TLS": Slow(proxy.tls, 10, PREFACE[:10], tls=h2_over_tls),
        "a preface and no more": Slow(proxy.h2c, 60, PREFACE),
        "silent HTTP/2": Slow(proxy.h2c, 60, PREFACE + EMPTY_SETTINGS),
        "a head, byte by byte": Slow(proxy.clear, 10, b"GET / HTTP/1.1\r\nX: ", b"x"),
        "a head without end": Slow(proxy.clear, 10, b"GET / HTTP/1.1\r\nHost: web.test\r\n", b"X-A: b\r\n"),
        "HTTP/2 headers without end": Slow(proxy.h2c, 30, unfinished_headers()),
        "a body that stops": Slow(proxy.clear, 30, post + b"x"),
        "a chunk that stops": Slow(proxy.clear, 30, b"POST /echo HTTP/1.1\r\nHost: web.test\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        "an HTTP/2 body that stops": Slow(proxy.h2c, 30, unfinished_body(), over="stream"),
        "an answer that is not read": Slow(proxy.clear, 30, b"GET /large HTTP/1.1\r\nHost: web.test\r\n\r\n", reads=False),
        "an HTTP/2 window that stays shut": Slow(proxy.h2c, 30, request_without_window(), over="stream"),
        "an HTTP/2 window that opens by drops": Slow(proxy.h2c, 32, request_without_window(), opening_a_crack(),
                                                     over="stream"),
        "kept alive and idle": Slow(proxy.clear, 60, b"GET /small HTTP/1.1\r\nHost: web.test\r\n\r\n"),
    }


class Victim:
    """Asks every 20 ms over a kept connection, and now and then over a new one."""

    def __init__(self, port):
        self.port, self.times, self.failures, self.stop = port, [], [], threading.Event()
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def _live(self):
        connection = None
        while not self.stop.wait(0.02):
            start = time.monotonic()
            try:
                if connection is None or len(self.times) % 50 == 0:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/small", headers={"Host": "web.test"})
                answer = connection.getresponse()
                if answer.read() != b"hello\n":
                    raise ValueError(answer.status)
                self.times.append(time.monotonic() - start)
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None

    def judge(self, report, name):
        """Adds what it suffered."""
        self.stop.set()
        self.thread.join()
        times = sorted(self.times) or [float("inf")]
        detail = f"{len(self.failures)} of {len(self.times)} failed, {self.failures[:1]}"
        report.add(name, not self.failures and bool(self.times), detail,
                   median_ms=round(1000 * statistics.median(times), 2),
                   p99_ms=round(1000 * times[int(len(times) * 0.99)], 2))


async def suffer(slow):
    """All kinds at once, each client in its turn; the seconds that each was let, by kind."""
    async def come(kind, number):
        await asyncio.sleep(COMING_SECONDS * number / EACH)
        return await kind.suffer()

    tasks = {name: [asyncio.ensure_future(come(kind, number)) for number in range(EACH)]
             for name, kind in slow.items()}
    return {name: await asyncio.gather(*own) for name, own in tasks.items()}


def run(report, binary, work, certificates, options):
    """Our own, then slowhttptest's."""
    chosen = [name.strip() for name in options.only.split(",")] if options.only else None
    with stage.Stage(binary, work / "slow", certificates, {"web": web.start_apart()}) as proxy:
        slow = {name: kind for name, kind in kinds(proxy).items() if not chosen or name in chosen}
        if slow:
            victim = Victim(proxy.clear)
            for name, lived in asyncio.run(suffer(slow)).items():
                times = [seconds for seconds in lived if not isinstance(seconds, str)]
                words = [word for word in lived if isinstance(word, str)]
                report.add(name, not words, f"{len(words)} of {EACH}: {words[:1]}, limit {slow[name].limit} s",
                           limit=slow[name].limit, longest=round(max(times, default=0), 1))
            victim.judge(report, "a victim beside slow clients")
        for name, arguments in SLOWHTTPTEST.items():
            if not chosen or name in chosen:
                slowhttptest(report, proxy, name, arguments)
        report.add("the proxy lives", proxy.alive(), proxy.log_tail())


def slowhttptest(report, proxy, name, arguments):
    """One mode of slowhttptest; nobody may be left of it before it gives up."""
    if not shutil.which("slowhttptest"):
        report.add(f"slowhttptest, {name}", False, "not found; on Debian: apt-get install slowhttptest")
        return
    victim, base = Victim(proxy.clear), proxy.directory / f"slowhttptest-{name.replace(' ', '-')}"
    path = "/large" if name == "slow read" else "/echo"
    command = ["slowhttptest", "-c", "300", "-r", "100", "-l", str(SLOW_SECONDS), "-g", "-o", str(base), *arguments,
               "-u", f"http://127.0.0.1:{proxy.clear}{path}", "-p", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SLOW_SECONDS + 60)
    if name == "slow read":
        # slowhttptest still reads what its own kernel has when the connection is long gone.
        left = unread(proxy.clear)
        report.add(f"slowhttptest, {name}", not left, f"{left} left, of 300", left=left)
        victim.judge(report, f"a victim beside slowhttptest, {name}")
        return
    try:
        with open(f"{base}.csv", newline="") as file:
            last = list(csv.DictReader(file))[-1]
    except (OSError, IndexError):
        report.add(f"slowhttptest, {name}", False, done.stdout[-200:])
        victim.judge(report, f"a victim beside slowhttptest, {name}")
        return
    counts = {key.strip().lower(): int(value) for key, value in last.items() if key and value and value.strip().isdigit()}
    left = counts.get("connected", 0) + counts.get("pending", 0)
    # It ends early when nobody is left; the last row was written before that.
    gone = "No open connections left" in done.stdout
    report.add(f"slowhttptest, {name}", gone, f"{left} left: {counts}", **counts)
    victim.judge(report, f"a victim beside slowhttptest, {name}")
