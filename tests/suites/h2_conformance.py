"""h2spec over clear text and over TLS: every case of its sections generic, http2 and hpack.

Cases that a proxy under test is known to fail for a good reason are written down in
`h2spec_excuses.txt`; everything else has to pass.
"""

import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml

import stage
import web

SECONDS = 900


def find(work):
    """The program: in `$H2SPEC`, in the work directory or on PATH."""
    places = [os.environ.get("H2SPEC"), work.parent / "bin" / "h2spec", shutil.which("h2spec")]
    return next((place for place in places if place and pathlib.Path(place).exists()), None)


def excuses(kind):
    """Reasons by case; a line is `kind case: reason`, a case as this suite prints it."""
    lines = (pathlib.Path(__file__).parent / "h2spec_excuses.txt").read_text().splitlines()
    found = (line.partition(": ") for line in lines if line.startswith(f"{kind} "))
    return {case.removeprefix(f"{kind} "): reason for case, _, reason in found}


def run(report, binary, work, certificates, _options):
    """Runs all of it, twice."""
    program = find(work)
    if not program:
        report.add("h2spec", False, "not found: put it on PATH, or name it in $H2SPEC")
        return
    with stage.Stage(binary, work / "h2spec", certificates, {"web": web.start()}) as proxy:
        for transport, port, options in (("clear", proxy.h2c, []), ("tls", proxy.tls, ["-t", "-k"])):
            _transport(report, proxy, program, transport, port, options)


def _transport(report, proxy, program, transport, port, options):
    result = proxy.directory / f"{transport}.xml"
    result.unlink(missing_ok=True)
    # The path has a body of some length: cases about windows need bytes to hold back.
    command = [program, "-h", "127.0.0.1", "-p", str(port), "-P", "/bytes/4096", "-o", "4",
               "--strict", "-j", str(result), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if not result.exists():
        report.add(f"{transport} h2spec", False, done.stdout[-300:] + done.stderr[-300:])
        return
    reasons = excuses(proxy.kind)
    # What a peer sent goes into the file as it is; XML has no place for control characters.
    text = re.sub(rb"[^\t\n\r\x20-\x7e]|&#x[0-9a-fA-F]+;", b"?", result.read_bytes())
    for suite in xml.fromstring(text).iter("testsuite"):
        for number, case in enumerate(suite.iter("testcase"), 1):
            name = f"{suite.get('package')}/{number}"
            failure = case.find("failure")
            failure = case.find("error") if failure is None else failure
            if case.find("skipped") is not None:
                report.add(f"{transport} {name}", "skip", case.get("classname"))
            elif failure is None:
                report.add(f"{transport} {name}", True)
            elif reason := reasons.get(f"{transport} {name}"):
                report.add(f"{transport} {name}", "excused", reason)
            else:
                report.add(f"{transport} {name}", False, f"{case.get('classname')}: {failure.text}")
    if not proxy.alive():
        report.add(f"{transport} the proxy lives", False, proxy.log_tail())
