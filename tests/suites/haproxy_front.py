"""HAProxy before the proxy: every PROXY protocol header that it can send names the right client.

A client whose address HAProxy does not have connects to it, in clear text and over TLS; what the
origin is told of the client is compared with that. HAProxy's own checks speak for nobody, and have
to be answered as well.
"""

import csv
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

import stage

ALL = "ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id"
# Name -> what stands on HAProxy's line of the server.
WAYS = {"version 1": "send-proxy", "version 2": "send-proxy-v2", "version 2 with TLS": "send-proxy-v2-ssl-cn",
        "version 2 with a checksum": "send-proxy-v2 proxy-v2-options crc32c",
        "version 2 with everything": f"send-proxy-v2 proxy-v2-options {ALL}"}
CLIENT = "127.0.0.77"
SECONDS = 10


class Origin(http.server.BaseHTTPRequestHandler):
    """Answers with what it is told of the client."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def do_GET(self):  # noqa: N802, the library's name
        """The list of addresses in `X-Forwarded-For`."""
        told = ",".join(self.headers.get_all("X-Forwarded-For", []))
        body = json.dumps([address.strip() for address in told.split(",")]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    """One whose clients may go whenever they like."""

    def handle_error(self, *_):
        """Says nothing of them."""


def run(report, binary, work, certificates, _options):
    """Each way: a client in clear text, one over TLS, and checks."""
    haproxy = shutil.which("haproxy")
    if not haproxy:
        report.add("HAProxy is installed", "skip", "apt install haproxy")
        return
    origin = Server(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with stage.Stage(binary, work / "haproxy", certificates, {"web": origin.server_port}) as proxy:
        ports = {name: (stage.free_port(), stage.free_port()) for name in WAYS}
        status = stage.free_port()
        config = proxy.directory / "front.cfg"
        config.write_text(front(ports, status, proxy.proxied, certificates))
        process = subprocess.Popen([haproxy, "-db", "-f", str(config)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            if not all(stage.reachable(port) for port in [status, *sum(ports.values(), ())]):
                raise RuntimeError(f"HAProxy does not listen; ask haproxy -c -f {config}")
            for name, (clear, secure) in ports.items():
                report.run(f"{name}, clear text", named, clear, None)
                report.run(f"{name}, TLS", named, secure, certificates.ca)
                report.run(f"{name}, checks", checked, status, name)
        finally:
            process.terminate()
            process.wait(SECONDS)


def front(ports, status, to, certificates):
    """HAProxy's configuration: for each way two ports and a server."""
    lines = ["defaults", "    mode tcp", "    timeout connect 2s", "    timeout client 10s",
             "    timeout server 10s", "    option httpchk GET /",
             "    http-check send hdr Host web.test", "frontend status", "    mode http",
             f"    bind 127.0.0.1:{status}", "    stats enable", "    stats uri /"]
    for name, (clear, secure) in ports.items():
        word = name.replace(" ", "_")
        lines += [f"frontend to_{word}", f"    bind 127.0.0.1:{clear}",
                  f"    bind 127.0.0.1:{secure} ssl crt {certificates.both}",
                  "    unique-id-format %{+X}o%ci%cp%Ts%rt", f"    default_backend {word}",
                  f"backend {word}", f"    server s 127.0.0.1:{to} {WAYS[name]} check inter 200ms"]
    return "\n".join([*lines, ""])


def named(port, authority):
    """The origin is told of the client and nobody else, for each of two requests."""
    with socket.socket() as connection:
        connection.bind((CLIENT, 0))
        connection.settimeout(SECONDS)
        connection.connect(("127.0.0.1", port))
        if authority:
            context = ssl.create_default_context(cafile=str(authority))
            connection = context.wrap_socket(connection, server_hostname="web.test")
        with connection, connection.makefile("rb") as reader:
            for _ in range(2):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
                told = answer(reader)
                if told != [CLIENT]:
                    raise AssertionError(f"the origin was told of {told}")


def answer(reader):
    """What the origin was told."""
    status, length = reader.readline(), 0
    if b" 200 " not in status:
        raise AssertionError(f"answered {status!r}")
    while line := reader.readline().strip().lower():
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return json.loads(reader.read(length))


def checked(status, name):
    """HAProxy's checks are answered: their headers have no client."""
    end, seen = time.monotonic() + SECONDS, None
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://127.0.0.1:{status}/;csv", timeout=SECONDS) as page:
            rows = csv.DictReader(page.read().decode().lstrip("# ").splitlines())
        own = [row for row in rows if row["pxname"] == name.replace(" ", "_") and row["svname"] == "s"]
        seen = own[0]["check_status"]
        if seen == "L7OK":
            return
        time.sleep(0.1)
    raise AssertionError(f"HAProxy says {seen}")
