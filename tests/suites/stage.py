"""The proxy under test, started with origins behind it: Rhumb, or a stand-in to prove the suites with.

What a proxy is told is the same for each kind: clear text and TLS, HTTP/1.1 and HTTP/2, and
which host leads to which origin. Not responsible for origins, nor for what is asked.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

# Host names lead to origins; every other host leads to `web`.
HOSTS = {"web": "web.test", "grpc": "grpc.test", "grpcs": "grpcs.test", "sockets": "sockets.test",
         "node": "node.test", "raw": "raw.test", "down": "down.test", "one": "one.test"}
# How the proxy speaks to each origin.
SCHEMES = {"grpc": "h2c", "grpcs": "https", "down": "h2c"}


def free_port():
    """A port of loopback that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def reachable(port, seconds=10.0):
    """Waits until somebody accepts connections there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


class Certificates:
    """An authority and a certificate of it for every host of `HOSTS`, made with openssl."""

    def __init__(self, directory):
        self.directory = directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.ca, self.chain = directory / "ca.pem", directory / "edge.pem"
        self.key, self.both = directory / "edge.key", directory / "both.pem"
        if not self.both.exists():
            self._make()

    def _make(self):
        names = ["localhost", *HOSTS.values()]
        extensions = self.directory / "extensions"
        extensions.write_text(
            "basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\n"
            "subjectAltName=IP:127.0.0.1," + ",".join(f"DNS:{name}" for name in names) + "\n"
            # Scanners take a certificate that nobody could revoke for a finding.
            "crlDistributionPoints=URI:http://127.0.0.1:9/crl\n")
        ca_key, request = self.directory / "ca.key", self.directory / "edge.csr"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", self.ca, "-days", "365",
                      "-subj", "/CN=Test authority", "-addext", "keyUsage=critical,keyCertSign")
        self._openssl("req", *curve, "-keyout", self.key, "-out", request, "-subj", "/CN=web.test")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
                      "-out", self.chain, "-days", "90", "-extfile", extensions,
                      "-set_serial", "0x" + os.urandom(16).hex())
        self.both.write_text(self.chain.read_text() + self.key.read_text())

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")


class Stage:
    """A running proxy. `origins` gives ports by the names of `HOSTS`; those left out refuse.

    `before` starts the program (`prlimit ...`); `rhumb` is one more part of Rhumb's configuration, which
    the others have no word for.
    """

    def __init__(self, binary, directory, certificates, origins, workers=2, before=(), rhumb=""):
        self.binary, self.before, self.rhumb = binary, list(before), rhumb
        self.kind = kind_of(binary)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificates = certificates
        self.workers = workers
        self.origins = {name: origins.get(name) or free_port() for name in HOSTS}
        self.clear, self.tls, self.proxied, self.admin = (free_port() for _ in range(4))
        # nginx before 1.25 speaks either HTTP/1.1 or HTTP/2 on a clear-text port.
        self.h2c = free_port() if self.kind == "nginx" else self.clear
        self.log = self.directory / f"{self.kind}.log"
        self.process = None

    def __enter__(self):
        command = self.before + getattr(self, f"_{self.kind}")()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for port in (self.clear, self.tls):
            if not reachable(port):
                self.__exit__()
                raise RuntimeError(f"{self.binary} does not listen; its log:\n{self.log_tail()}")
        return self

    def __exit__(self, *_):
        if self.process:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self.process.pid, sign)
                    self.process.wait(3)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        self.process = None

    def log_tail(self, count=2000):
        """The end of what the proxy logged."""
        return self.log.read_text(errors="replace")[-count:] if self.log.exists() else ""

    def alive(self):
        """Whether the program still runs."""
        return self.process is not None and self.process.poll() is None

    def worker_pid(self):
        """The process that serves: nginx's is a child of the one that was started."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children and self.kind == "nginx" else pid

    def _write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def _rhumb(self):
        c = self.certificates
        regions, deployments = [], []
        for name, port in self.origins.items():
            scheme = SCHEMES.get(name, "http")
            tls = f"tls: {{ server_name: {HOSTS[name]}, ca: {c.ca} }}, " if scheme == "https" else ""
            regions.append(f"  - {{ id: {name}, latitude: 0, longitude: 0, country: US, {tls}"
                           f'endpoints: ["{scheme}://127.0.0.1:{port}"] }}')
            hosts = "" if name == "web" else f"hosts: [{HOSTS[name]}], "
            deployments.append(f"  - {{ name: {name}, {hosts}primary_region: {name}, "
                               # Checks are of no use here: nothing is taken out, whatever they say.
                               "health_check: { path: /, interval_seconds: 3600 }, "
                               "failover: { auto_failover_enabled: false }, when_all_down: last_resort }")
        listen = "\n".join([
            f"  - address: 127.0.0.1:{self.clear}",
            f"  - address: 127.0.0.1:{self.tls}",
            f"    tls: {{ certificates: [{{ certificate: {c.chain}, key: {c.key} }}] }}",
            "    hsts: true",
            f"  - address: 127.0.0.1:{self.proxied}",
            "    proxy_protocol: { trusted: [127.0.0.0/8], mode: required }"])
        config = self._write("rhumb.yaml", "\n".join([
            "listeners:", listen, f'admin: {{ address: "127.0.0.1:{self.admin}" }}',
            f"workers: {self.workers}", self.rhumb, "regions:", *regions, "deployments:", *deployments, ""]))
        return [self.binary, "run", "-c", config]

    def _haproxy(self):
        c = self.certificates
        backends, rules = [], []
        for name, port in self.origins.items():
            scheme = SCHEMES.get(name, "http")
            how = {"h2c": " proto h2", "https": f" ssl alpn h2 sni str({HOSTS[name]}) ca-file {c.ca}",
                   "http": ""}[scheme]
            backends.append(f"backend {name}\n    server {name} 127.0.0.1:{port}{how}\n")
            rules.append(f"    use_backend {name} if {{ hdr(host),field(1,:) {HOSTS[name]} }}")
        config = self._write("haproxy.cfg", "\n".join([
            "global", f"    nbthread {self.workers}", "    maxconn 8000", "defaults", "    mode http",
            "    timeout connect 1s", "    timeout client 30s", "    timeout server 30s",
            "    timeout http-request 10s", "    timeout http-keep-alive 60s",
            "    timeout tunnel 300s", "    retries 0", "frontend edge",
            f"    bind 127.0.0.1:{self.clear}",
            f"    bind 127.0.0.1:{self.tls} ssl crt {c.both} alpn h2,http/1.1 ssl-min-ver TLSv1.2",
            f"    bind 127.0.0.1:{self.proxied} accept-proxy",
            "    option forwardfor", *rules, "    default_backend web", *backends]))
        return [self.binary, "-db", "-f", config]

    def _nginx(self):
        c = self.certificates
        servers = []
        for name, port in self.origins.items():
            scheme = SCHEMES.get(name, "http")
            to = {"h2c": f"grpc_pass grpc://127.0.0.1:{port};",
                  "https": f"grpc_pass grpcs://127.0.0.1:{port}; grpc_ssl_name {HOSTS[name]};"
                           f" grpc_ssl_verify on; grpc_ssl_trusted_certificate {c.ca};",
                  "http": f"proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1;"
                          " proxy_set_header Host $http_host;"
                          " proxy_set_header Upgrade $http_upgrade;"
                          " proxy_set_header Connection $connection_upgrade;"
                          " proxy_request_buffering off; proxy_buffering off;"}[scheme]
            default = "default_server" if name == "web" else ""
            servers.append(f"""
    server {{
        listen 127.0.0.1:{self.clear} {default};
        listen 127.0.0.1:{self.h2c} http2 {default};
        listen 127.0.0.1:{self.tls} ssl http2 {default};
        listen 127.0.0.1:{self.proxied} proxy_protocol {default};
        server_name {HOSTS[name]};
        ssl_certificate {c.chain}; ssl_certificate_key {c.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        client_max_body_size 0; client_header_timeout 10s; client_body_timeout 30s;
        location / {{ {to} }}
    }}""")
        user = "user root;" if os.getuid() == 0 else ""
        temporary = "\n".join(f"    {word}_temp_path {self.directory}/nginx-{word};" for word in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self._write("nginx.conf", f"""{user} daemon off; worker_processes {self.workers};
pid {self.directory}/nginx.pid; error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 1000000000;
{temporary}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
{"".join(servers)}
}}
""")
        return [self.binary, "-c", config, "-p", self.directory, "-e", "stderr"]

    def _envoy(self):
        c, hosts, clusters = self.certificates, [], []
        for name, port in self.origins.items():
            scheme = SCHEMES.get(name, "http")
            domains = ["*"] if name == "web" else [HOSTS[name], f"{HOSTS[name]}:*"]
            hosts.append({"name": name, "domains": domains, "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "60s"}}]})
            cluster = {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
                "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}}
            if scheme != "http":
                cluster["typed_extension_protocol_options"] = {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": KIND + "upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http2_protocol_options": {}}}}
            if scheme == "https":
                cluster["transport_socket"] = {"name": "tls", "typed_config": {
                    "@type": TLS + "UpstreamTlsContext", "sni": HOSTS[name], "common_tls_context": {
                        "alpn_protocols": ["h2"],
                        "validation_context": {"trusted_ca": {"filename": str(c.ca)}}}}}
            clusters.append(cluster)
        manager = {"@type": KIND + "filters.network.http_connection_manager.v3.HttpConnectionManager",
                   "stat_prefix": "edge", "codec_type": "AUTO", "use_remote_address": True,
                   "upgrade_configs": [{"upgrade_type": "websocket"}],
                   "request_headers_timeout": "10s", "stream_idle_timeout": "30s",
                   "http_protocol_options": {"enable_trailers": True},
                   "http2_protocol_options": {
                       "allow_connect": True, "max_concurrent_streams": 100,
                       "initial_stream_window_size": 65536, "initial_connection_window_size": 1048576},
                   "route_config": {"virtual_hosts": hosts}, "http_filters": [{
                       "name": "router", "typed_config": {"@type": KIND + "filters.http.router.v3.Router"}}]}
        chain = {"filters": [{"name": "edge", "typed_config": manager}]}
        secure = {**chain, "transport_socket": {"name": "tls", "typed_config": {
            "@type": TLS + "DownstreamTlsContext", "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [{"certificate_chain": {"filename": str(c.chain)},
                                      "private_key": {"filename": str(c.key)}}]}}}}
        proxied = {"name": "proxy", "typed_config": {
            "@type": KIND + "filters.listener.proxy_protocol.v3.ProxyProtocol"}}
        config = self._write("envoy.json", json.dumps({"static_resources": {"clusters": clusters, "listeners": [
            {"name": "clear", "address": address(self.clear), "filter_chains": [chain]},
            {"name": "tls", "address": address(self.tls), "filter_chains": [secure]},
            {"name": "proxied", "address": address(self.proxied), "filter_chains": [chain],
             "listener_filters": [proxied]}]}}, indent=1))
        return [self.binary, "-c", config, "--concurrency", str(self.workers), "-l", "warn",
                "--disable-hot-restart"]


KIND = "type.googleapis.com/envoy.extensions."
TLS = KIND + "transport_sockets.tls.v3."


def address(port):
    """A port of loopback in Envoy's words."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def kind_of(binary):
    """Which of the four a program is, by its name."""
    name = pathlib.Path(binary).name
    return next((kind for kind in ("nginx", "haproxy", "envoy") if kind in name), "rhumb")
