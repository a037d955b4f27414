"""curl and h2load through the proxy: every exchange has to be what it is without the proxy.

curl asks for the same thing from the origin and through the proxy, over HTTP/1.1, HTTP/2 with
prior knowledge, and both over TLS; status, fields, trailers, body, and what the origin saw of the
request are compared. Fields that proxies add by their office (`Via` and the like) are left out.
"""

import hashlib
import json
import re
import shutil
import subprocess

import stage
import web

# Fields of answers that proxies add or take off by their office.
OWN = web.HOP | web.ADDED | {"date", "server", "x-envoy-upstream-service-time", "proxy-status",
                             "strict-transport-security", "alt-svc", "age", "trailer"}
BODY = 3 << 20
SECONDS = 60
# Where curl is not able to tell.
EARLY = "curl does not wait for 100 Continue over HTTP/2, and may fail to send before it reads"
LEFT_OUT = {("a body that is refused", "HTTP/2"): EARLY, ("a body that is refused", "TLS HTTP/2"): EARLY,
            ("many on one connection", "HTTP/2"): "curl 7.88 does not reuse connections of prior knowledge"}


def cases(files):
    """Name -> the path and further arguments of curl."""
    up = files / "upload"
    up.write_bytes(web.CHUNK * (BODY // len(web.CHUNK)))
    found = {
        "GET": ["/small"], "HEAD": ["/small", "-I"], "HEAD of a large body": ["/large", "-I"],
        "GET of 64 MiB": ["/large"], "GET of one byte": ["/bytes/1"], "GET of nothing": ["/bytes/0"],
        "GET of chunks": ["/chunks"], "GET until close": ["/close"], "GET of many fields": ["/fields"],
        "GET with trailers": ["/trailers", "-H", "TE: trailers"], "GET of events": ["/events", "-N"],
        "query and escapes": ["/echo/a%20b/%C3%A9?q=1&q=2&r=%2F%3F&s=a+b"],
        "fields of the request": ["/echo", "-H", "X-One: 1", "-H", "X-Two: a, b", "-H", "X-Two: c",
                                  "-H", "Accept-Encoding: br", "-H", "Cookie: a=1; b=2", "-H", "X-Empty;"],
        "a long field": ["/echo", "-H", "X-Long: " + "v" * 7000],
        "POST of a form": ["/echo", "-d", "a=1&b=2"],
        "POST of nothing": ["/echo", "-X", "POST", "-H", "Content-Length: 0"],
        "POST of 3 MiB": ["/echo", "--data-binary", f"@{up}", "-H", "Expect:"],
        "POST of 3 MiB after 100 Continue": ["/echo", "--data-binary", f"@{up}", "-H", "Expect: 100-continue"],
        "POST of 3 MiB in chunks": ["/echo", "-T", "-", "-X", "POST"],
        "PUT of 3 MiB": ["/echo", "-T", str(up), "-H", "Expect:"],
        "a body that is refused": ["/refuse", "--data-binary", f"@{up}", "-H", "Expect: 100-continue"],
        "DELETE with a body": ["/echo", "-X", "DELETE", "-d", "x"], "OPTIONS": ["/echo", "-X", "OPTIONS"],
        "PATCH": ["/echo", "-X", "PATCH", "-d", "x"], "a method of our own": ["/echo", "-X", "PURGE"],
        "many on one connection": ["/bytes/[1000-1030]"],
    }
    for status in (204, 206, 301, 304, 400, 401, 404, 418, 429, 500, 503):
        found[f"status {status}"] = [f"/status/{status}"]
    return found, up


def run(report, binary, work, certificates, _options):
    """All of curl, then all of h2load."""
    origin = web.start()
    with stage.Stage(binary, work / "curl", certificates, {"web": origin}) as proxy:
        secure = ["--cacert", str(certificates.ca)]
        ways = {"HTTP/1.1": ("http", proxy.clear, ["--http1.1"]),
                "HTTP/2": ("http", proxy.h2c, ["--http2-prior-knowledge"]),
                "TLS HTTP/1.1": ("https", proxy.tls, ["--http1.1", *secure]),
                "TLS HTTP/2": ("https", proxy.tls, ["--http2", *secure])}
        found, upload = cases(proxy.directory)
        for name, arguments in found.items():
            direct = exchange(proxy.directory, "http", origin, ["--http1.1"], arguments, upload)
            if direct["exit"]:
                report.add(name, False, f"going direct fails: {direct}")
                continue
            for way, (scheme, port, options) in ways.items():
                if reason := LEFT_OUT.get((name, way)):
                    report.add(f"{name}, {way}", "skip", reason)
                    continue
                through = exchange(proxy.directory, scheme, port, options, arguments, upload)
                version = through.pop("version")
                report.same(f"{name}, {way}", {**direct, "version": None}, {**through, "version": None})
                wanted = "2" if way.endswith("HTTP/2") else "1.1"
                if version != wanted:
                    report.add(f"{name}, {way} is spoken", False, f"HTTP/{version} was")
        upgrade_ignored(report, proxy, origin)
        if shutil.which("h2load"):
            for way, options in {"HTTP/1.1": ["--h1"], "HTTP/2": []}.items():
                port = proxy.clear if options else proxy.h2c
                loads(report, way, f"http://127.0.0.1:{port}", options, upload)
                loads(report, f"TLS {way}", f"https://127.0.0.1:{proxy.tls}", options, upload)
        else:
            report.add("h2load", False, "not found; on Debian: apt-get install nghttp2-client")


def exchange(directory, scheme, port, options, arguments, upload):
    """Everything that curl has to say of an exchange, in a form that can be compared."""
    path, *words = arguments
    heads, body = directory / "heads", directory / "body"
    for file in (heads, body):
        file.write_bytes(b"")
    command = ["curl", "-sS", "--max-time", str(SECONDS), "--resolve", f"web.test:{port}:127.0.0.1",
               "-H", "Host: web.test", "-A", "suite", "-D", str(heads), "-o", str(body),
               "-w", "%{http_version} %{num_connects}\n", f"{scheme}://web.test:{port}{path}", *options, *words]
    with upload.open("rb") as source:
        done = subprocess.run(command, capture_output=True, text=True, stdin=source)
    said = heads.read_bytes().decode("latin-1").split("\r\n")
    versions = done.stdout.split("\n")[0].split(" ")
    content = body.read_bytes()
    return {"exit": done.returncode, "error": done.stderr.strip() if done.returncode else "",
            "version": versions[0], "heads": [line for line in map(comparable, said) if line],
            # Asked for a head, curl writes it where bodies go as well.
            "body": "" if "-I" in words else seen(content)}


def comparable(line):
    """A line of a head or of trailers as it is on every version of HTTP; none if it is not compared."""
    if match := re.match(r"HTTP/\S+ (\d+)", line):
        # Continue is between two hops.
        return "" if match[1] == "100" else f"status {match[1]}"
    name, _, value = line.partition(":")
    return "" if not line or name.lower() in OWN else f"{name.lower()}: {value.strip()}"


def seen(content):
    """What the origin says it saw, in the words of any version of HTTP; or the digest of what it sent."""
    try:
        said = json.loads(content)
        lists = {}
        for name, value in said["fields"]:
            lists[name] = f"{lists[name]},{value}" if name in lists else value
    except (ValueError, TypeError, KeyError):
        return hashlib.sha256(content).hexdigest()
    # Several lines of a field are one list; whoever is asked to wait for a body may do so himself.
    lists = {name: re.sub(r"\s*,\s*", ",", value) for name, value in lists.items() if name != "expect"}
    return {**said, "fields": lists}


def upgrade_ignored(report, proxy, origin):
    """`Upgrade: h2c` is no way to HTTP/2 any more (RFC 9113 section 3.1)."""
    direct = exchange(proxy.directory, "http", origin, ["--http1.1"], ["/echo"], proxy.log)
    through = exchange(proxy.directory, "http", proxy.clear, ["--http2"], ["/echo"], proxy.log)
    version = through["version"]
    report.add("Upgrade: h2c is passed over", version == "1.1", f"HTTP/{version} was spoken")
    fields = through["body"].get("fields", {}) if isinstance(through["body"], dict) else {}
    report.add("Upgrade: h2c does not reach the origin", "http2-settings" not in fields, fields)
    report.same("Upgrade: h2c, answer", direct["heads"][:1], through["heads"][:1])


def loads(report, way, address, options, upload):
    """h2load over many connections and streams: every answer there, not a byte more or less."""
    for name, path, requests, size, more in (
            ("small answers", "/bytes/100", 5000, 100, ["-c", "20", "-m", "10"]),
            ("larger answers", "/bytes/100000", 1000, 100_000, ["-c", "10", "-m", "20"]),
            ("uploads", "/status/200", 60, 7, ["-c", "4", "-m", "5", "-d", str(upload)])):
        command = ["h2load", "-n", str(requests), *more, *options, f"{address}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        good = re.search(r"(\d+) succeeded, (\d+) failed", done.stdout)
        codes = re.search(r"status codes: (\d+) 2xx", done.stdout)
        data = re.search(r"\((\d+)\) data", done.stdout)
        said = [int(match[1]) if match else None for match in (good, codes, data)]
        report.add(f"h2load, {name}, {way}", said == [requests, requests, requests * size],
                   f"succeeded, 2xx, bytes: {said}, not {[requests, requests, requests * size]}")
