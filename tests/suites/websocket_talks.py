"""WebSocket dialogues of Python's `websockets` and npm's `ws`, each as client and as server, and of a
small client for HTTP/2 (RFC 8441): through the proxy they have to be what they are without it.

Text, binary, fragments, large messages, ping and pong from either side, close codes from either
side, half-closed connections, and servers that refuse.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import websockets.datastructures
import websockets.exceptions
import websockets.frames
import websockets.http11
import websockets.sync.client
import websockets.sync.server
import websockets.utils

import stage

LARGE = 8 << 20
PATIENCE = 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXTS = ["hello", "a\u00e9\u20ac\U0001f600", bytes(range(256)), "", ["one ", "two ", "three"],
         bytes([7]) * LARGE, [bytes([n]) * 70_000 for n in range(4)]]


def echo(connection):
    """The Python server: each fragment back as a fragment."""
    while True:
        pieces = list(connection.recv_streaming())
        text = pieces[0] if len(pieces) == 1 else None
        if isinstance(text, str) and text.startswith("close "):
            connection.close(int(text[6:]), "as asked")
        elif text == "ping me":
            connection.ping("from the server").wait(PATIENCE)
            connection.send("pong: from the server")
        else:
            connection.send(text if text is not None else pieces)


def refuse(_connection, request):
    """Some paths are no WebSocket."""
    if request.path.startswith("/forbidden"):
        return websockets.http11.Response(403, "Forbidden", websockets.datastructures.Headers(
            {"X-Why": "asked for", "Content-Length": "3"}), b"no\n")
    return None


def serve():
    """Starts the Python server; its port."""
    server = websockets.sync.server.serve(
        quiet, "127.0.0.1", 0, subprotocols=["chat"], max_size=None, process_request=refuse,
        ping_interval=None, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.socket.getsockname()[1]


def quiet(connection):
    """The server's end of a connection; its end is no news."""
    try:
        echo(connection)
    except websockets.exceptions.ConnectionClosed:
        pass


def short(message):
    """A message in a form that can be compared and shown."""
    data = message.encode() if isinstance(message, str) else message
    kind = "text" if isinstance(message, str) else "binary"
    return [kind, len(data), hashlib.sha256(data).hexdigest() if len(data) > 64 else repr(message)]


def python(port, host, trust, path="/"):
    """What the Python client hears."""
    heard = []
    raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    context = ssl.create_default_context(cafile=trust.ca) if trust else None
    address = f"{'wss' if trust else 'ws'}://{host}{path}"
    try:
        with websockets.sync.client.connect(
                address, sock=raw, ssl=context, subprotocols=["chat"], max_size=None, proxy=None,
                compression=None, ping_interval=None, user_agent_header=None) as connection:
            heard.append(["open", connection.subprotocol])
            for message in TEXTS:
                connection.send(message)
                heard.append([short(piece) for piece in connection.recv_streaming()])
            heard.append(["pong", connection.ping("from the client").wait(PATIENCE)])
            connection.send("ping me")
            heard.append(short(connection.recv(PATIENCE)))
            connection.send("close 4321")
            connection.recv(PATIENCE)
    except websockets.exceptions.ConnectionClosed as closed:
        heard.append(["close", closed.rcvd and closed.rcvd.code, closed.rcvd and closed.rcvd.reason])
    except websockets.exceptions.InvalidStatus as refused:
        answer = refused.response
        heard.append(["refused", answer.status_code, answer.headers.get("x-why"), bytes(answer.body or b"")])
    return heard


def node(work, port, host, trust, certificates):
    """What the client of `ws` hears."""
    url = f"{'wss' if trust else 'ws'}://{host}:{port}/"
    done = subprocess.run(["node", script(), "client", url, str(certificates.ca)], env=modules(work),
                          capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout) if done.stdout else [["error", done.stderr[-200:]]]


def script():
    """The program for node."""
    return str(pathlib.Path(__file__).parent / "websocket_node.js")


def modules(work):
    """The environment in which node finds `ws`."""
    return {**os.environ, "MODULES": str(work.parent / "node")}


class Http2:
    """One WebSocket over one stream of HTTP/2; frames are made and read by the `websockets` package."""

    def __init__(self, port, host, trust, path="/"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if trust:
            context = ssl.create_default_context(cafile=trust.ca)
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.data, self.head, self.ended, self.settings = b"", None, None, {}
        self._flush()
        self._until(lambda: self.settings)
        if self.settings.get(8) != 1:
            raise ValueError("the proxy does not offer extended CONNECT (SETTINGS 8)")
        self.h2.send_headers(1, [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https" if trust else "http"),
            (":path", path), (":authority", host), ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"), ("origin", "http://web.test")])
        self._flush()
        self._until(lambda: self.head or self.ended)
        if not self.head or self.head[":status"] != "200":
            raise ValueError(f"no tunnel: {self.head or self.ended}")

    def _flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def _until(self, ready):
        while not ready():
            received = self.socket.recv(1 << 16)
            if not received:
                raise ConnectionError("the connection ended")
            for event in self.h2.receive_data(received):
                match event:
                    case h2.events.RemoteSettingsChanged():
                        self.settings = {int(code): change.new_value for code, change in event.changed_settings.items()}
                        self.settings[0] = 0
                    case h2.events.ResponseReceived():
                        self.head = dict(event.headers)
                    case h2.events.DataReceived():
                        self.data += event.data
                        # The end of the stream may have come along.
                        with contextlib.suppress(h2.exceptions.StreamClosedError):
                            self.h2.acknowledge_received_data(event.flow_controlled_length, 1)
                    case h2.events.StreamEnded():
                        self.ended = "end"
                    case h2.events.StreamReset():
                        self.ended = f"reset {event.error_code}"
            self._flush()

    def send(self, data, end=False):
        """Bytes of the tunnel."""
        while data:
            # The proxy's side may have ended already; that is no reason to send beyond its window.
            self._until(lambda: self.h2.local_flow_control_window(1) > 0)
            size = min(len(data), self.h2.local_flow_control_window(1), self.h2.max_outbound_frame_size)
            self.h2.send_data(1, data[:size])
            data = data[size:]
            self._flush()
        if end:
            self.h2.end_stream(1)
            self._flush()

    def frame(self, opcode, data, fin=True):
        """One frame of WebSocket to the server."""
        self.send(websockets.frames.Frame(opcode, data, fin).serialize(mask=True))

    def take(self, size):
        """Bytes of the tunnel; fewer if it ended."""
        self._until(lambda: len(self.data) >= size or self.ended)
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def next(self):
        """One frame of the server."""
        head = self.take(2)
        if len(head) < 2:
            return ["ended", self.ended]
        length = head[1] & 127
        if length > 125:
            length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
        data = self.take(length)
        return [head[0] & 15, head[0] >> 7, length, hashlib.sha256(data).hexdigest() if length > 125 else data]


def frames_over_http2(port, host, trust):
    """What comes back over HTTP/2, frame by frame."""
    over = Http2(port, host, trust)
    heard = [["open", over.head[":status"], over.head.get("sec-websocket-protocol")]]
    _frames(heard, over.frame, over.next)
    heard.append(["end", over.take(1)])
    return heard


def frames_direct(port, host):
    """The same over a bare connection to the origin."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    raw.sendall(upgrade(host, "Sec-WebSocket-Protocol: chat\r\n"))
    stream = raw.makefile("rb")
    head = read_head(stream)
    heard = [["open", "200" if b" 101 " in head else head, "chat" if b"chat" in head else None]]

    def send(opcode, data, fin=True):
        raw.sendall(websockets.frames.Frame(opcode, data, fin).serialize(mask=True))
    tunnel = Http2.__new__(Http2)
    tunnel.take, tunnel.ended = stream.read, "end"
    _frames(heard, send, tunnel.next)
    heard.append(["end", stream.read(1)])
    return heard


def _frames(heard, send, receive):
    op = websockets.frames.Opcode
    for opcode, data in ((op.TEXT, b"hello"), (op.BINARY, bytes(range(256))), (op.TEXT, b""), (op.BINARY, bytes(100_000)),
                         (op.BINARY, bytes([7]) * LARGE), (op.PING, b"ping")):
        send(opcode, data)
        heard.append(receive())
    send(op.TEXT, b"one ", False)
    send(op.CONT, b"two", True)
    # Fragments may come back as they were, or as one frame.
    while not (piece := receive())[1]:
        heard.append(piece)
    heard.append(piece)
    send(op.TEXT, b"close 4321")
    heard.append(receive())
    send(op.CLOSE, b"\x10\xe1as asked")


def upgrade(host, more="", path="/"):
    """A request for a WebSocket over HTTP/1.1."""
    return (f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n").encode()


def read_head(stream):
    """A head of HTTP/1.1."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            raise ConnectionError(f"the connection ended after {head!r}")
        head += line
    return head


def tunnel_origin():
    """An origin that accepts any upgrade, reads to the end, and only then answers; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            head = read_head(stream)
            if b"/refuse" in head:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
                return
            # The first bytes of the tunnel come with the head.
            # Over HTTP/2 there is no key: the proxy makes one up, and may check what comes of it.
            key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head)
            accept = websockets.utils.accept_key(key[1].decode() if key else "").encode()
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\nfirst")
            if b"/ends" in head:
                connection.shutdown(socket.SHUT_WR)
            said = stream.read()
            if b"/ends" not in head:
                connection.sendall(b"after the end: " + hashlib.sha256(said).hexdigest().encode())
            ends.append(hashlib.sha256(said).hexdigest())
    ends = []

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(connection,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1], ends


def half_closed(port, host, trust, http2):
    """The client ends its side first, and still hears the origin."""
    text = bytes(range(256)) * 400
    if http2:
        over = Http2(port, host, trust)
        over.send(text, end=True)
        return over.take(1 << 20)
    raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    raw.sendall(upgrade(host))
    stream = raw.makefile("rb")
    read_head(stream)
    raw.sendall(text)
    raw.shutdown(socket.SHUT_WR)
    return stream.read()


def origin_half_closed(port, host, http2, ends):
    """The origin ends its side first, and still hears the client."""
    text, before = os.urandom(100_000), len(ends)
    if http2:
        over = Http2(port, host, None, "/ends")
        heard = over.take(1 << 20)
        over.send(text, end=True)
    else:
        raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        raw.sendall(upgrade(host, path="/ends"))
        stream = raw.makefile("rb")
        read_head(stream)
        heard = stream.read()
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
    for _ in range(100):
        if len(ends) > before:
            break
        threading.Event().wait(0.05)
    got = ends[before] if len(ends) > before else "nothing"
    if heard != b"first" or got != hashlib.sha256(text).hexdigest():
        raise ValueError(f"the client heard {heard[:80]!r}, the origin {got}")


def no_upgrade(port, host):
    """An origin that answers 200 to an upgrade makes no tunnel."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    raw.sendall(upgrade(host, path="/refuse"))
    stream = raw.makefile("rb")
    head = read_head(stream)
    return [head.split(b"\r\n")[0], stream.read(2)]


def run(report, binary, work, certificates, _options):
    """Each client with each server, over each way."""
    (port, ends), origins = tunnel_origin(), {"sockets": serve()}
    origins["raw"] = port
    child = None
    if shutil.which("node") and (work.parent / "node" / "node_modules").exists():
        child = subprocess.Popen(["node", script(), "server"], env=modules(work), text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        origins["node"] = int(child.stdout.readline())
    else:
        report.add("ws of npm", "skip", "node or npm is missing")
    try:
        with stage.Stage(binary, work / "websocket", certificates, origins) as proxy:
            talks(report, proxy, work, certificates, origins)
            ends_of_tunnels(report, proxy, certificates, origins["raw"], ends)
    finally:
        if child:
            child.kill()
            child.wait()


def attempt(function, *arguments):
    """What a dialogue comes to, be it an error."""
    try:
        return function(*arguments)
    except Exception as error:  # It is compared, and shown where it differs.
        return f"{type(error).__name__}: {error}"


def same(report, name, direct, through):
    """Adds a comparison; a dialogue that fails without the proxy says nothing of the proxy."""
    if isinstance(direct, str):
        report.add(name, False, f"going direct fails: {direct}")
    else:
        report.same(name, direct, through)


def talks(report, proxy, work, certificates, origins):
    """All dialogues."""
    for name in ("sockets", "node"):
        if name not in origins:
            continue
        host, server = stage.HOSTS[name], "websockets" if name == "sockets" else "ws"
        ways = (("HTTP/1.1", proxy.clear, None), ("TLS HTTP/1.1", proxy.tls, certificates))
        direct = attempt(python, origins[name], host, None)
        for way, port, trust in ways:
            same(report, f"websockets with {server}, {way}", direct, attempt(python, port, host, trust))
        if "node" in origins:
            direct = attempt(node, work, origins[name], host, None, certificates)
            for way, port, trust in ways:
                through = attempt(node, work, port, host, trust, certificates)
                same(report, f"ws with {server}, {way}", direct, through)
        direct = attempt(frames_direct, origins[name], host)
        for way, port, trust in (("HTTP/2", proxy.h2c, None), ("TLS HTTP/2", proxy.tls, certificates)):
            same(report, f"frames with {server}, {way}", direct, attempt(frames_over_http2, port, host, trust))
    host = stage.HOSTS["sockets"]
    direct = attempt(python, origins["sockets"], host, None, "/forbidden")
    same(report, "a server that refuses", direct, attempt(python, proxy.clear, host, None, "/forbidden"))


def ends_of_tunnels(report, proxy, certificates, origin, ends):
    """Who ends first, and who still hears."""
    host = stage.HOSTS["raw"]
    direct = attempt(half_closed, origin, host, None, False)
    for way, port, trust, http2 in (("HTTP/1.1", proxy.clear, None, False), ("HTTP/2", proxy.h2c, None, True),
                                    ("TLS HTTP/2", proxy.tls, certificates, True)):
        same(report, f"the client ends first, {way}", direct, attempt(half_closed, port, host, trust, http2))
    report.run("the origin ends first, direct", origin_half_closed, origin, host, False, ends)
    report.run("the origin ends first, HTTP/1.1", origin_half_closed, proxy.clear, host, False, ends)
    report.run("the origin ends first, HTTP/2", origin_half_closed, proxy.h2c, host, True, ends)
    same(report, "200 to an upgrade", attempt(no_upgrade, origin, host), attempt(no_upgrade, proxy.clear, host))
