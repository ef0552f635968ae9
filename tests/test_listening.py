"""Senders that connect to the device: tcp-listen."""

import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from conftest import (ASAN, HOLD, LIMIT, READER, SAMPLE, SYSTEM, free_port,
                      in_namespace, is_listening, left_behind, need, refused,
                      run, stats, wait_until)
from pcapfile import epb, header, idb, numbered, pcap, pcapng, record, shb

TEN = pcap(numbered(10))
ONE = record(*numbered(1)[0])
START = 1700000000


class Sender:
    """A connection to the device, and what it is to send."""

    def __init__(self, port, data=b"", address="127.0.0.1"):
        self.socket = socket.create_connection((address, port), LIMIT)
        self.socket.sendall(data)

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.socket.close()

    def has_ended(self):
        """Has the device hung up by now?"""
        return bool(select.select([self.socket], [], [], 0)[0])

    def is_dropped(self):
        """Waits for the device to hang up."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def listening(start):
    """listening(arguments...): a program on tcp-listen, and its port."""
    def starter(*command, address="", options="", scheme="tcp-listen"):
        port = free_port()
        program = start(*command, f"{scheme}:{address}{port}{options}")
        wait_until(lambda: is_listening(port) or
                   program.process.poll() is not None, "it listens")
        program.port = port
        return program

    return starter


def sender(listening_program, data=b"", **kw):
    return Sender(listening_program.port, data, **kw)


def nc(port, path=SAMPLE, program="nc -N"):
    return subprocess.run(f"{program} 127.0.0.1 {port} < {path}", shell=True,
                          env=SYSTEM, timeout=LIMIT).returncode


@pytest.mark.parametrize("program", ["nc -N", "nc.traditional -q 0",
                                     "ncat --send-only", "socat - TCP:"])
def test_real_senders(listening, program):
    need(program.split()[0])
    dump = listening("tcpdump", "-n", "-c", "38", "-i")
    if program.startswith("socat"):
        subprocess.run(f"socat -u - TCP:127.0.0.1:{dump.port} < {SAMPLE}",
                       shell=True, timeout=LIMIT, check=True)
    else:
        nc(dump.port, program=program)
    assert dump.end() == 0
    assert len(dump.lines) == 38


def test_a_live_tcpdump_sends():
    """The article's: tcpdump -U -w - | nc HOST PORT."""
    need("tcpdump", "nc")
    result = in_namespace(
        f"{READER} -p -c 3 tcp-listen:5000 & reader=$!",
        "until ss -Hltn | grep -q :5000; do :; done",
        "tcpdump -U -Z root -i lo -w - udp port 9 2> /dev/null | "
        "nc -N 127.0.0.1 5000 > /dev/null 2>&1 &",
        "while kill -0 $reader 2> /dev/null; do",
        "echo x | nc -u -w 0 127.0.0.1 9; sleep 0.1; done",
        "wait $reader")
    assert result.stdout.count("\nP ") == 3, result


@pytest.mark.parametrize("leader", ["exec sleep 0", "exec sleep 1000"])
def test_nothing_is_left_of_a_sender_with_children(start, leader):
    """socat and nc.traditional have them, and end before them or by a signal
    that they do not get."""
    program = start("sh", "-c", f"sleep 1000 > /dev/null 2>&1 & {leader}",
                    env=SYSTEM)
    wait_until(lambda: "sleep\0001000\0" in left_behind().values(),
               "the child runs")
    program.stop()
    wait_until(lambda: not left_behind(), "all have ended")


def test_senders_come_and_go_and_it_never_ends(listening):
    reader = listening(READER, "-p", "-t", "100", "-m", "next")
    for count in (1, 2, 3):
        nc(reader.port)
        reader.wait_for("^P", 38 * count)
    both = [sender(reader, TEN), sender(reader, TEN)]
    reader.wait_for("^P", 3 * 38 + 20)
    for s in both:
        s.close()
    with sender(reader, TEN).socket:
        reader.wait_for("^P", 3 * 38 + 30)
    reader.command("b")
    assert reader.end() == 0
    assert [li for li in reader.lines if li.startswith("END")] == ["END -2 "]
    assert stats(reader.lines)["recv"] == 3 * 38 + 30


@pytest.mark.parametrize("mode", ["loop", "next", "select", "epoll", "edge"])
def test_many_senders_at_once(listening, mode):
    """Each sends as fast as it can; all is delivered, event by event too."""
    senders, count = 20, 2000
    reader = listening(READER, "-m", mode, "-k", "1", "-c",
                       str(senders * count))
    data = pcap(numbered(count))

    def send():
        s = sender(reader, data)
        s.close()

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    assert reader.end() == 0
    for thread in threads:
        thread.join(LIMIT)
    assert stats(reader.lines)["packets"] == senders * count


def bound_to(port):
    """The addresses that the port is open on, as /proc has them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in open(table).read().splitlines()[1:]:
            fields = line.split()
            address, number = fields[1].split(":")
            if fields[3] == "0A" and int(number, 16) == port:
                found.add(address)
    return found


def test_loopback_only_where_no_address_is_given(listening):
    for address in ("", "localhost:", "127.0.0.1:"):
        reader = listening(READER, address=address)
        found = bound_to(reader.port)
        assert "0100007F" in found
        assert found <= {"0100007F", "0" * 24 + "01000000"}


@pytest.mark.parametrize("address,clients", [
    ("0.0.0.0:", ["127.0.0.1"]), ("[::]:", ["127.0.0.1", "::1"]),
    ("[::1]:", ["::1"]), ("", ["127.0.0.1", "::1"])])
def test_addresses(listening, address, clients):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    reader = listening(READER, "-c", str(10 * len(clients)), address=address)
    senders = [sender(reader, TEN, address=client) for client in clients]
    assert reader.end() == 0
    assert len(senders) == len(clients)


def test_address_in_use(listening):
    reader = listening(READER)
    assert refused(f"tcp-listen:{reader.port}") == \
        f"tcpdump: cannot listen on localhost:{reader.port}: " \
        "Address already in use"


@pytest.mark.parametrize("address,said", [
    ("192.0.2.1", "Cannot assign requested address"),
    ("a.name", "expected an address of this machine, or 0.0.0.0 or [::] "
     "for all")])
def test_no_address_of_this_machine(address, said):
    port = free_port()
    assert refused(f"tcp-listen:{address}:{port}") == \
        f"tcpdump: cannot listen on {address}:{port}: {said}"


def test_opening_waits_no_longer_than_it_is_told():
    began = time.monotonic()
    assert refused(f"tcp-listen:{free_port()},timeout=1").endswith(
        "no sender sent a pcap stream within 1 seconds")
    assert time.monotonic() - began > 0.9


def test_what_the_last_sender_sent_is_told_at_the_timeout(listening):
    dump = listening("tcpdump", "-i", options=",timeout=2")
    bad = sender(dump, b"GET / HTTP/1.1\r\n\r\n" * 4)
    name = "127.0.0.1:%u" % bad.socket.getsockname()[1]
    assert dump.end() == 1
    assert dump.errors[0].startswith(
        "tcpdump: no sender sent a pcap stream within 2 seconds; the last, "
        f"{name}: not a pcap stream but text")


def test_a_silent_sender_blocks_nobody(listening):
    """However long it may be silent."""
    reader = listening(READER, "-p", options=",timeout=0,linktype=EN10MB")
    senders = [sender(reader), sender(reader, header()[:10])]
    sender(reader, TEN)
    reader.wait_for("^P", 10)
    for s in senders:
        s.close()


def test_a_silent_sender_is_dropped(listening):
    # What a sender has is what is left of the time for opening.
    began = time.monotonic()
    reader = listening(READER, "-p",
                       options=",timeout=1,linktype=EN10MB,reconnect=yes")
    silent = sender(reader)
    half = sender(reader, header()[:10])
    assert silent.is_dropped()
    assert half.is_dropped()
    assert time.monotonic() - began > 0.9
    sender(reader, TEN)
    reader.wait_for("^P", 10)


@pytest.mark.parametrize("said", [b"", header()], ids=["nothing", "header"])
def test_the_silent_give_way_when_all_places_are_taken(listening, said):
    reader = listening(READER, "-p", options=",timeout=1000,linktype=EN10MB")
    speaker = sender(reader, TEN)
    reader.wait_for("^P", 10)
    silent = [sender(reader, said) for _ in range(100)]
    sender(reader, TEN)
    reader.wait_for("^P", 20)
    assert any(s.is_dropped() for s in silent[:1])
    speaker.send(ONE)  # It has sent a packet, and keeps its place.
    reader.wait_for("^P", 21)


def test_ten_seconds_where_no_timeout_is_given(listening):
    patient = sender(listening(READER, options=",timeout=1000"))
    reader = listening(READER, "-p")
    began = time.monotonic()
    silent = sender(reader)
    sender(reader, TEN)
    reader.wait_for("^P", 10)
    assert silent.is_dropped()
    assert time.monotonic() - began > 9
    assert not patient.has_ended()


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\n\r\n" * 4, b"\x16\3\1\2\0" + b"\0" * 50,
    header() + b"\xff" * 16, header(linktype=101) + ONE, b"\0"],
    ids=["HTTP", "TLS", "a damaged record", "another link type", "1 byte"])
def test_what_one_sender_does_is_nothing_to_the_others(listening, data):
    reader = listening(READER, "-p", "-t", "100")
    good = sender(reader, TEN)
    reader.wait_for("^P", 10)
    bad = sender(reader, data)
    if len(data) > 1:
        assert bad.is_dropped()
    bad.close()
    good.send(ONE)
    reader.wait_for("^P", 11)
    reader.command("b")
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] >= 11
    assert sum(li.startswith("END") for li in reader.lines) == 1


def test_the_first_sender_with_a_stream_gives_the_link_type(listening):
    reader = listening(READER, "-p")
    assert sender(reader, b"no stream" * 10).is_dropped()
    sender(reader, header(linktype=113) + ONE)
    assert reader.wait_for("OPEN").startswith("OPEN dlt=113 ")


def test_at_most_64_senders(listening):
    """One more waits until there is a place; none is lost."""
    reader = listening(READER, "-p")
    kept = [sender(reader, header()) for _ in range(64)]
    reader.wait_for("OPEN")
    kept[0].send(ONE)
    reader.wait_for("^P", 1)
    late = sender(reader, TEN)
    for s in kept:
        s.send(ONE)
    reader.wait_for("^P", 65)
    time.sleep(0.3)
    assert sum(li.startswith("P") for li in reader.lines) == 65
    kept[5].close()
    reader.wait_for("^P", 75)
    late.close()


def test_two_hundred_short_senders_while_the_program_is_busy(listening):
    reader = listening(READER, "-p", "-c", "2000")
    first = sender(reader, TEN)
    reader.wait_for("^P", 10)
    reader.signal(signal.SIGSTOP)
    for _ in range(199):
        sender(reader, TEN).close()
    reader.signal(signal.SIGCONT)
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] == 2000
    first.close()


def test_a_sender_that_stops_in_a_long_record_is_dropped(listening):
    """It has a buffer of that size meanwhile."""
    reader = listening(READER, "-p",
                       options=",timeout=1,linktype=EN10MB,reconnect=yes")
    length = 16 << 20
    block = struct.pack("<II", 0x0BAD, length) + b"\0" * (length - 100)
    long = sender(reader, shb() + idb() + block)
    assert long.is_dropped()
    sender(reader, TEN)
    reader.wait_for("^P", 10)


def test_long_records_and_a_program_that_is_slow(listening):
    """One after the other, and the buffer never has less than one."""
    count = 1000
    reader = listening(READER, "-t", "100", "-m", "next", "-z", "2000", "-c",
                       str(count), options=",timeout=2,linktype=USBPCAP,"
                       "reconnect=yes")
    peer = sender(reader, header(linktype=249, snaplen=1 << 20))
    long = record(START, 0, b"\0" * 600000)
    for _ in range(count):
        peer.send(long)
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] == count


def test_a_header_and_a_program_that_stands_still(listening):
    """It took its time, but not the sender's."""
    reader = listening(READER, "-p", options=",timeout=3")
    sender(reader, TEN)
    reader.wait_for("^P", 10)
    peer = sender(reader, shb())
    reader.wait_until_blocked()
    reader.signal(signal.SIGSTOP)
    time.sleep(3.5)
    reader.signal(signal.SIGCONT)
    time.sleep(0.3)  # after all the time that it had, if that went on
    peer.send(idb() + b"".join(
        epb(0, i, data) for i, (_, _, data) in enumerate(numbered(10))))
    reader.wait_for("^P", 20)


def test_long_records_and_a_program_that_stands_still(listening):
    """Not the sender: it has sent what there was room for."""
    reader = listening(READER, "-p", "-c", "10",
                       options=",timeout=4,linktype=EN10MB,reconnect=yes")
    length = 1 << 20
    block = struct.pack("<II", 0x0BAD, length) + b"\0" * (length - 12) + \
        struct.pack("<I", length)
    peer = sender(reader, shb() + idb() + block[:-100])
    reader.wait_until_blocked()
    reader.signal(signal.SIGSTOP)
    time.sleep(4.5)
    reader.signal(signal.SIGCONT)
    time.sleep(0.3)  # after all the time that it had, if that went on
    peer.send(block[-100:] + b"".join(
        epb(0, i, data) for i, (_, _, data) in enumerate(numbered(10))))
    assert reader.end() == 0


def test_all_that_senders_make_it_allocate_has_one_limit(listening):
    """All places are taken, each with as many interfaces as are kept; and
    sixteen of them have 16 MiB of a record, which are there at once."""
    reader = listening(READER, "-p", options=",timeout=100,linktype=EN10MB")
    sender(reader, TEN).close()
    reader.wait_for("^P", 10)
    before = reader.memory("VmRSS")
    kinds = idb(1, 0, (9, b"\6")) + idb(1, 0, (9, b"\3"))
    data = shb() + kinds * 4096 + epb(8191, START * 1000, b"\2" * 60)
    length = 16 << 20
    block = struct.pack("<II", 0x0BAD, length) + b"\0" * (length - 100)
    senders = [sender(reader, data) for _ in range(63)]
    reader.wait_for("^P", 10 + 63)
    dropped = 0
    for s in senders[:16]:
        try:
            s.send(block)
        except (ConnectionResetError, BrokenPipeError):
            dropped += 1
    assert reader.memory("VmHWM") - before < 256 * (4 if ASAN else 1)
    assert 0 < dropped < 16
    # There is a place left, whatever the others hold.
    sender(reader, data)
    reader.wait_for("^P", 10 + 64)


def flood(port, data, stopped):
    with socket.create_connection(("127.0.0.1", port), LIMIT) as s:
        try:
            s.sendall(header())
            while not stopped.is_set():
                s.sendall(data)
        except OSError:
            pass


def test_floods_do_not_starve_a_sender(listening):
    """Always the same time stamp, a little before the good one's. They do
    not stop before it has had its turn."""
    reader = listening(READER, "-p", "-f", "greater 100")
    stopped = threading.Event()
    old = record(START, 0, b"\2" * 60) * 1000
    threads = [threading.Thread(target=flood, args=(reader.port, old, stopped))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    reader.wait_for("OPEN")
    sender(reader, header() + record(START, 10, b"\2" * 200))
    reader.wait_for("^P", 1)
    stopped.set()
    reader.stop()
    for thread in threads:
        thread.join(LIMIT)


def seconds_for_a_flood(listening, knock):
    """Of 300,000 packets, with knock(reader) time and again beside them."""
    count = 300000
    reader = listening(READER, "-c", str(count), options=",linktype=EN10MB")
    data = pcap(numbered(count, 200))
    stopped = threading.Event()

    def beside():
        while not stopped.wait(0.03):
            try:
                knock(reader)
            except OSError:
                return

    began = time.monotonic()
    threads = [threading.Thread(target=beside),
               threading.Thread(target=lambda: sender(reader, data))]
    for thread in threads:
        thread.start()
    assert reader.end() == 0
    took = time.monotonic() - began
    stopped.set()
    for thread in threads:
        thread.join(LIMIT)
    return took


def test_strangers_with_a_header_do_not_slow_the_others_down(listening):
    """Each holds the rest back a little: for half of the time at most. If
    each buffer waited for a moment, it would be a hundred times as long."""
    alone = seconds_for_a_flood(listening, lambda reader: None)
    assert seconds_for_a_flood(listening, lambda reader: sender(
        reader, header()).close()) < 10 * (alone + HOLD)


@pytest.mark.parametrize("drop", ["ip link set lo down",
                                  "iptables -A OUTPUT -p tcp -j DROP"])
def test_a_sender_that_is_dead_without_a_word_leaves_its_place(drop):
    need(drop.split()[0], "nc")
    result = in_namespace(
        "out=$(mktemp); mkfifo $out.stream",
        f"{READER} -p tcp-listen:5000,keepalive=1,linktype=1 > $out &",
        # Another one, which has thirty seconds and more.
        f"{READER} -p tcp-listen:5001,linktype=1 > $out.other &",
        "connected() { ss -Htn state established \"( sport = :$1 )\"; }",
        "until ss -Hltn | grep -q :5000 && ss -Hltn | grep -q :5001",
        "do :; done",
        "nc 127.0.0.1 5000 < $out.stream > /dev/null &",
        f"nc 127.0.0.1 5001 < {SAMPLE} > /dev/null &",
        f"exec 3> $out.stream; cat {SAMPLE} >&3",
        "until [ $(cat $out $out.other | grep -c ^P) = 76 ]; do sleep 0.1",
        "done",
        drop,
        "while [ -n \"$(connected 5000)\" ]; do sleep 0.1; done",
        "[ -z \"$(connected 5001)\" ] || echo the other is there",
        "rm $out $out.other $out.stream")
    assert result.stdout == "the other is there\n", result


def test_out_of_descriptors(listening):
    """EMFILE on accept ends nothing and costs no CPU; a sender that waits
    gets in when there is a descriptor again."""
    reader = listening("prlimit", "--nofile=16", READER, "-p")
    senders = [sender(reader, header() + ONE)]
    reader.wait_for("^P", 1)
    for _ in range(20):
        senders.append(sender(reader, header() + ONE))
    reader.wait_for("^P", 3)
    assert reader.wake_ups() < 50
    accepted = sum(li.startswith("P") for li in reader.lines)
    assert accepted < 16
    for s in senders[:accepted]:
        s.close()
    reader.wait_for("^P", accepted + 3)


def test_idle_costs_nothing(listening):
    reader = listening(READER, "-p", "-m", "epoll", "-k", "1")
    s = sender(reader, TEN)
    reader.wait_for("^P", 10)
    s.close()
    assert reader.wake_ups() <= 1


def test_thousand_opens_leak_nothing():
    result = run(READER, "-o", "1000", "-i", "10", "-m", "poll",
                 f"tcp-listen:{free_port()},linktype=1")
    found = re.search(r"LEAK descriptors=(\d+) bytes=(-?\d+)", result.stdout)
    assert found[1] == "0"
    assert int(found[2]) < 1000


def test_senders_that_left_stay_in_the_statistics(listening):
    reader = listening(READER, "-p", "-t", "100")
    drops = shb() + idb() + pcapng(numbered(3))[48:]
    for count in (3, 6):
        s = sender(reader, drops)
        reader.wait_for("^P", count)
        s.close()
    reader.command("b")
    assert reader.end() == 0
    assert stats(reader.lines)["recv"] == 6


def test_a_sender_and_a_server_in_one_device(listening, serve):
    server = serve([TEN])
    reader = listening(READER, "-p", options=f"+tcp:127.0.0.1:{server.port}")
    sender(reader, TEN)
    reader.wait_for("^P", 20)
    assert not any(li.startswith("END") for li in reader.lines)
