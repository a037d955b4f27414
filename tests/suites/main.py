"""Runs suites against a proxy; `run` prepares what they need and starts this."""

import argparse
import importlib
import pathlib
import signal
import sys
import time

import report
import stage

# Word on the command line -> module.
SUITES = {"h2spec": "h2_conformance", "curl": "web_clients", "grpc": "grpc_calls", "websocket": "websocket_talks",
          "tls": "tls_scanners", "haproxy": "haproxy_front", "trace": "trace_context", "slow": "slow_clients",
          "floods": "flood_runs", "overload": "overload", "soak": "soak"}


def options():
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/suites/run", description=__doc__.splitlines()[0])
    parser.add_argument("binary", help="a Rhumb; or an nginx, haproxy or envoy to try the suites on")
    parser.add_argument("suites", nargs="*", metavar="suite", choices=[*SUITES, []],
                        help=f"any of {', '.join(SUITES)}; absent: all")
    parser.add_argument("--json", action="store_true", help="JSON on standard output in place of tables")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="directory for tools and results")
    parser.add_argument("--seconds", type=int, default=30, help="how long each flood lasts [30]")
    parser.add_argument("--repeat", type=int, default=1,
                        help="how often each flood is measured; of the slowdowns the median counts [1]")
    parser.add_argument("--nice", type=int, default=0,
                        help="of proxy and victims during floods: below 0 where others use the machine [0]")
    parser.add_argument("--rounds", type=int, default=30, help="minutes that `soak` lasts [30]")
    parser.add_argument("--only", default="", help="cases of `floods` and `slow`, separated by commas; absent: all")
    parser.add_argument("--floods", type=pathlib.Path, help="the program that floods (cargo example `floods`)")
    return parser.parse_args()


def main():
    """Runs what was asked for; returns the exit code."""
    chosen = options()
    # Whoever ends this ends the proxy as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    certificates = stage.Certificates(chosen.work / "certificates")
    results = report.Report(quiet=chosen.json)
    kind = stage.kind_of(chosen.binary)
    started = time.time()
    for suite in chosen.suites or SUITES:
        results.suite = suite
        try:
            module = importlib.import_module(SUITES[suite])
            module.run(results, chosen.binary, chosen.work / kind, certificates, chosen)
        except Exception as error:  # A suite that cannot run is a failure of that suite, not of the rest.
            results.add("the suite runs", False, f"{type(error).__name__}: {error}")
    if chosen.json:
        print(results.json(proxy=chosen.binary, kind=kind, seconds=round(time.time() - started)))
    else:
        print(results.summary())
    return 1 if results.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
