"""An HTTP/1.1 origin that shows what reached it, and answers in every framing there is.

It is the standard library's server, so that nothing of it is shared with any proxy under test.
"""

import hashlib
import http.server
import json
import multiprocessing
import threading
import time

# Of what proxies put on or take off by their office; everything else has to come through.
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection", "content-length"}
ADDED = {"via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
         "x-request-id", "x-real-ip", "x-envoy-expected-rq-timeout-ms", "x-envoy-internal",
         "x-envoy-external-address", "x-rhumb-hops", "rhumb-hops"}
LARGE = 64 << 20
CHUNK = bytes(range(256)) * 256


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a client or a proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, *_):
        """Nothing is logged."""

    def handle_expect_100(self):
        """Refuses a body where the path says so."""
        refused = self.path.startswith("/refuse")
        if refused:
            self.close_connection = True
            self._whole(417, b"no body wanted", {"connection": "close"})
        else:
            super().handle_expect_100()
        self.wfile.flush()
        return not refused

    def do_GET(self):  # noqa: N802, the library's name
        """Answers what the path asks for."""
        body = self._body()
        word = self.path.split("?")[0].strip("/").split("/")
        getattr(self, f"_say_{word[0] or 'small'}", self._say_echo)(body, *word[1:])

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET

    def _body(self):
        """The request's body as [bytes, digest]; chunked bodies are read by hand."""
        digest, size = hashlib.sha256(), 0
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while length := int(self.rfile.readline().split(b";")[0], 16):
                digest.update(self.rfile.read(length))
                size += length
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            left = int(self.headers.get("content-length") or 0)
            while left and (piece := self.rfile.read(min(left, 1 << 16))):
                digest.update(piece)
                size, left = size + len(piece), left - len(piece)
        return size, digest.hexdigest()

    def _whole(self, status, body, fields=None):
        self.send_response(status)
        for name, value in (fields or {}).items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def _chunked(self, pieces, trailers=None):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Type", "application/octet-stream")
        if trailers:
            self.send_header("Trailer", ", ".join(trailers))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        ends = "".join(f"{name}: {value}\r\n" for name, value in (trailers or {}).items())
        self.wfile.write(f"0\r\n{ends}\r\n".encode())

    def _say_small(self, _):
        self._whole(200, b"hello\n", {"Content-Type": "text/plain", "ETag": '"1"'})

    def _say_echo(self, body, *_):
        fields = sorted((name.lower(), value) for name, value in self.headers.items()
                        if name.lower() not in HOP | ADDED)
        seen = {"method": self.command, "target": self.path, "fields": fields, "body": body}
        self._whole(200, json.dumps(seen).encode(), {"Content-Type": "application/json"})

    def _say_status(self, _, code):
        self._whole(int(code), b"a body\n", {"X-Status": code, "Location": "/elsewhere"})

    def _say_bytes(self, _, count):
        count = int(count)
        self._whole(200, (CHUNK * (count // len(CHUNK) + 1))[:count])

    def _say_large(self, _):
        self.send_response(200)
        self.send_header("Content-Length", str(LARGE))
        self.end_headers()
        for _piece in range(LARGE // len(CHUNK) if self.command != "HEAD" else 0):
            self.wfile.write(CHUNK)

    def _say_chunks(self, _):
        self._chunked([CHUNK[:1 + 997 * i] for i in range(60)])

    def _say_trailers(self, _):
        self._chunked([b"one ", b"two"], {"X-Checksum": "abc", "X-Second": "2"})

    def _say_fields(self, _):
        self.send_response(200, "Fine By Me")
        for number in range(60):
            self.send_header(f"X-Field-{number}", "v" * number)
        for value in ("a=1; Path=/", "b=2; HttpOnly", "c=3"):
            self.send_header("Set-Cookie", value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _say_close(self, _):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(CHUNK)

    def _say_events(self, _):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(5):
            event = f"data: {number}\n\n".encode()
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            self.wfile.flush()
            time.sleep(0.2)
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    """The listening side."""

    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        """Clients that leave in the middle are no news."""


def start():
    """Starts the origin in this process and returns its port."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def start_apart():
    """The same in a process of its own, which takes no time from whoever measures in this one; it ends with this one."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    context.Process(target=_serve, args=(there,), daemon=True).start()
    return here.recv()


def _serve(pipe):
    server = Server(("127.0.0.1", 0), Handler)
    pipe.send(server.server_address[1])
    server.serve_forever()
