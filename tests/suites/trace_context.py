"""The suite of W3C Trace Context (github.com/w3c/trace-context, directory `test`), levels 1 and 2, strict.

It asks a service to call it back, and looks at the trace context that comes with the calls. The service here
copies what it is sent and knows nothing of traces, so what changes is Rhumb's work: on the way to the
service, or on the way back. `$TRACE_CONTEXT` is a copy of the repository, or its directory `test`.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import socket
import socketserver
import sys
import threading
import unittest
import urllib.parse

import stage

NAME = "trace_context_suite"
PATIENCE = 5


class Relay(socketserver.StreamRequestHandler):
    """The service: makes the calls that it is asked for, with the lines of trace context as they came."""

    def handle(self):
        """One request on each connection, taken apart by hand: no byte of a line may change."""
        length, lines = 0, []
        if not self.rfile.readline():
            return
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name = line.partition(b":")[0].lower()
            if name == b"content-length":
                length = int(line.partition(b":")[2])
            elif name.startswith(b"trace"):
                lines.append(line)
        # Without a body it is a check of Rhumb's.
        for call in json.loads(self.rfile.read(length) or b"null") or []:
            self.server.call(call, lines)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n"
                         b"Connection: close\r\n\r\nnull")


class Service(socketserver.ThreadingTCPServer):
    """Calls go to `via`, a port and a host name; without it, to where they are addressed."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, via=None):
        super().__init__(("127.0.0.1", 0), Relay)
        self.via = via
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def call(self, call, lines):
        """One call, answered."""
        url = urllib.parse.urlsplit(call["url"])
        port, host = self.via or (url.port, url.netloc)
        body = json.dumps(call.get("arguments") or []).encode()
        head = (f"POST {url.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n").encode()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(head + b"".join(lines) + b"\r\n" + body)
            answer = connection.makefile("rb").read()
            if b" 200 " not in answer[:20]:
                raise RuntimeError(f"{call['url']}: {answer[:200]}")


class Cases(unittest.TestResult):
    """Results as arguments of `Report.add`."""

    def __init__(self, way):
        super().__init__()
        self.way, self.lines = way, []

    def tell(self, test, good, detail=""):
        """Keeps one line."""
        self.lines.append((f"{test.id().rpartition('.')[2]}, {self.way}", good, detail))

    def addSuccess(self, test):
        self.tell(test, True)

    def addFailure(self, test, err):
        self.tell(test, False, err[1])

    def addError(self, test, err):
        self.tell(test, False, f"{err[0].__name__}: {err[1]}")

    def addSkip(self, test, reason):
        self.tell(test, "skip", reason)


def run(report, binary, work, certificates, _options):
    """The suite with Rhumb before the service, then behind it."""
    found = os.environ.get("TRACE_CONTEXT")
    if stage.kind_of(binary) != "rhumb":
        report.add("W3C Trace Context", "skip", "only Rhumb is told to trace")
        return
    if not found:
        report.add("W3C Trace Context", "skip", "TRACE_CONTEXT names no copy of github.com/w3c/trace-context")
        return
    directory = pathlib.Path(found)
    directory = directory / "test" if (directory / "test" / "test.py").exists() else directory
    # Of several calls of one request, only those through Rhumb can have spans of their own.
    before(report, binary, work / "before", certificates, directory)
    behind(report, binary, work / "behind", certificates, directory)


def before(report, binary, work, certificates, directory):
    """The suite's own requests go through Rhumb; nothing that starts here is recorded."""
    service, harness = Service(), stage.free_port()
    origins = {"web": service.server_address[1]}
    with stage.Stage(binary, work, certificates, origins, rhumb=tracing(0)) as proxy:
        suite(report, "on the way in", work, directory, harness, proxy.clear, ("TraceContextTest", "TraceContext2Test"))
    service.shutdown()


def behind(report, binary, work, certificates, directory):
    """The calls of the service go through Rhumb; everything is recorded."""
    harness = stage.free_port()
    with stage.Stage(binary, work, certificates, {"one": harness}, rhumb=tracing(1)) as proxy:
        service = Service(via=(proxy.clear, stage.HOSTS["one"]))
        port = service.server_address[1]
        suite(report, "on the way out", work, directory, harness, port,
              ("TraceContextTest", "AdvancedTest", "TraceContext2Test"))
        service.shutdown()


def tracing(sample):
    """The part of Rhumb's configuration; nobody takes the spans."""
    return (f'tracing: {{ otlp: {{ endpoint: "http://127.0.0.1:{stage.free_port()}", timeout_seconds: 1 }}, '
            f"sample: {sample} }}")


def suite(report, way, work, directory, harness, endpoint, classes):
    """Runs these classes of the suite against a port."""
    os.environ.update(SERVICE_ENDPOINT=f"http://127.0.0.1:{endpoint}/test", STRICT_LEVEL="2", SPEC_LEVEL="2")
    with (work / "suite.log").open("w") as log, contextlib.redirect_stdout(log):
        module = load(directory)
        module.client = module.TestClient(host="127.0.0.1", port=harness, timeout=PATIENCE + 1)
        module.server = module.TestServer(host="127.0.0.1", port=harness, timeout=PATIENCE)
        loader = unittest.TestLoader()
        tests = unittest.TestSuite(loader.loadTestsFromTestCase(getattr(module, name)) for name in classes)
        result = Cases(way)
        tests.run(result)
    for case in result.lines:
        report.add(*case)
    report.add(f"all of it, {way}", result.testsRun > 35, f"only {result.testsRun} cases have run")


def load(directory):
    """The suite's module; its name would be that of one of Python's own."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    spec = importlib.util.spec_from_file_location(NAME, directory / "test.py")
    sys.modules[NAME] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
