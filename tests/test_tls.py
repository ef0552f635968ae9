"""TLS, from either side: what is checked, and one line for each failure."""

import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import warnings
from types import SimpleNamespace

import pytest

from conftest import (ASAN, BUILD, HERE, LIMIT, READER, SAMPLE, SYSTEM, Server,
                      cause, end_by, free_port, is_listening, let_others_in,
                      need, run, stats, wait_until)
from pcapfile import numbered, pcap, record

HAS_TLS = "#define PCAP_TCP_TLS 1" in (BUILD / "libpcap/config.h").read_text()
TEN = pcap(numbered(10))
ONE = record(*numbered(1)[0])

needs_tls = pytest.mark.skipif(not HAS_TLS, reason="built without OpenSSL 3")


def openssl(*arguments, **kw):
    subprocess.run(["openssl", *map(str, arguments)], check=True,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def new_key(folder, name):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-out", folder / f"{name}.key")
    return folder / f"{name}.key"


def authority(folder, name):
    openssl("req", "-x509", "-new", "-key", new_key(folder, name), "-days",
            "2", "-subj", f"/CN={name}", "-out", folder / f"{name}.pem")


def certificate(folder, name, ca, names, *when):
    key = new_key(folder, name)
    openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out",
            folder / f"{name}.csr")
    (folder / "names").write_text(f"subjectAltName={names}")
    # "openssl x509" would be simpler, but takes no dates before version 3.4,
    # and no negative days since 3.5.
    (folder / "index").touch()
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca=ours\n[ours]\ndatabase={folder}/index\n"
        f"new_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\n"
        "unique_subject=no\npolicy=any\n[any]\ncommonName=supplied\n")
    openssl("ca", "-batch", "-notext", "-config", folder / "ca.conf", "-in",
            folder / f"{name}.csr", "-cert", folder / f"{ca}.pem",
            "-keyfile", folder / f"{ca}.key", "-extfile", folder / "names",
            *(when or ["-days", "2"]), "-out", folder / f"{name}.pem")
    (folder / f"{name}.both").write_text(
        (folder / f"{name}.pem").read_text() + key.read_text())


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder of certificates: NAME.pem, NAME.key, NAME.both."""
    need("openssl")
    folder = tmp_path_factory.mktemp("pki")
    authority(folder, "ca")
    authority(folder, "other")
    certificate(folder, "server", "ca", "DNS:localhost,IP:127.0.0.1")
    certificate(folder, "elsewhere", "ca", "DNS:elsewhere.test")
    certificate(folder, "expired", "ca", "IP:127.0.0.1", "-startdate",
                "20200101000000Z", "-enddate", "20200102000000Z")
    certificate(folder, "client", "ca", "DNS:client")
    certificate(folder, "stranger", "other", "DNS:client")
    authority(folder, "selfsigned")
    openssl("genpkey", "-algorithm", "RSA", "-out", folder / "rsa.key")
    openssl("req", "-x509", "-new", "-key", folder / "rsa.key", "-days", "2",
            "-subj", "/CN=rsa", "-out", folder / "rsa.pem")
    openssl("pkey", "-in", folder / "server.key", "-aes128", "-passout",
            "pass:secret", "-out", folder / "locked.key")
    return folder


class TlsServer:
    """Serves one script a connection, as conftest's Server does."""

    def __init__(self, pki, *scripts, name="server", version=None, ca=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
        if version:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                self.context.minimum_version = ssl.TLSVersion.TLSv1
                self.context.maximum_version = version
        if ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(pki / f"{ca}.pem")
        self.names = []
        self.context.sni_callback = \
            lambda _sock, name, _ctx: self.names.append(name)
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.device = f"tls:127.0.0.1:{self.port},ca={pki}/ca.pem"
        self.gone = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._serve, args=(scripts,),
                                       daemon=True)
        self.thread.start()

    def _serve(self, scripts):
        for script in scripts:
            try:
                conn = self.listener.accept()[0]
                conn.settimeout(LIMIT)
                with self.context.wrap_socket(conn, server_side=True) as s:
                    for step in script:
                        self._step(s, step)
            except OSError:
                pass  # who does not trust us leaves
        self.listener.close()

    def _step(self, s, step):
        if step == "close_notify":
            s.settimeout(0.2)
            try:
                s.unwrap()
            except OSError:
                pass  # the peer just closes
        elif step == "go":
            self.gone.acquire(timeout=LIMIT)
        elif step == "rst":
            Server.reset_at_close(s)
        else:
            s.sendall(step)

    def go(self):
        self.gone.release()

    def stop(self):
        self.gone.release()
        self.listener.close()


@pytest.fixture
def tls_server(pki):
    servers = []

    def server(*scripts, **kw):
        servers.append(TlsServer(pki, *scripts, **kw))
        return servers[-1]

    yield server
    for s in servers:
        s.stop()


SERVERS = {
    "socat": "socat -u FILE:{sample} OPENSSL-LISTEN:{port},reuseaddr,"
             "cert={pki}/server.both,verify=0",
    "ncat": "ncat --ssl --ssl-cert {pki}/server.pem --ssl-key "
            "{pki}/server.key -l 127.0.0.1 {port} --send-only < {sample}",
    "openssl": "openssl s_server -quiet -naccept 1 -accept {port} "
               "-cert {pki}/server.pem -key {pki}/server.key < {sample}",
}


def shell(start, command, pki, **names):
    names.setdefault("port", free_port())
    program = start("bash", "-c", "exec " + command.format(
        sample=SAMPLE, pki=pki, **names), env=SYSTEM)
    program.port = names["port"]
    return program


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


CLIENTS = {
    "ncat": "ncat --ssl {ncat} --send-only localhost {port} < {sample}",
    "openssl": "openssl s_client -quiet -connect localhost:{port} {openssl} "
               "< {sample}",
    "socat": "socat -u FILE:{sample} OPENSSL:localhost:{port},verify=0{socat}",
}
WITH_CERTIFICATE = {
    "ncat": "--ssl-cert {pki}/{name}.pem --ssl-key {pki}/{name}.key",
    "openssl": "-cert {pki}/{name}.pem -key {pki}/{name}.key",
    "socat": ",cert={pki}/{name}.both",
}


def client(start, program, pki, port, name):
    options = {program: WITH_CERTIFICATE[program].format(pki=pki, name=name)
               if name else "" for program in CLIENTS}
    return shell(start, CLIENTS[program], pki, port=port, **options)


@pytest.fixture
def listener(start, pki):
    """listener(options, command...): a program on tls-listen."""
    def starter(options, *command):
        port = free_port()
        program = start(*command, f"tls-listen:{port},cert={pki}/server.pem,"
                        f"key={pki}/server.key{options}")
        wait_until(lambda: is_listening(port), "it listens")
        program.port = port
        return program

    return starter


@needs_tls
@pytest.mark.parametrize("program", CLIENTS)
@pytest.mark.parametrize("name", [None, "client"])
def test_real_clients(start, pki, listener, program, name):
    """Without a certificate and with one, which is asked for then."""
    need(program)
    dump = listener(f",ca={pki}/ca.pem" if name else "", "tcpdump", "-n",
                    "-c", "38", "-i")
    client(start, program, pki, dump.port, name)
    assert dump.end() == 0
    assert len(dump.lines) == 38


@needs_tls
@pytest.mark.parametrize("program", CLIENTS)
@pytest.mark.parametrize("name", [None, "stranger", "selfsigned"])
def test_without_a_valid_certificate_nothing_gets_in(start, pki, listener,
                                                     program, name):
    need(program)
    if name == "selfsigned":
        (pki / "selfsigned.both").write_text(
            (pki / "selfsigned.pem").read_text() +
            (pki / "selfsigned.key").read_text())
    reader = listener(f",ca={pki}/ca.pem,linktype=EN10MB", READER, "-p", "-t",
                      "100", "-m", "next")
    bad = client(start, program, pki, reader.port, name)
    bad.end()
    client(start, "openssl", pki, reader.port, "client")
    reader.wait_for("^P", 38)
    reader.command("b")
    assert reader.end() == 0
    assert stats(reader.lines)["recv"] == 38


@needs_tls
def test_a_plain_or_silent_client_of_a_tls_listener_is_dropped(listener, pki,
                                                               start):
    reader = listener(",timeout=3,linktype=EN10MB,reconnect=yes", READER,
                      "-p")
    plain = socket.create_connection(("127.0.0.1", reader.port), LIMIT)
    plain.sendall(TEN)
    silent = socket.create_connection(("127.0.0.1", reader.port), LIMIT)
    for s in (plain, silent):
        try:
            while s.recv(100) != b"":
                pass  # the alert
        except ConnectionResetError:
            pass
    client(start, "openssl", pki, reader.port, None)
    reader.wait_for("^P", 38)
    assert sum(li.startswith("P") for li in reader.lines) == 38


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
@pytest.mark.parametrize("options,good", [
    ("-groups ffdhe2048", False), ("-groups ffdhe8192:ffdhe2048", False),
    ("-groups P-256", True), ("-groups X25519", True),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", False),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", True)])
def test_elliptic_curves_only(listener, start, pki, options, good):
    """A finite field of a client's choice costs a server 100 ms."""
    reader = listener(",linktype=EN10MB", READER, "-p", "-m", "epoll")
    sender = shell(start, "openssl s_client -quiet -connect "
                   f"127.0.0.1:{{port}} {options} < {{sample}}", pki,
                   port=reader.port)
    if good:
        reader.wait_for("^P", 38)
    else:
        assert sender.end() != 0
        assert any("alert" in line for line in sender.errors), sender.errors


def client_hello(*extensions):
    """Of TLS 1.3, with X25519, in as many records as it takes."""
    def counted(data):
        return struct.pack(">H", len(data)) + data

    extensions += ((43, b"\2\3\4"), (10, counted(b"\0\x1d")),
                   (13, counted(b"\4\3\x08\4\4\1")),
                   (51, counted(b"\0\x1d" + counted(os.urandom(32)))))
    body = b"\3\3" + os.urandom(32) + b"\0" + counted(b"\x13\1") + b"\1\0" + \
        counted(b"".join(struct.pack(">H", kind) + counted(data)
                         for kind, data in extensions))
    message = struct.pack(">I", 1 << 24 | len(body)) + body
    return b"".join(b"\x16\3\1" + counted(message[i:i + 16384])
                    for i in range(0, len(message), 16384))


@needs_tls
def test_a_client_hello_gets_no_memory(listener):
    """64 KiB that name 16,000 authorities: OpenSSL would make 3 MiB of them.
    A place's share is less than one and a half."""
    reader = listener(",timeout=100,linktype=EN10MB", READER, "-p")
    names = b"\0\2\x30\0" * 16000
    hello = client_hello((47, struct.pack(">H", len(names)) + names))
    before = reader.memory("VmRSS")
    senders = []
    for hello in [client_hello(), *[hello] * 40]:
        senders.append(socket.create_connection(("127.0.0.1", reader.port),
                                                LIMIT))
        senders[-1].sendall(hello)
        answer = senders[-1].recv(1)
        assert answer == (b"\x15" if len(senders) > 1 else b"\x16")
    assert reader.memory("VmHWM") - before < 40 * 1.5 * (4 if ASAN else 1)


@needs_tls
@pytest.mark.parametrize("others,good", [(20, True), (100, False)])
def test_no_more_certificates_of_a_client_than_anybody_has(
        listener, start, pki, others, good):
    chain = pki / f"chain{others}.pem"
    chain.write_text((pki / "client.pem").read_text() +
                     (pki / "other.pem").read_text() * others)
    reader = listener(f",ca={pki}/ca.pem,linktype=EN10MB", READER, "-p")
    sender = shell(start, "openssl s_client -quiet -connect localhost:{port} "
                   "-cert {pki}/client.pem -key {pki}/client.key "
                   f"-cert_chain {chain} < {{sample}}", pki, port=reader.port)
    if good:
        reader.wait_for("^P", 38)
    else:
        assert sender.end() != 0
        assert not any(line.startswith("P") for line in reader.lines)


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


@pytest.fixture
def key_updates(start, tmp_path):
    """key_updates(port, data): a client that sends the data, and then TLS's
    own messages and nothing else."""
    def client(port, data=b""):
        peer = start(program, port, env=SYSTEM)
        peer.process.stdin.buffer.write(data + b"K")
        peer.process.stdin.close()
        peer.wait_for("K")
        return peer

    need("gcc")
    program = tmp_path / "key-updates"
    result = run("gcc", "-o", program, HERE / "key-updates.c", "-lssl",
                 "-lcrypto", env=SYSTEM)
    assert result.returncode == 0, result.stderr
    return client


@needs_tls
def test_a_flood_before_the_stream_hides_no_ctrl_c(listener, key_updates):
    program = listener(",timeout=0", BUILD / "tests" / "calls", "signals")
    key_updates(program.port)
    assert end_by(program) == 0
    assert "ending: 2" in program.lines


@needs_tls
def test_a_flood_before_the_stream_is_no_stream(listener, key_updates):
    """The flood goes on as long as it is read; the place is another's."""
    reader = listener(",timeout=1,linktype=EN10MB,reconnect=yes", READER,
                      "-p", "-m", "epoll")
    assert key_updates(reader.port).end() == 0


@needs_tls
def test_no_read_lasts_as_long_as_a_peer_likes(listener, key_updates):
    reader = listener(",linktype=EN10MB", READER, "-m", "epoll")
    reader.wait_for("OPEN")
    key_updates(reader.port, TEN)
    began = time.monotonic()
    time.sleep(2)  # of nothing else
    lasted = time.monotonic() - began
    reader.command("b")
    assert reader.end() == 0
    found = stats(reader.lines)
    assert found["packets"] == 10
    # Of all that time, which one read would take otherwise.
    assert found["longest_ms"] < 500 * lasted
    assert found["reads"] > 10
