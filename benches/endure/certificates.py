"""The certificate of a listener with TLS is replaced twenty times under load, and no handshake fails.

Certificate and key are files of their own, so for a moment they do not fit each other: that must not be seen.
"""

import socket
import ssl
import subprocess
import time

import load
from report import Result
from servers import Gateway, Simulator, require_keys
from settings import lookup, route, settings

# Once a second the files are looked at, and what has been the same at two looks is taken.
SEEN_WITHIN = 5
BETWEEN = 0.5
CALLERS = 4


def run(options, work):
    """Tells this story."""
    load.require("wrk", "openssl")
    require_keys(options.gateway, "tls", "certificate")
    result = Result("certificates")
    times = options.times(20)
    made = [make(work, number) for number in range(times + 1)]
    certificate, key = put(work, made[0])
    with Simulator(options.gateway, work) as simulator:
        configured = settings(simulator.port, route("lookups", "/data/core/ups/{*rest}", timeout="10s"))
        configured["listeners"][0]["tls"] = {"certificate": str(certificate), "key": str(key)}
        with Gateway(options.gateway, configured, work) as gateway:
            url = f"https://127.0.0.1:{gateway.port}{lookup('janedoe@example.com')}"
            loads = {}
            try:
                loads["wrk, a connection a request"] = load.Wrk(url, work, connections=CALLERS, close=True)
                loads["wrk, kept connections"] = load.Wrk(url, work, connections=CALLERS)
                waits = [replaced(work, gateway.port, one, result) for one in made[1:]]
                counted = {name: one.end() for name, one in loads.items()}
            finally:
                for one in loads.values():
                    one.stop()
            result.note("certificates", len(waits))
            seen = [wait for wait in waits if wait is not None]
            result.note("longest until a caller saw one", f"{max(seen):.2f} s" if seen else "never")
            for name, counts in counted.items():
                load.judge(result, name, counts)
            failed = gateway.metrics().total("profile_gateway_tls_handshakes_failed_total")
            # A caller that leaves in the middle of a handshake is one too: wrk does when it is told to end.
            result.note("handshakes that failed, as counted", failed)
            result.must(failed <= 2 * CALLERS, f"the gateway counts {failed} failed handshakes")
    return result


def replaced(work, port, files, result):
    """Replaces the certificate, and returns the seconds until a new connection sees it."""
    put(work, files)
    expected = ssl.PEM_cert_to_DER_cert(files[0].read_text())
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < SEEN_WITHIN:
            if shown(port) == expected:
                return time.monotonic() - begun
            time.sleep(0.02)
    finally:
        time.sleep(BETWEEN)
    result.must(False, f"{files[0].name} was not seen within {SEEN_WITHIN} s")
    return None


def shown(port):
    """Returns the certificate that a new connection is shown."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, trusting.wrap_socket(plain) as secured:
        return secured.getpeercert(binary_form=True)


def make(work, serial):
    """Makes a certificate with a key of its own, and returns their files."""
    certificate, key = work / f"{serial}.crt", work / f"{serial}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-set_serial", str(serial + 1), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    return certificate, key


def put(work, files):
    """Puts copies of a certificate and its key where the listener has them, each in one step."""
    places = work / "tls.crt", work / "tls.key"
    for place, file in zip(places, files):
        beside = place.with_suffix(".new")
        beside.write_bytes(file.read_bytes())
        beside.rename(place)
    return places
