"""HTTP/2 floods, each beside well-behaved clients of four protocols: the program `floods` does the work.

Starts the proxy with one worker on a core of its own where there are two, and turns what the
program says into cases. How an attack looks is in `benches/floods/`.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import urllib.request

import stage

# Connections of each attack at once, and how long one that was ended stays away.
CONNECTIONS, PAUSE_MS = 4, 100


def run(report, binary, work, certificates, options):
    """Runs every attack that was asked for; a proxy that died gets a new start for the rest."""
    program = options.floods
    if not program or not program.exists():
        report.add("floods", False, f"{program} is no program; cargo build --example floods")
        return
    names = re.findall(r"^\s+- ([a-z_]+):", subprocess.run(
        [program, "--help"], capture_output=True, text=True).stdout, re.M)
    left = options.only.split(",") if options.only else names
    with one_queue():
        while left:
            done = _start(report, binary, work, certificates, program, left, options)
            # Attacks that ended with the proxy's end are not tried again.
            left = left[max(done, 1):]


@contextlib.contextmanager
def one_queue():
    """Lets priorities count among all processes: where the kernel divides time among sessions first, attackers
    that give way to victims still take a slice from the kernel's own threads, which bring the victims' packets."""
    setting = pathlib.Path("/proc/sys/kernel/sched_autogroup_enabled")
    try:
        before = setting.read_text()
        setting.write_text("0")
    except OSError:  # Not root, or no such kernel: latencies are worse, no more.
        yield
        return
    try:
        yield
    finally:
        setting.write_text(before)


def _start(report, binary, work, certificates, program, names, options):
    """Starts the proxy and attacks it in turn; returns how many attacks came to an end."""
    web, grpc, attacked = (stage.free_port() for _ in range(3))
    origins = {"web": web, "sockets": web, "grpc": grpc, "one": attacked}
    cores = sorted(os.sched_getaffinity(0))
    done = 0
    with (stage.Stage(binary, work / "floods", certificates, origins, workers=1) as proxy,
          stage.Stage(binary, work / "decoy", certificates, origins, workers=1) as decoy):
        pin(proxy, cores[:1], options.nice)
        give_way(decoy, cores[:1])
        command = [program, "--http1", proxy.clear, "--http2", proxy.h2c, "--decoy", decoy.h2c,
                   "--pid", proxy.worker_pid(),
                   "--web", web, "--grpc", grpc, "--attacked", attacked, "--seconds", options.seconds,
                   "--calm", max(3, min(10, options.seconds)), "--rounds", options.repeat,
                   "--connections", CONNECTIONS, "--pause-ms", PAUSE_MS, "--only", ",".join(names),
                   "--ticks-per-second", os.sysconf("SC_CLK_TCK"), "--json"]
        driver = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                                  start_new_session=True, preexec_fn=lambda: place(0, cores[1:2] or cores, options.nice))
        try:
            for line in driver.stdout:
                _add(report, json.loads(line))
                done += 1
            code = driver.wait()
        finally:
            driver.kill()
            driver.wait()
        # 1: an attack did what none may, as its line says. All else is no result.
        if code not in (0, 1):
            report.add(names[min(done, len(names) - 1)], False, f"{program} ended with {code}")
        if proxy.kind == "rhumb" and proxy.alive():
            report.add("what the proxy counted", "pass", counted(proxy.admin))
    return done


def threads(proxy):
    """All threads of a proxy."""
    return [int(thread) for pid in {proxy.process.pid, proxy.worker_pid()}
            for thread in os.listdir(f"/proc/{pid}/task")]


def pin(proxy, cores, nice):
    """Gives all of the proxy's threads a core."""
    for thread in threads(proxy):
        place(thread, cores, nice)


def give_way(proxy, cores):
    """Has the proxy run on these cores when nothing else wants to."""
    for thread in threads(proxy):
        place(thread, cores, 0)
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def place(thread, cores, nice):
    """Where a thread runs, and how urgent it is."""
    os.sched_setaffinity(thread, cores)
    if nice:
        os.setpriority(os.PRIO_PROCESS, thread, nice)


def _add(report, result):
    goaways = " ".join(f"{code}x{count}" for code, count in result["goaways"].items()) or "none"
    victims = ", ".join(
        f"{name} {victim['success_percent']:.2f} % p99 {shown(victim['calm_p99_ms'])}>{shown(victim['p99_ms'])}"
        f" (decoy {shown(victim['decoy_p99_ms'])})"
        f"{all_of(victim['slowdowns'])}"
        for name, victim in sorted(result["victims"].items()))
    detail = (f"{'; '.join(result['faults']) + ' | ' if result['faults'] else ''}GOAWAY {goaways}; "
              f"{result['frames']} frames, {result['connections']} connections, +{result['memory_bytes'] >> 20} MiB, "
              f"{result['in_hand_most']} in hand, {100 * result['busy']:.0f} % cpu; {victims}")
    report.add(result["attack"], not result["faults"], detail, **result)


def all_of(slowdowns):
    """By what factor each round was slower, where there is more than one."""
    return f" (x {' '.join(f'{factor:.1f}' for factor in slowdowns if factor)})" if len(slowdowns) > 1 else ""


def shown(milliseconds):
    """A time; none if nothing went well."""
    return "-" if milliseconds is None else f"{milliseconds:.2f}"


def counted(admin):
    """What Rhumb's metrics say of floods."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return "; ".join(line.removeprefix("rhumb_") for line in lines if line.startswith("rhumb_floods_total"))
