"""TLS from the side that connects: what is checked, and one line for each
failure."""

import os
import ssl
import time
from types import SimpleNamespace

import pytest

from conftest import (READER, SAMPLE, cause, is_listening, let_others_in,
                      need, run, stats, wait_until)
from pcapfile import numbered, pcap, record
from tls import TEN, needs_tls, pki, shell, tls_server  # noqa: F401

ONE = record(*numbered(1)[0])

SERVERS = {
    "socat": "socat -u FILE:{sample} OPENSSL-LISTEN:{port},reuseaddr,"
             "cert={pki}/server.both,verify=0",
    "ncat": "ncat --ssl --ssl-cert {pki}/server.pem --ssl-key "
            "{pki}/server.key -l 127.0.0.1 {port} --send-only < {sample}",
    "openssl": "openssl s_server -quiet -naccept 1 -accept {port} "
               "-cert {pki}/server.pem -key {pki}/server.key < {sample}",
}


@needs_tls
@pytest.mark.parametrize("program", SERVERS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_real_servers(start, pki, program, host):
    need(program)
    server = shell(start, SERVERS[program], pki)
    wait_until(lambda: is_listening(server.port), "it listens")
    # s_server stays, so the 38th packet is the end.
    options = ["-c", "38"] if program == "openssl" else []
    result = run("tcpdump", "-n", *options, "-i",
                 f"tls:{host}:{server.port},ca={pki}/ca.pem")
    assert "38 packets captured" in result.stderr
    # ncat does not close as TLS wants it.
    assert ("closed without close_notify" in result.stderr) == \
        (program == "ncat")
    assert (result.returncode == 0) == (program != "ncat")


@needs_tls
@pytest.mark.parametrize("name,said", [
    ("elsewhere", "certificate verification failed: IP address mismatch "
     "(servername= gives the name to expect)"),
    ("expired", "certificate verification failed: certificate has expired"),
    ("selfsigned", "certificate verification failed: self-signed certificate "
     "(ca= names the certificates to trust)"),
    ("stranger", "certificate verification failed: unable to get local issuer "
     "certificate (ca= names the certificates to trust)"),
])
def test_certificates_that_are_not_good(tls_server, name, said):
    server = tls_server([TEN], name=name)
    assert cause(server.device) == f"127.0.0.1:{server.port}: {said}"


@needs_tls
def test_a_server_cannot_ask_for_a_finite_field(start, pki):
    server = shell(start, "openssl s_server -quiet -accept {port} "
                   "-cert {pki}/server.pem -key {pki}/server.key "
                   "-groups ffdhe2048 < {sample}", pki)
    wait_until(lambda: is_listening(server.port), "it listens")
    line = cause(f"tls:127.0.0.1:{server.port},ca={pki}/ca.pem")
    assert line.endswith(" handshake failure"), line


@needs_tls
def test_the_systems_trust_store_does_not_know_us(tls_server):
    server = tls_server([TEN])
    assert "certificate verification failed" in \
        cause(server.device.split(",")[0])


@needs_tls
def test_wrong_host_name(tls_server, pki):
    server = tls_server([TEN], [TEN], name="elsewhere")
    device = f"tls:localhost:{server.port},ca={pki}/ca.pem"
    assert "hostname mismatch (servername= gives the name to expect)" in \
        cause(device)
    assert server.names == ["localhost"]
    result = run(READER, device + ",servername=elsewhere.test")
    assert "packets=10" in result.stdout
    assert server.names == ["localhost", "elsewhere.test"]


@needs_tls
def test_numeric_addresses_are_not_sent_as_a_name(tls_server):
    server = tls_server([TEN])
    assert "packets=10" in run(READER, server.device).stdout
    assert server.names == [None]


@needs_tls
@pytest.mark.parametrize("name", ["elsewhere", "expired", "selfsigned"])
def test_verify_no_checks_nothing(tls_server, name):
    server = tls_server([TEN, "close_notify"], name=name)
    result = run(READER, server.device + ",verify=no")
    assert "packets=10" in result.stdout
    assert "END -2 end of stream" in result.stdout


@needs_tls
def test_tls_1_1_is_too_old(tls_server):
    server = tls_server([TEN], version=ssl.TLSVersion.TLSv1_1)
    line = cause(server.device)
    assert line.startswith(f"127.0.0.1:{server.port}: TLS: ")
    assert "protocol" in line


@needs_tls
def test_tls_1_2(tls_server):
    server = tls_server([TEN, "close_notify"],
                        version=ssl.TLSVersion.TLSv1_2)
    assert "END -2 end of stream" in run(READER, server.device).stdout


@needs_tls
def test_a_server_that_wants_a_certificate(tls_server, pki):
    server = tls_server([TEN], [TEN, "close_notify"], ca="ca")
    assert cause(server.device).endswith(
        "the server requires a client certificate (cert=, key=)")
    result = run(READER, f"{server.device},cert={pki}/client.pem,"
                 f"key={pki}/client.key")
    assert "packets=10" in result.stdout


@needs_tls
@pytest.mark.parametrize("greeting", [
    TEN, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_server_without_tls(serve, pki, greeting):
    server = serve([greeting, "hold"])
    line = cause(f"tls:127.0.0.1:{server.port},ca={pki}/ca.pem")
    assert line == f"127.0.0.1:{server.port}: this is not TLS (without it, " \
        "the device is tcp:)"


@needs_tls
def test_a_tls_server_behind_tcp(tls_server):
    server = tls_server([TEN])
    assert cause(f"tcp:127.0.0.1:{server.port},timeout=1").endswith(
        "sent no pcap stream within 1 seconds (a TLS server needs tls:)")


@needs_tls
def test_a_handshake_that_stalls(serve, pki):
    server = serve(["hold"])
    began = time.monotonic()
    assert cause(f"tls:127.0.0.1:{server.port},ca={pki}/ca.pem,"
                   "timeout=1") == \
        f"127.0.0.1:{server.port} took the connection but finished no TLS " \
        "handshake within 1 seconds"
    assert time.monotonic() - began > 0.9


@needs_tls
@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_handshake_that_is_cut(serve, pki, end):
    times = 10  # before and after the first word of ours
    server = serve(*[[end]] * times)
    for _ in range(times):
        line = cause(f"tls:127.0.0.1:{server.port},ca={pki}/ca.pem")
        assert line == f"127.0.0.1:{server.port}: " + (
            "closed within the TLS handshake" if end == "fin" else
            "Connection reset by peer")


@needs_tls
def test_closing_without_close_notify_is_no_clean_end(tls_server):
    server = tls_server([TEN])
    result = run(READER, server.device)
    assert f"END -1 127.0.0.1:{server.port}: TLS was cut off: closed " \
        "without close_notify" in result.stdout
    assert "packets=10" in result.stdout


@needs_tls
@pytest.mark.parametrize("end", [[], ["close_notify"], ["rst"]])
def test_cut_inside_a_record(tls_server, end):
    server = tls_server([TEN + ONE[:30]] + end)
    result = run(READER, server.device)
    assert "END -1 The other host terminated the connection." in result.stdout
    assert "packets=10" in result.stdout


@needs_tls
@pytest.mark.parametrize("mode", ["loop", "next", "select", "poll", "epoll",
                                  "edge"])
def test_all_packets_in_all_ways(tls_server, mode):
    """What waits inside OpenSSL counts as readable."""
    count = 20000
    server = tls_server([pcap(numbered(count)), "go"])
    result = run(READER, "-m", mode, "-k", "1", "-c", str(count), "-i",
                 "2000", server.device)
    found = stats(result.stdout.splitlines())
    assert found["packets"] == count
    assert "IDLE" not in result.stdout
    server.go()


@needs_tls
def test_a_record_larger_than_the_buffer(tls_server):
    """It ends in the middle of a TLS record that OpenSSL has whole."""
    big = (1700000000, 0, b"\2" * 524288)
    data = pcap([big, big], linktype=231, snaplen=0) + ONE
    server = tls_server([data, "go"])
    result = run(READER, "-m", "epoll", "-k", "1", "-c", "3", "-i", "2000",
                 server.device)
    assert stats(result.stdout.splitlines())["packets"] == 3
    server.go()


@needs_tls
def test_comes_back(tls_server, start):
    server = tls_server([TEN, "close_notify"], [TEN, "go"])
    reader = start(READER, "-p", "-m", "epoll", "-e", "2", server.device)
    reader.wait_for("^P", 20)
    assert sum(li.startswith("END") for li in reader.lines) == 1
    server.go()


@needs_tls
def test_idle_costs_nothing(tls_server, start):
    server = tls_server([TEN, "go"])
    reader = start(READER, "-p", "-m", "epoll", "-k", "1", server.device)
    reader.wait_for("^P", 10)
    assert reader.wake_ups() <= 1
    server.go()


@needs_tls
@pytest.mark.parametrize("option,said", [
    ("ca=/no/such.pem", "cannot read ca=/no/such.pem: No such file or "
     "directory"),
    ("ca={sample}", "ca={sample}: expected certificates in PEM ("),
    ("cert=/no/such.pem,key={pki}/client.key",
     "cannot read cert=/no/such.pem: "),
    ("cert={sample},key={pki}/client.key",
     "cert={sample}: expected a certificate in PEM ("),
    ("cert={pki}/client.pem,key=/no/such.key",
     "cannot read key=/no/such.key: "),
    ("cert={pki}/client.pem,key={pki}/client.pem",
     "key={pki}/client.pem: expected a private key in PEM, without a "),
    ("cert={pki}/client.pem,key={pki}/server.key",
     "key={pki}/server.key does not belong to cert={pki}/client.pem"),
    ("cert={pki}/client.pem,key={pki}/rsa.key",
     "key={pki}/rsa.key does not belong to cert={pki}/client.pem"),
    ("cert={pki}/rsa.pem,key={pki}/client.key",
     "key={pki}/client.key does not belong to cert={pki}/rsa.pem"),
    ("cert={pki}/server.pem,key={pki}/locked.key",
     "key={pki}/locked.key: expected a private key in PEM, without a "
     "passphrase"),
])
def test_files_that_are_no_good(pki, option, said):
    names = SimpleNamespace(pki=pki, sample=SAMPLE).__dict__
    line = cause("tls:127.0.0.1:1," + option.format(**names))
    assert line.startswith(said.format(**names)[:200])


@needs_tls
def test_an_unreadable_file(pki, tmp_path):
    """As an ordinary user, who may not read what root may."""
    cert, key = tmp_path / "cert", tmp_path / "key"
    cert.write_text((pki / "client.pem").read_text())
    key.write_text((pki / "client.key").read_text())
    key.chmod(0)
    user = []
    if os.getuid() == 0:
        need("setpriv")
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                "--inh-caps=-all"]
        let_others_in(tmp_path)
        if run(*user, "test", "-r", READER).returncode != 0:
            pytest.skip("an ordinary user cannot read the build")
    result = run(*user, READER, f"tls:127.0.0.1:1,cert={cert},key={key}")
    assert result.returncode == 1
    assert f"cannot read key={key}: Permission denied" in result.stderr
