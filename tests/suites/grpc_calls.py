"""gRPC of Google's library on both sides: every call has to end through the proxy as it does without it.

All four kinds of calls, metadata, trailers, errors, deadlines, cancellation, large messages, many
at once; over clear text and TLS on either side of the proxy. Messages are bytes: no stubs needed.
"""

import concurrent.futures
import hashlib
import threading
import time

import grpc

import stage

# Metadata that proxies add by their office.
OWN = {"via", "date", "server", "x-request-id", "x-envoy-upstream-service-time", "proxy-status",
       "strict-transport-security", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "alt-svc",
       "x-envoy-expected-rq-timeout-ms", "x-real-ip", "user-agent", "rhumb-hops", "x-rhumb-hops"}
LARGE = 8 << 20
PATIENCE = 20
CANCEL = 1.0


class Origin(grpc.GenericRpcHandler):
    """A server of every kind of call; `ended` says when calls without end were given up."""

    def __init__(self):
        self.ended = {}
        self.started = {}
        self.changed = threading.Condition()

    def service(self, details):
        """Finds the handler of a call by the last word of its path."""
        calls = {"Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                 "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
                 "Spread": grpc.unary_stream_rpc_method_handler(self.spread),
                 "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
                 "Fail": grpc.unary_stream_rpc_method_handler(self.fail),
                 "Metadata": grpc.unary_unary_rpc_method_handler(self.metadata),
                 "Hang": grpc.unary_stream_rpc_method_handler(self.hang),
                 "Remaining": grpc.unary_unary_rpc_method_handler(self.remaining)}
        return calls.get(details.method.rpartition("/")[2])

    def unary(self, request, _context):
        """The same again."""
        return request

    def collect(self, requests, _context):
        """The digest of all."""
        digest = hashlib.sha256()
        count = 0
        for request in requests:
            digest.update(request)
            count += 1
        return f"{count} {digest.hexdigest()}".encode()

    def spread(self, request, _context):
        """As many messages as the request says."""
        for number in range(int(request)):
            yield bytes([number % 256]) * (number * 37 % 5000)

    def chat(self, requests, context):
        """Each one back before the next is read."""
        for request in requests:
            yield request.upper()
        context.set_trailing_metadata([("x-end", "of chat")])

    def fail(self, request, context):
        """So many messages, then a status."""
        code, messages = request.decode().split()
        for number in range(int(messages)):
            yield str(number).encode()
        context.set_trailing_metadata([("x-why", "asked for"), ("x-why-bin", bytes(range(256)))])
        context.abort(next(status for status in grpc.StatusCode if status.value[0] == int(code)),
                      "as asked: ünd 100 %\n")

    def metadata(self, _request, context):
        """What came in, as text; some of it goes back."""
        context.send_initial_metadata([("x-first", "1"), ("x-many", "a"), ("x-many", "b"), ("x-raw-bin", b"\0\xff")])
        context.set_trailing_metadata([("x-last", "2"), ("x-last-bin", bytes(range(256)))])
        return repr(sorted(item for item in plain(context.invocation_metadata()))).encode()

    def hang(self, request, context):
        """One message, then nothing until the call is given up."""
        def end():
            with self.changed:
                self.ended[request] = time.monotonic()
                self.changed.notify_all()
        context.add_callback(end)
        yield b"started"
        while context.is_active():
            time.sleep(0.02)

    def remaining(self, _request, context):
        """Whether the origin knows of a deadline, in whole seconds."""
        left = context.time_remaining()
        return b"none" if left is None or left > 1e6 else str(round(left)).encode()

    def end_of(self, request, since):
        """How long after `since` a call was given up."""
        with self.changed:
            if not self.changed.wait_for(lambda: request in self.ended, 5):
                raise TimeoutError("the origin still works on it after 5 s")
            return self.ended[request] - since


def serve(origin, certificates):
    """Starts the origin; its clear-text and its TLS port."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), [origin], options=options)
    pair = (certificates.key.read_bytes(), certificates.chain.read_bytes())
    secure = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    clear = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, clear, secure


def dial(port, host, certificates=None):
    """A channel to a port that asks for a host."""
    options = [("grpc.default_authority", host), ("grpc.max_receive_message_length", -1),
               ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0),
               ("grpc.use_local_subchannel_pool", 1)]
    if certificates is None:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options)
    options.append(("grpc.ssl_target_name_override", host))
    credentials = grpc.ssl_channel_credentials(certificates.ca.read_bytes())
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)


def plain(metadata):
    """Metadata that can be compared."""
    return [(key, value) for key, value in metadata or () if key not in OWN]


def outcome(call, messages=None):
    """How a call ended."""
    return {"messages": messages, "status": call.code().name, "details": call.details(),
            "initial": plain(call.initial_metadata()), "trailing": plain(call.trailing_metadata())}


def unary(channel, method, request, **more):
    """A call with one message each way."""
    try:
        answer, call = channel.unary_unary(f"/test.Suite/{method}").with_call(request, timeout=PATIENCE, **more)
        return outcome(call, answer)
    except grpc.RpcError as error:
        return outcome(error)


def stream(call):
    """A call whose answers are a stream."""
    messages = []
    try:
        messages.extend(call)
    except grpc.RpcError:
        pass
    return outcome(call, messages)


def spread(channel, request, method="Spread", **more):
    """A call with one message there, and many back."""
    return stream(channel.unary_stream(f"/test.Suite/{method}")(request, **{"timeout": PATIENCE, **more}))


def collect(channel, messages):
    """A call with many messages there, and one back."""
    answer, call = channel.stream_unary("/test.Suite/Collect").with_call(iter(messages), timeout=PATIENCE)
    return outcome(call, answer)


def turns(channel):
    """A dialogue in which each side waits for the other: nothing in between may wait for more."""
    answered = threading.Semaphore(1)

    def requests():
        for number in range(30):
            if not answered.acquire(timeout=5):
                return
            yield f"turn {number}".encode()
    call, messages = channel.stream_stream("/test.Suite/Chat")(requests(), timeout=PATIENCE), []
    for message in call:
        messages.append(message)
        answered.release()
    return outcome(call, messages)


def many(channel):
    """Two hundred calls at once on one channel."""
    method = channel.unary_unary("/test.Suite/Unary")
    calls = [method.future(f"call {number}".encode() * 50, timeout=PATIENCE) for number in range(200)]
    return [call.result() for call in calls]


def deadline(channel):
    """A call that its deadline ends."""
    start = time.monotonic()
    ended = spread(channel, b"deadline", "Hang", timeout=1.0)
    return {**{key: ended[key] for key in ("messages", "status")}, "in time": time.monotonic() - start < 2}


# What is compared: name -> dialogue over a channel.
DIALOGUES = {
    "unary": lambda channel: unary(channel, "Unary", b"hello"),
    "unary, empty": lambda channel: unary(channel, "Unary", b""),
    "unary, 8 MiB": lambda channel: unary(channel, "Unary", bytes(range(256)) * (LARGE >> 8)),
    "client stream": lambda channel: collect(channel, [b"x" * (n * 91 % 4000) for n in range(500)]),
    "client stream, large": lambda channel: collect(channel, [b"y" * (1 << 20)] * 16),
    "client stream, empty": lambda channel: collect(channel, []),
    "server stream": lambda channel: spread(channel, b"800"),
    "server stream, empty": lambda channel: spread(channel, b"0"),
    "both stream, in turns": turns,
    "many at once": many,
    "compressed": lambda channel: unary(channel, "Unary", b"z" * 100_000, compression=grpc.Compression.Gzip),
    "metadata": lambda channel: unary(channel, "Metadata", b"", metadata=[
        ("x-one", "1"), ("x-two", "a"), ("x-two", "b"), ("x-raw-bin", bytes(range(256))), ("authorization", "Bearer t")]),
    "unknown method": lambda channel: unary(channel, "Nothing", b""),
    "deadline": deadline,
    "deadline reaches the origin": lambda channel: unary(channel, "Remaining", b""),
    **{f"status {code}": lambda channel, code=code: spread(channel, f"{code} 0".encode(), "Fail")
       for code in range(1, 17)},
    "status after messages": lambda channel: spread(channel, b"9 3", "Fail"),
}


def cancelled(channel, origin, name):
    """How long it takes until the origin knows that the client gave a call up."""
    call = channel.unary_stream("/test.Suite/Hang")(name, timeout=PATIENCE)
    next(call)
    since = time.monotonic()
    call.cancel()
    seconds = origin.end_of(name, since)
    if seconds >= CANCEL:
        raise TimeoutError(f"the origin heard of it after {seconds:.2f} s")
    return f"{1000 * seconds:.0f} ms"


def broken_off(port, certificates, origin, name):
    """The same when the client's connection ends."""
    channel = dial(port, stage.HOSTS["grpc"], certificates)
    call = channel.unary_stream("/test.Suite/Hang")(name, timeout=PATIENCE)
    next(call)
    since = time.monotonic()
    channel.close()
    seconds = origin.end_of(name, since)
    if seconds >= CANCEL:
        raise TimeoutError(f"the origin heard of it after {seconds:.2f} s")


def run(report, binary, work, certificates, _options):
    """Everything over each way to the proxy and from it."""
    origin = Origin()
    server, clear, secure = serve(origin, certificates)
    with stage.Stage(binary, work / "grpc", certificates, {"grpc": clear, "grpcs": secure}) as proxy:
        with dial(clear, stage.HOSTS["grpc"]) as channel:
            direct = {name: dialogue(channel) for name, dialogue in DIALOGUES.items()}
        for way, port, host, trust in (
                ("clear to clear", proxy.h2c, "grpc", None), ("TLS to clear", proxy.tls, "grpc", certificates),
                ("clear to TLS", proxy.h2c, "grpcs", None), ("TLS to TLS", proxy.tls, "grpcs", certificates)):
            with dial(port, stage.HOSTS[host], trust) as channel:
                for name, dialogue in DIALOGUES.items():
                    try:
                        report.same(f"{name}, {way}", direct[name], dialogue(channel))
                    except grpc.RpcError as error:
                        report.add(f"{name}, {way}", False, f"{error.code()}: {error.details()}")
                word = way.encode()
                report.run(f"cancel, {way}", cancelled, channel, origin, b"cancel " + word)
            report.run(f"client hangs up, {way}", broken_off, port, trust, origin, b"broken " + word)
        for name, host in (("no origin", "down"), ("an origin of HTTP/1.1", "raw")):
            with dial(proxy.h2c, stage.HOSTS[host]) as channel:
                report.run(f"{name}: a status, not an HTTP error", no_origin, channel)
    server.stop(None)


def no_origin(channel):
    """The proxy's own error speaks gRPC."""
    try:
        channel.unary_unary("/test.Suite/Unary")(b"", timeout=PATIENCE)
    except grpc.RpcError as error:
        # The library makes UNAVAILABLE of 502 and 503 as well, and says so.
        if error.code() is not grpc.StatusCode.UNAVAILABLE or "http2 header with status" in error.details():
            raise ValueError(f"{error.code()}: {error.details()}") from error
        return error.details()
    raise ValueError("the call went well")
