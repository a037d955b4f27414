"""testssl.sh and sslyze against the TLS listener: no finding above low.

Both give JSON. Of testssl.sh every finding of severity MEDIUM and above is a failure; of sslyze every
answer that names a weakness, and every cipher suite without forward secrecy and AEAD.
"""

import json
import pathlib
import shutil
import subprocess
import sys

import stage
import web

SECONDS = 900
BAD = {"MEDIUM", "HIGH", "CRITICAL"}
# Findings about the certificate that this suite made, the network, or the origin: not about the proxy.
NOT_OURS = {
    "cert_chain_of_trust": "the authority is ours",
    "cert_trust": "the name is of the domain .test, which nobody has",
    "cert_caa": "no name, no DNS",
    "cert_crlDistributionPoints": "nobody serves it",
    "cert_expirationStatus": "90 days",
    "DNS_CAArecord": "no name, no DNS",
    "security_headers": "fields like Content-Security-Policy are the origin's to send",
    "overall_grade": "sums up the trust in our own authority",
    "cipher_order": "left to the client where all suites are strong, as Mozilla advises",
}
# sslyze: part of the result -> fields that have to be false.
WEAK = {"heartbleed": ["is_vulnerable_to_heartbleed"], "openssl_ccs_injection": ["is_vulnerable_to_ccs_injection"],
        "tls_compression": ["supports_compression"],
        "session_renegotiation": ["is_vulnerable_to_client_renegotiation_dos"]}
STRONG = ("GCM", "CHACHA20", "CCM")


def run(report, binary, work, certificates, _options):
    """One after the other against one proxy."""
    directory = work / "tls"
    with stage.Stage(binary, directory, certificates, {"web": web.start()}) as proxy:
        testssl(report, proxy, certificates)
        sslyze(report, proxy)
        if not proxy.alive():
            report.add("the proxy lives", False, proxy.log_tail())


def testssl(report, proxy, certificates):
    """Everything that testssl.sh looks at."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        report.add("testssl.sh", False, "not found; on Debian: apt-get install testssl.sh")
        return
    result = proxy.directory / "testssl.json"
    result.unlink(missing_ok=True)
    command = [program, "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--nodns", "none",
               "--add-ca", str(certificates.ca), "--jsonfile", str(result), f"web.test:{proxy.tls}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    findings = json.loads(result.read_text()) if result.exists() else []
    if len(findings) < 50 or any(finding["severity"] == "FATAL" for finding in findings):
        report.add("testssl.sh looks at everything", False, findings[-1:] or done.stdout[-300:])
        return
    bad = [finding for finding in findings if finding["severity"] in BAD]
    for finding in bad:
        name = finding["id"].partition(" ")[0]
        words = f"{finding['severity']}: {finding['finding']}"
        if name in NOT_OURS or name.startswith("cipher_order"):
            why = NOT_OURS.get(name, NOT_OURS["cipher_order"])
            report.add(f"testssl.sh {finding['id']}", "excused", f"{words} ({why})")
        else:
            report.add(f"testssl.sh {finding['id']}", False, words)
    counts = {word: sum(finding["severity"] == word for finding in findings) for word in ("OK", "INFO", "LOW")}
    report.add("testssl.sh, the other findings", True, "", findings=len(findings), **counts)


def sslyze(report, proxy):
    """Everything that sslyze looks at but the certificate's trust and Mozilla's profile."""
    result = proxy.directory / "sslyze.json"
    result.unlink(missing_ok=True)
    command = [str(pathlib.Path(sys.executable).parent / "sslyze"), "--json_out", str(result), "--quiet",
               "--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--compression", "--reneg",
               "--heartbleed", "--openssl_ccs", "--fallback", "--robot", "--elliptic_curves", "--resum",
               "--sni", "web.test", f"127.0.0.1:{proxy.tls}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if not result.exists():
        report.add("sslyze", False, done.stdout[-200:] + done.stderr[-200:])
        return
    server = json.loads(result.read_text())["server_scan_results"][0]
    if server["scan_status"] != "COMPLETED":
        report.add("sslyze", False, server["connectivity_error_trace"])
        return
    scans = server["scan_result"]
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        suites = scans[f"{old}_cipher_suites"]["result"]["accepted_cipher_suites"]
        report.add(f"sslyze {old} is refused", not suites, [suite["cipher_suite"]["name"] for suite in suites])
    for version in ("tls_1_2", "tls_1_3"):
        suites = [suite["cipher_suite"]["name"] for suite in
                  scans[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"]]
        weak = [name for name in suites if not any(word in name for word in STRONG)
                or (version == "tls_1_2" and "ECDHE" not in name)]
        report.add(f"sslyze {version} has strong suites only", bool(suites) and not weak, weak or "none at all")
    for part, fields in WEAK.items():
        found = scans[part]["result"] or {}
        bad = [field for field in fields if found.get(field) is not False]
        report.add(f"sslyze {part}", not bad, f"{bad} {scans[part]['error_reason'] or ''}")
    robot = scans["robot"]["result"]["robot_result"]
    report.add("sslyze robot", "NOT_VULNERABLE" in robot, robot)
    resumed = scans["session_resumption"]["result"] or {}
    report.add("sslyze resumption", True, "", tickets=resumed.get("tls_ticket_resumption_result"),
               ids=resumed.get("session_id_resumption_result"))
    curves = [curve["name"] for curve in (scans["elliptic_curves"]["result"] or {}).get("supported_curves") or []]
    report.add("sslyze curves", bool(curves) and not set(curves) & {"secp192r1", "prime192v1", "secp160r1"}, curves)
