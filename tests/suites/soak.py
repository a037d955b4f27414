"""Half an hour of mixed traffic while everything happens that happens in a year: is memory where it was,
are descriptors, has anybody failed?

Every minute an endpoint is killed and comes back, the configuration changes five times (a listener comes
and goes with it) and a flood comes; every ten minutes the program is replaced five times in a row.
Traffic: HTTP/1.1 kept alive and on new connections, over TLS too, WebSockets, and what the victims of
floods send (`flood_runs`): HTTP/1.1, HTTP/2, WebSocket and gRPC.
"""

import asyncio
import collections
import itertools
import json
import os
import pathlib
import re
import signal
import ssl
import statistics
import subprocess
import sys
import time

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions

import report
import stage

ROUND_SECONDS, ROUNDS_BETWEEN_UPGRADES, UPGRADES = 60, 10, 5
KEPT, FRESH, SECURE, SOCKETS = 8, 4, 2, 8
REST_SECONDS = 0.02
# Attacks that a round has, in turn; each lasts so long.
ATTACKS = ["rapid_reset", "continuation", "ping", "settings", "empty_data", "priority",
           "reset_by_data", "hpack_bomb", "stalled"]
FLOOD_SECONDS = 4
# A process is warm when it has had two rounds.
WARM_ROUNDS = 2
# What a process may grow by in a minute once it is warm, in MiB, and descriptors at the end beyond the start.
SLOPE, DESCRIPTORS_MORE = 0.25, 4
# Connections to endpoints that nobody uses are closed after 50 s, those of clients after 60.
ALL_CLOSED_SECONDS = 75
REQUEST = b"GET /soak HTTP/1.1\r\nHost: soak.test\r\nAccept-Encoding: gzip\r\n\r\n"
LAST_REQUEST = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


class Soaked(stage.Stage):
    """A Rhumb with a deployment more, over three regions; its process may be replaced."""

    def __init__(self, *arguments, soak, sockets, **more):
        super().__init__(*arguments, **more)
        self.soak, self.echo, self.spare = soak, sockets, stage.free_port()
        self.pid, self.changes, self.past = None, 0, set()

    def __enter__(self):
        super().__enter__()
        self.pid = self.process.pid
        return self

    def __exit__(self, *arguments):
        if self.pid and self.pid != self.process.pid:
            os.kill(self.pid, signal.SIGKILL)
        super().__exit__(*arguments)

    def _rhumb(self):
        command = super()._rhumb()
        self.plain = command[-1].read_text()
        self.change()
        return command

    def change(self):
        """Writes the configuration: another bias each time, and every second time one more listener."""
        regions = "\n".join(f"  - {{ id: soak-{n}, latitude: 0, longitude: {n}, country: US, bias: {self.changes % 50}, "
                            f'endpoints: ["http://127.0.0.1:{port}"] }}' for n, port in enumerate(self.soak))
        regions += ("\n  - { id: echo, latitude: 0, longitude: 0, country: US, "
                    f'endpoints: ["http://127.0.0.1:{self.echo}"] }}')
        deployments = (
            "  - { name: soak, hosts: [soak.test], primary_region: soak-0, replica_regions: [soak-1, soak-2], "
            "routing_strategy: round_robin, compression: {}, "
            "health_check: { path: /health, interval_seconds: 0.5, timeout_seconds: 2 }, "
            "failover: { failover_cooldown_seconds: 2 } }\n"
            "  - { name: echo, hosts: [echo.test], primary_region: echo, "
            "health_check: { path: /, interval_seconds: 3600 }, failover: { auto_failover_enabled: false } }\n")
        text = self.plain.replace("\nregions:\n", f"\nregions:\n{regions}\n")
        if self.changes % 2:
            text = text.replace("\nadmin:", f"\n  - address: 127.0.0.1:{self.spare}\nadmin:")
        self.changes += 1
        # Whole, or not at all: it is read whenever it has changed.
        fresh = self.directory / "rhumb.yaml.new"
        fresh.write_text(text + deployments)
        fresh.replace(self.directory / "rhumb.yaml")

    def replace(self):
        """Puts a new process in place; seconds until it serves."""
        old, began = self.pid, time.monotonic()
        os.kill(old, signal.SIGUSR2)
        while time.monotonic() - began < 30:
            for pid in self._others():
                if re.search(rf" ready .*pid={pid}\b", self.log_tail(20_000)):
                    self.past.add(old)
                    self.pid = pid
                    return time.monotonic() - began
            time.sleep(0.05)
        raise RuntimeError(f"no process has taken over; its log:\n{self.log_tail()}")

    def _others(self):
        """Processes of the same program and configuration that have not served before."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in self.past | {self.pid}:
                try:
                    arguments = (entry / "cmdline").read_bytes()
                    if os.path.samefile(entry / "exe", self.binary) and str(self.directory).encode() in arguments:
                        yield int(entry.name)
                except OSError:
                    continue

    def memory_mib(self):
        """What the process has now."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def descriptors(self):
        """How many are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Traffic:
    """Clients that ask for as long as they may, and what became of their requests."""

    def __init__(self, proxy, authority):
        self.proxy, self.fates, self.faults = proxy, collections.Counter(), []
        self.tls = ssl.create_default_context(cafile=authority)
        self.ended = False

    def fate(self, what, fate, detail=""):
        """Counts what became of something."""
        self.fates[f"{what} {fate}"] += 1
        if fate == "failed" and len(self.faults) < 5:
            self.faults.append(f"{what}: {detail}")

    async def run(self, schedule):
        """Lets clients ask until the schedule is through."""
        clients = [self.kept() for _ in range(KEPT)] + [self.fresh() for _ in range(FRESH)]
        clients += [self.kept(secure=True) for _ in range(SECURE)] + [self.talk() for _ in range(SOCKETS)]
        tasks = [asyncio.create_task(client) for client in clients]
        await asyncio.to_thread(schedule)
        self.ended = True
        await asyncio.wait(tasks, timeout=30)

    async def connect(self, secure=False):
        """A connection to the proxy."""
        if secure:
            return await asyncio.open_connection("127.0.0.1", self.proxy.tls, ssl=self.tls, server_hostname="web.test")
        return await asyncio.open_connection("127.0.0.1", self.proxy.clear)

    async def fresh(self):
        """A connection for each request."""
        while not self.ended:
            try:
                reader, writer = await self.connect()
                writer.write(LAST_REQUEST)
                status, _ = await answer(reader)
                self.fate("fresh", "good" if status == 200 else "failed", status)
                writer.close()
            except (OSError, EOFError, ValueError) as error:
                self.fate("fresh", "failed", repr(error))
            await asyncio.sleep(REST_SECONDS)

    async def kept(self, secure=False):
        """One connection for as long as the proxy keeps it."""
        what, reader = "kept over TLS" if secure else "kept", None
        while not self.ended:
            asked_before = reader is not None
            try:
                if reader is None:
                    reader, writer = await self.connect(secure)
                writer.write(REQUEST)
                status, closes = await answer(reader)
                self.fate(what, "good" if status == 200 else "failed", status)
                if closes:
                    writer.close()
                    reader = None
            except (OSError, EOFError, ValueError) as error:
                # A connection may end between two requests, and the request come too late.
                late = asked_before and not (reader and reader.heard)
                self.fate(what, "closed while idle" if late else "failed", repr(error))
                reader = None
            await asyncio.sleep(REST_SECONDS)

    async def talk(self):
        """A WebSocket for some seconds, and then another one."""
        for turn in itertools.count():
            if self.ended:
                return
            try:
                async with websockets.asyncio.client.connect(
                        "ws://echo.test/", host="127.0.0.1", port=self.proxy.clear, ping_interval=None,
                        compression=None, proxy=None) as talk:
                    for word in range(40 + turn % 7):
                        await talk.send(str(word))
                        if await talk.recv() != str(word):
                            raise ValueError("another word came back")
                        await asyncio.sleep(REST_SECONDS * 5)
                self.fate("WebSocket", "good")
            except websockets.exceptions.ConnectionClosed as closed:
                told = closed.rcvd is not None and closed.rcvd.code == 1001
                self.fate("WebSocket", "told to go" if told else "failed", repr(closed))
            except (OSError, EOFError, ValueError, websockets.exceptions.WebSocketException) as error:
                self.fate("WebSocket", "failed", repr(error))
                await asyncio.sleep(REST_SECONDS)


async def answer(reader):
    """A status, and whether the connection ends."""
    reader.heard = False
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    reader.heard = True
    fields = head.lower()
    if b"\r\ntransfer-encoding: chunked" in fields:
        while length := int(await reader.readline(), 16):
            await reader.readexactly(length + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(fields.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0]))
    return int(head.split()[1]), b"\r\nconnection: close" in fields


class Endpoint:
    """An origin that can be killed."""

    def __init__(self, binary):
        self.binary, self.port = binary, stage.free_port()
        self.start()

    def start(self):
        """Starts it, or starts it again."""
        self.process = subprocess.Popen([self.binary, "origin", "--address", f"127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        """Kills it."""
        self.process.kill()
        self.process.wait()


class Schedule:
    """What happens, round by round; and what is measured between."""

    def __init__(self, proxy, endpoints, rounds, floods, victims):
        self.proxy, self.endpoints, self.rounds = proxy, endpoints, rounds
        self.floods, self.victims = floods, victims
        # For each process: minutes and MiB.
        self.lives, self.took, self.flooded = [[]], [], []

    def __call__(self):
        for number in range(self.rounds):
            began = time.monotonic()
            if number and number % ROUNDS_BETWEEN_UPGRADES == 0:
                self.took += [self._upgrade() for _ in range(UPGRADES)]
                self.lives.append([])
            self._round(number)
            time.sleep(max(0.0, began + ROUND_SECONDS - 1 - time.monotonic()))
            self.lives[-1].append((number, self.proxy.memory_mib()))
            # For whoever waits half an hour.
            print(f"round {number + 1} of {self.rounds}: {self.lives[-1][-1][1]:.1f} MiB, "
                  f"{self.proxy.descriptors()} descriptors", file=sys.stderr, flush=True)
            time.sleep(max(0.0, began + ROUND_SECONDS - time.monotonic()))

    def _upgrade(self):
        took = self.proxy.replace()
        time.sleep(1)
        return took

    def _round(self, number):
        victim = self.endpoints[number % len(self.endpoints)]
        victim.kill()
        time.sleep(4)
        victim.start()
        for _ in range(5):
            self.proxy.change()
            time.sleep(2)
        if self.floods:
            self.flooded.append(self._flood(ATTACKS[number % len(ATTACKS)]))

    def _flood(self, attack):
        proxy, (web, grpc, attacked) = self.proxy, self.victims
        command = [self.floods, "--http1", proxy.clear, "--http2", proxy.h2c, "--pid", proxy.pid, "--web", web,
                   "--grpc", grpc, "--attacked", attacked, "--seconds", FLOOD_SECONDS, "--calm", 3, "--only", attack,
                   "--ticks-per-second", os.sysconf("SC_CLK_TCK"), "--json"]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout.splitlines()[-1])


def slope(samples):
    """MiB a minute."""
    return statistics.linear_regression(*zip(*samples)).slope if len(samples) > 1 else 0.0


def run(results, binary, work, certificates, chosen):
    """The suite."""
    if stage.kind_of(binary) != "rhumb":
        results.add("half an hour", report.SKIP, "its way of replacing itself is Rhumb's")
        return
    victims = tuple(stage.free_port() for _ in range(3))
    hosts = {"web": victims[0], "sockets": victims[0], "grpc": victims[1], "one": victims[2]}
    endpoints, echo = [Endpoint(binary) for _ in range(3)], stage.free_port()
    try:
        with Soaked(binary, work / "soak", certificates, hosts, soak=[e.port for e in endpoints], sockets=echo) as proxy:
            schedule = Schedule(proxy, endpoints, chosen.rounds, chosen.floods, victims)
            asyncio.run(measure(results, proxy, schedule, certificates.ca, echo))
    finally:
        for endpoint in endpoints:
            endpoint.kill()


async def measure(results, proxy, schedule, authority, echo):
    """Runs the schedule under traffic, and looks at what is left."""
    async def say_it_again(talk):
        async for word in talk:
            await talk.send(word)

    async with websockets.asyncio.server.serve(say_it_again, "127.0.0.1", echo, ping_interval=None):
        # Checks have made their connections.
        await asyncio.sleep(5)
        before = proxy.descriptors()
        traffic = Traffic(proxy, authority)
        await traffic.run(schedule)
        proxy.changes -= proxy.changes % 2
        proxy.change()
        await asyncio.sleep(ALL_CLOSED_SECONDS)
        judge(results, proxy, schedule, traffic, before)


def judge(results, proxy, schedule, traffic, before):
    """What came of it."""
    failed = sum(count for fate, count in traffic.fates.items() if fate.endswith("failed"))
    results.add("nobody failed", failed == 0 and traffic.fates["fresh good"] > 0,
                f"{dict(sorted(traffic.fates.items()))} {'; '.join(traffic.faults)}", fates=dict(traffic.fates))
    for number, life in enumerate(schedule.lives):
        warm = life[WARM_ROUNDS:]
        grown = slope(warm)
        results.add(f"memory of process {number + 1} stays", abs(grown) < SLOPE or grown < 0,
                    f"{grown:+.3f} MiB a minute; {' '.join(f'{mib:.1f}' for _, mib in life)}", slope=grown, samples=life)
    after = proxy.descriptors()
    results.add("descriptors are back", after <= before + DESCRIPTORS_MORE, f"{before} before, {after} after",
                before=before, after=after)
    if schedule.took:
        results.add("it was replaced", True, f"{len(schedule.took)} times, {max(schedule.took):.2f} s at most",
                    upgrades=len(schedule.took))
    harmed = [f"{flood['attack']}: {'; '.join(flood['faults'])}" for flood in schedule.flooded if any(
        victim["success_percent"] < 99.9 for victim in flood["victims"].values())]
    if schedule.flooded:
        results.add("victims of floods were served", not harmed, f"{len(schedule.flooded)} floods; {harmed or 'none harmed'}")
    results.add("it lives", pathlib.Path(f"/proc/{proxy.pid}").exists(), f"{proxy.changes} changes of the configuration")
