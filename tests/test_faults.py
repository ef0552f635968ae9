"""Ends, faults and coming back: one clear line each, and no packet lost."""

import bz2
import gzip
import lzma
import signal
import socket
import threading
import time

import pytest

from conftest import (ASAN, LIMIT, READER, SAMPLE, end_by, free_port,
                      in_namespace, need, refused, run, stats, wait_until)
from pcapfile import (NSEC, block, epb, header, idb, isb, numbered, pb, pcap,
                      record, shb, spb)

ONE = record(*numbered(1)[0])
TERMINATED = "The other host terminated the connection."


def damaged(server, packets):
    """tcpdump on a stream that breaks: what it says, after all packets."""
    result = run("tcpdump", "-n", "-i", server.device)
    assert result.returncode == 1
    assert f"{packets} packet" in result.stderr
    assert len(result.stdout.splitlines()) == packets
    return [li for li in result.stderr.splitlines() if "pcap_loop" in li][0]


# Opening


def test_refused():
    port = free_port()
    assert refused(f"tcp:127.0.0.1:{port}") == \
        f"tcpdump: cannot connect to 127.0.0.1:{port}: Connection refused"


def test_refused_at_all_addresses_of_a_name_in_one_line():
    port = free_port()
    assert refused(f"tcp:localhost:{port}") == \
        f"tcpdump: cannot connect to localhost:{port}: Connection refused"


def test_errno_is_the_real_cause():
    result = run(READER, f"tcp:127.0.0.1:{free_port()}")
    assert "(errno 111)" in result.stderr
    assert result.returncode == 1


def test_unreachable():
    result = in_namespace("tcpdump -i tcp:192.0.2.1:5000")
    assert result.stderr == "tcpdump: cannot connect to 192.0.2.1:5000: " \
        "Network is unreachable\n"


def test_unknown_name():
    assert refused("tcp:no.such.invalid").startswith(
        "tcpdump: cannot resolve no.such.invalid: ")


NAMES = "mount -t tmpfs none /mnt && cp -L /etc/hosts /mnt/hosts && " \
    "printf '%s\\n' {} >> /mnt/hosts && mount --bind /mnt/hosts /etc/hosts"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_every_address_of_a_name_is_tried(address):
    result = in_namespace(
        NAMES.format("'127.0.0.1 both.test' '::1 both.test'"),
        f"socat -u FILE:{SAMPLE} TCP6-LISTEN:5000,bind=[::1] &"
        if ":" in address else
        f"socat -u FILE:{SAMPLE} TCP4-LISTEN:5000,bind=127.0.0.1 &",
        "until ss -Hltn | grep -q :5000; do :; done",
        f"{READER} tcp:both.test:5000")
    assert result.returncode == 0, result.stderr
    assert " packets=38 " in result.stdout


def test_addresses_that_fail_differently_are_listed():
    result = in_namespace(
        NAMES.format("'127.0.0.1 both.test' '192.0.2.1 both.test'"),
        "tcpdump -i tcp:both.test:5000")
    assert result.stderr in (
        "tcpdump: cannot connect to both.test:5000: "
        "127.0.0.1: Connection refused; 192.0.2.1: Network is unreachable\n",
        "tcpdump: cannot connect to both.test:5000: "
        "192.0.2.1: Network is unreachable; 127.0.0.1: Connection refused\n")


def test_a_silent_address_leaves_time_for_the_next():
    """A full backlog on loopback drops SYNs as a black hole does."""
    result = in_namespace(
        NAMES.format("'127.0.0.1 both.test' '127.0.0.2 both.test'"),
        f"socat -u FILE:{SAMPLE} TCP-LISTEN:5000,bind=127.0.0.2 &",
        "/usr/bin/python3 -c '\n"
        "import socket, time\n"
        "s = socket.socket(); s.bind((\"127.0.0.1\", 5000)); s.listen(0)\n"
        "c = [socket.socket() for _ in range(3)]\n"
        "for x in c: x.setblocking(False); x.connect_ex((\"127.0.0.1\", 5000))\n"
        "print(flush=True); time.sleep(60)' > /mnt/full & server=$!",
        "until ss -Hltn | grep -q 127.0.0.2:5000; do :; done",
        "until [ -s /mnt/full ]; do :; done",
        f"{READER} tcp:both.test:5000,timeout=8 || status=$?",
        "kill $server; exit $status")
    assert result.returncode == 0, result.stderr
    assert " packets=38 " in result.stdout


@pytest.fixture
def black_hole():
    """A port that answers no SYN: its backlog is full."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        address = s.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        yield f"tcp:127.0.0.1:{address[1]}"
        for filler in fillers:
            filler.close()


def test_connecting_ends_at_the_timeout(start, black_hole):
    other = start("tcpdump", "-i", black_hole + ",timeout=1000")
    other.wait_until_blocked()
    began = time.monotonic()
    assert refused(black_hole + ",timeout=1").endswith(
        "Connection timed out")
    assert time.monotonic() - began > 0.9
    assert other.process.poll() is None  # it has a timeout of its own


def test_silent_server(serve):
    server = serve(["hold"])
    began = time.monotonic()
    assert refused(server.device + ",timeout=1") == \
        f"tcpdump: 127.0.0.1:{server.port} took the connection but sent " \
        "no pcap stream within 1 seconds (a TLS server needs tls:)"
    assert time.monotonic() - began > 0.9


def test_dribbling_server_is_not_waited_for_longer(serve):
    server = serve([header()[:4]] + ["go", header()[4:10]] + ["hold"])
    server.go()
    assert "sent no pcap stream" in refused(server.device + ",timeout=1")


def test_name_server_that_does_not_answer():
    """The C library would ask it for longer than the test may take."""
    result = in_namespace(
        "mount -t tmpfs none /mnt",
        "echo nameserver 127.0.0.1 > /mnt/resolv.conf",
        "echo options timeout:30 attempts:5 >> /mnt/resolv.conf",
        "mount --bind /mnt/resolv.conf /etc/resolv.conf",
        "socat -u UDP-RECV:53,bind=127.0.0.1 /dev/null & server=$!",
        "until ss -Hlun | grep -q :53; do :; done",
        "tcpdump -i tcp:www.example.com,timeout=1")
    assert result.returncode == 1
    assert result.stderr == \
        "tcpdump: cannot resolve www.example.com: Connection timed out\n"


@pytest.mark.parametrize("device", ["silent", "black hole"])
def test_ctrl_c_while_opening(serve, start, black_hole, device):
    if device == "silent":
        server = serve(["hold"])
        black_hole = server.device
    dump = start("tcpdump", "-i", black_hole + ",timeout=0")
    dump.wait_until_blocked()
    assert end_by(dump) == -signal.SIGINT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_idle(serve, start, number):
    server = serve([header() + ONE, "hold"])
    dump = start("tcpdump", "-n", "-l", "-i", server.device)
    dump.wait_for("IP")
    dump.wait_until_blocked()
    assert end_by(dump, number) == 0
    assert "1 packet captured" in dump.errors


@pytest.mark.parametrize("greeting,said", [
    (b"HTTP/1.1 400 Bad Request\r\n", "an HTTP response: is this the right"),
    (gzip.compress(b"x"), "gzip: decompress at the sender"),
    (lzma.compress(b"x"), "xz: decompress at the sender"),
    (bz2.compress(b"x"), "bzip2: decompress at the sender"),
    (b"\x28\xb5\x2f\xfd\0\0", "a Zstandard stream: decompress at the sender"),
    (b"\x15\3\3\0\2\2\x28", "a TLS server (it sent an alert)"),
    (b"\x16\3\1\0\xff", "a TLS handshake"),
    (b"\0\1\0\2\0\0\0\0", "an rpcap server"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server"),
    (b"220 mail.example.com\x20ready\r\n", 'text, "220 mail.example.com ready"'),
    (b"ab\tc\033[31m\n", "it begins with 61 62 09 63"),
    (b"\0\0\0\0", "it begins with 00 00 00 00"),
    (b"\x0a\x0d\x0d\x0a" + b"\0" * 100, "it begins with 0a 0d 0d 0a"),
    (header(version=(2, 5)), "unsupported pcap version 2.5"),
    (header(version=(1, 0)), "unsupported pcap version 1.0"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_no_pcap_stream(serve, greeting, said):
    server = serve([greeting, "hold"])
    line = refused(server.device)
    assert f"127.0.0.1:{server.port}: " in line
    assert said in line
    assert line.isprintable()
    assert server.connections == 1


@pytest.mark.parametrize("sent", [b"", header()[:3], header()[:23]],
                         ids=["nothing", "3 bytes", "23 bytes"])
@pytest.mark.parametrize("end", ["fin", "rst"])
def test_cut_before_or_inside_the_stream_header(serve, sent, end):
    server = serve([sent, end])
    line = refused(server.device)
    assert f"127.0.0.1:{server.port}" in line
    assert line.endswith("Connection reset by peer" if end == "rst" else
                         "the stream header")


@pytest.mark.parametrize("name,said", [
    ("tcp:h:99999", 'bad port "99999": expected a number from 1 to 65535'),
    ("tcp:h,colour=red", 'bad option "colour"'),
    ("tcp:" + "h" * 8192, "at most 4095 bytes"),
    ("tcp:\033[31m", 'tcp:?[31m: bad device "tcp:?[31m": expected no control'),
    ("unix:/\033[31m", 'unix:/?[31m: bad device'),
])
def test_bad_names(name, said):
    line = refused(name)
    assert said in line
    assert line.isprintable()


# Ends and faults of a stream


@pytest.mark.parametrize("cut", [1, 15, 16, 17, len(ONE) - 1])
@pytest.mark.parametrize("end", ["fin", "rst"])
def test_cut_inside_a_record(serve, cut, end):
    server = serve([header() + ONE * 3 + ONE[:cut], end])
    assert damaged(server, 3) == f"tcpdump: pcap_loop: {TERMINATED}"


def test_reset_between_two_records(serve):
    """Who resets may have had more to say."""
    server = serve([header() + ONE * 3, "rst"])
    assert damaged(server, 3) == f"tcpdump: pcap_loop: {TERMINATED}"


@pytest.mark.parametrize("caplen", [262145, 0x7FFFFFFF, 0x80000000,
                                    0xFFFFFFFF])
def test_a_length_that_cannot_be(serve, caplen):
    server = serve([header(snaplen=65535) + ONE * 3 +
                    record(1, 2, b"", caplen=caplen), "hold"])
    assert damaged(server, 3) == \
        "tcpdump: pcap_loop: Is the server properly installed? " \
        f"127.0.0.1:{server.port}: invalid packet " \
        f"capture length {caplen}, bigger than maximum of 262144 " \
        f"(at byte {24 + 3 * len(ONE)} of the stream)"


@pytest.mark.parametrize("program", ["dumpcap", "tshark"])
@pytest.mark.parametrize("stream,cause", [
    (header() + ONE + b"\xff" * 99, "bigger than maximum of 262144 (at byte "
     f"{24 + len(ONE)} of the stream)"),
    (shb() + idb() + epb(0, 5, b"x" * 60) + epb(9, 5, b"x" * 60),
     "a packet arrived on interface 9"),
    (header() + ONE + ONE[:20], TERMINATED)], ids=["pcap", "pcapng", "cut"])
def test_wireshark_asks_for_no_report_of_a_bug(serve, program, stream, cause):
    """It knows two texts of rpcap, and shows what follows one of them."""
    need(program)
    if ASAN and program == "tshark":
        pytest.skip("it hangs, see test_streams")
    result = run(program, "-w", "/dev/null", "-i", serve([stream]).device)
    assert cause in result.stderr
    assert "remote host on which you are capturing" in result.stderr
    assert "report" not in result.stderr


def test_garbage_after_a_packet(serve):
    server = serve([header() + ONE + b"\xff" * 1000, "hold"])
    assert "invalid packet capture length 4294967295" in damaged(server, 1)


def hostile_streams():
    """0xffffffff in every place of four bytes, and the largest lengths."""
    pcap_stream = header() + ONE * 2
    ng_stream = shb() + idb(1, 0, (9, b"\6")) + epb(0, 5, b"x" * 60) + \
        spb(b"x" * 60) + pb(0, 5, b"x" * 60) + isb(0, (5, b"x" * 8))
    for stream in (pcap_stream, ng_stream):
        for at in range(4, len(stream) - 4, 4):
            for value in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f",
                          b"\0\0\0\1"):
                yield stream[:at] + value + stream[at + 4:]
    yield header(linktype=231, snaplen=0) + record(1, 2, b"x" * 100,
                                                   caplen=128 << 20)
    yield shb() + idb(231) + epb(0, 5, b"", caplen=128 << 20)[:100]
    yield shb() + block(0xBAD, b"x" * 100, length=16 << 20)[:100]
    yield shb(length=1 << 20)[:28]


def test_claims_cost_no_memory(serve):
    """With 32 MiB of address space, more than a third of it libraries."""
    need("prlimit")
    if ASAN:
        pytest.skip("the address sanitizer takes terabytes of addresses")
    streams = list(hostile_streams())
    server = serve(*[[stream] for stream in streams])
    result = run("prlimit", f"--as={32 << 20}", READER, "-p", "-B",
                 len(streams), server.device)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("STREAM") == len(streams)
    assert "memory" not in result.stdout + result.stderr
    assert result.stdout.count("END -1") + result.stdout.count("OPEN -1") > 50


def test_memory_that_is_not_there_is_an_error(serve):
    """Whole records of 60 MiB, within the same limit."""
    need("prlimit")
    if ASAN:
        pytest.skip("the address sanitizer takes terabytes of addresses")
    server = serve([header(linktype=231, snaplen=0) + record(1, 2, b"x" * 9) +
                    record(1, 2, b"x" * (60 << 20))])
    result = run("prlimit", f"--as={32 << 20}", READER, "-p", server.device)
    assert result.returncode == 0, result.stderr
    assert f"END -1 127.0.0.1:{server.port}: no room for a record of 62914576 " \
        "bytes: out of memory" in result.stdout


@pytest.mark.parametrize("mode", ["loop", "dispatch", "next", "epoll"])
def test_an_end_is_reported_once_and_then_it_is_quiet(serve, start, mode):
    """Fourteen programs read on, and would spin."""
    server = serve([header() + ONE])
    reader = start(READER, "-m", mode, "-e", "99", "-t", "100",
                   server.device + ",reconnect=no")
    reader.wait_for("END -2 end of stream")
    began = time.monotonic()
    # The read timeout of 100 ms, where it is passed on.
    assert reader.wake_ups(1.5) < 15 * (time.monotonic() - began)
    assert len([li for li in reader.lines if li.startswith("END")]) == 1
    assert server.connections == 1


# Coming back


@pytest.mark.parametrize("mode", ["loop", "dispatch", "next", "select",
                                  "poll", "epoll", "edge"])
def test_who_reads_on_gets_the_restarted_servers_packets(serve, start, mode):
    """Other order, precision, snapshot length; packets simply arrive."""
    first = serve([pcap(numbered(10))])
    reader = start(READER, "-m", mode, "-p", "-e", "2", first.device)
    reader.wait_for("END -2 end of stream")
    first.stop()
    second = serve([pcap(numbered(30), NSEC, ">", snaplen=40)],
                   port=first.port)
    reader.wait_for("^P", 40)
    assert reader.end() == 0
    ends = [li for li in reader.lines if li.startswith("END")]
    assert ends == ["END -2 end of stream"] * 2
    packets = [li.split() for li in reader.lines if li[0] == "P"]
    assert [p[1] for p in packets[10:]] == \
        [f"1700000000.{i * 1000:06}" for i in range(30)]
    assert {p[2] for p in packets[10:]} == {"60"}
    assert second.connections == 1


def test_refused_while_away_is_not_reported(serve, start):
    first = serve([pcap(numbered(10))])
    reader = start(READER, "-p", "-e", "2", first.device)
    reader.wait_for("END")
    first.stop()
    assert reader.wake_ups(2.5) < 20  # two attempts
    serve([pcap(numbered(5))], port=first.port)
    reader.wait_for("^P", 15)
    assert reader.end() == 0
    assert len([li for li in reader.lines if li.startswith("END")]) == 2


def test_backoff_is_for_servers_that_send_no_packet(serve, start):
    """Also where the last that came was another header."""
    server = serve([header()], [header()], [header()],
                   [header() + ONE + header()], [header()])
    reader = start(READER, "-e", "5", server.device)
    assert reader.end() == 0
    waits = [after - before for before, after in
             zip(server.times, server.times[1:])]
    # A second, two, four, and one again, not eight; a quarter less by chance,
    # and more where the machine is busy.
    assert waits[0] > 0.7 and waits[1] > 1.4 and waits[2] > 2.9
    assert waits[3] < waits[2]


def test_a_fork_does_not_keep_a_connection_that_was_hung_up(serve, start):
    """The server has to learn that its client is gone."""
    left = threading.Event()

    def play(conn, _):
        conn.sendall(header() + ONE + b"\xff" * 100)
        try:
            conn.recv(1)
        except ConnectionResetError:
            left.set()

    server = serve(["hold"])
    server._play = play
    reader = start(READER, "-k", "1", "-m", "poll", "-K", "-e", "9",
                   server.device)
    reader.wait_for("END -1")
    assert left.wait(LIMIT)


def test_reconnect_yes_waits_for_the_name_server():
    result = in_namespace(
        NAMES.format("''"),
        f"nc -N -l 127.0.0.1 5000 < {SAMPLE} &",
        "until ss -Hltn | grep -q :5000; do :; done",
        "{ sleep 1.5; echo 127.0.0.1 late.test >> /mnt/hosts; } &",
        f"{READER} -c 38 tcp:late.test:5000,reconnect=yes")
    assert result.returncode == 0, result.stderr
    assert " packets=38 " in result.stdout


def test_cut_then_back(serve, start):
    """Half a record of before is no part of what comes after."""
    server = serve([header() + ONE + ONE[:40]], [header() + ONE * 2])
    reader = start(READER, "-p", "-e", "2", server.device)
    assert reader.end() == 0
    assert [li for li in reader.lines if li.startswith("END")] == \
        [f"END -1 {TERMINATED}", "END -2 end of stream"]
    assert len([li for li in reader.lines if li[0] == "P"]) == 3


def test_another_link_type_after_coming_back_is_an_error(serve, start):
    server = serve([header() + ONE], [header(linktype=101) + ONE],
                   [header() + ONE])
    reader = start(READER, "-p", "-e", "3", server.device)
    assert reader.end() == 0
    ends = [li for li in reader.lines if li.startswith("END")]
    assert ends[0] == ends[2] == "END -2 end of stream"
    assert ends[1].startswith("END -1 127.0.0.1:")
    assert "link type" in ends[1]
    assert len([li for li in reader.lines if li[0] == "P"]) == 2


def test_another_link_type_in_mid_stream_is_an_error(serve):
    server = serve([header() + ONE + header(linktype=101) + ONE, "hold"])
    assert damaged(server, 1).endswith(
        "the link type is RAW, the device's is EN10MB "
        "(linktype=EN10MB takes both) "
        f"(at byte {24 + len(ONE)} of the stream)")


def test_reconnect_yes_reports_nothing(serve, start):
    server = serve([header() + ONE], [header() + ONE + ONE[:20], "rst"],
                   [b"garbage"], [header() + ONE, "hold"])
    reader = start(READER, "-m", "epoll", "-p",
                   server.device + ",reconnect=yes")
    reader.wait_for("^P", 3)
    assert not [li for li in reader.lines if li.startswith("END")]
    assert stats_after_break(reader)["recv"] == 3


def stats_after_break(reader):
    reader.command("b")
    assert reader.end() == 0
    return stats(reader.lines)


def test_reconnect_yes_waits_for_the_server_to_come_up(serve, start):
    port = free_port()
    dump = start("tcpdump", "-n", "-l", "-c", "1", "-i",
                 f"tcp:127.0.0.1:{port},reconnect=yes")
    dump.wait_until_blocked()
    serve([header() + ONE, "hold"], port=port)
    assert dump.end() == 0


def test_reconnect_yes_gives_up_at_the_timeout():
    began = time.monotonic()
    assert "Connection refused" in refused(
        f"tcp:127.0.0.1:{free_port()},reconnect=yes,timeout=2")
    # After another attempt; for a third there is no time.
    assert time.monotonic() - began > 0.7


def test_restarts_under_load_lose_nothing(serve, start):
    """What the kernel received is delivered, once."""
    count, rounds = 5000, 8
    server = serve(*[[pcap(numbered(count))]] * rounds)
    reader = start(READER, "-m", "epoll", "-k", "1", "-e", str(rounds),
                   server.device)
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] == count * rounds


def test_does_not_connect_to_itself():
    """With one port to choose from, TCP would connect the socket to itself,
    and keep the server from its port."""
    result = in_namespace(
        "echo 50000 50000 > /proc/sys/net/ipv4/ip_local_port_range",
        "tcpdump -i tcp:127.0.0.1:50000")
    assert result.stderr == "tcpdump: cannot connect to 127.0.0.1:50000: " \
        "Connection refused\n"


def test_one_connection_for_an_activation_and_none_for_a_create(serve):
    server = serve([header() + ONE], [header() + ONE])
    assert run("tcpdump", "-n", "-i", server.device).returncode == 0
    wait_until(lambda: server.connections == 1)
    assert refused(server.device + ",colour=red")
    assert server.connections == 1
