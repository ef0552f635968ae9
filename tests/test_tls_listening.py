"""TLS from the side that senders connect to."""

import os
import socket
import struct
import time

import pytest

from conftest import (ASAN, BUILD, HERE, LIMIT, READER, SYSTEM, end_by,
                      free_port, is_listening, need, run, stats, wait_until)
from tls import TEN, needs_tls, pki, shell  # noqa: F401

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
