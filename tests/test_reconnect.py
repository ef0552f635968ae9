"""Coming back by itself: restarts under load, dead peers, late servers."""

import os
import re
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from conftest import (BUILD, LIMIT, READER, SAMPLE, SYSTEM, Server,
                      end_by, free_port, in_namespace, is_listening, need, run, stats,
                      wait_until)
from pcapfile import header, numbered, pcap, record

TEN = pcap(numbered(10))
CALLS = BUILD / "tests" / "calls"
ONE = record(*numbered(1)[0])
START = 1700000000
# A restart takes a second of back-off; tools/test wants them all once.
ROUNDS = 100 if os.environ.get("PCAP_TCP_LONG") else 6


class Restarting(threading.Thread):
    """A server that is killed in its stream and started again on its port.
    It knows the records that the reader's kernel took whole."""

    def __init__(self, records):
        super().__init__(daemon=True)
        self.records = [record(*p) for p in numbered(records)]
        self.sent = []  # time stamps of the records, each its own
        self.away = []  # seconds without the reader
        self.port = free_port()
        self.start()
        wait_until(lambda: is_listening(self.port), "it listens")

    def run(self):
        left = time.monotonic()
        for turn in range(ROUNDS):
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", self.port))
                listener.listen()
                listener.settimeout(LIMIT)
                conn = listener.accept()[0]
            conn.settimeout(LIMIT)
            self.away.append(time.monotonic() - left)
            self._play(conn, turn)
            left = time.monotonic()
            self.turns = turn + 1

    def _play(self, conn, turn):
        """FIN between two records, FIN within one, RST within one."""
        stamped = [struct.pack("<II", START + turn, i) + r[8:]
                   for i, r in enumerate(self.records)]
        whole = len(stamped) - (turn % 3 != 0)
        with conn:
            conn.sendall(header() + b"".join(stamped[:whole]) +
                         (stamped[-1][:40] if turn % 3 else b""))
            if turn % 3 == 2:
                Server.reset_at_close(conn)
            self.sent += [f"{START + turn}.{i:06}" for i in range(whole)]


def delivered(program):
    return [li.split()[1] for li in program.lines if li.startswith("P ")]


def descriptors(program):
    """Those that it did not have from the start, by their kind."""
    links = Path(f"/proc/{program.process.pid}/fd").iterdir()
    return sorted(re.sub(r":\[\d+\]", "", os.readlink(link)) for link in links
                  if int(link.name) > 2)


def test_many_restarts_lose_nothing(start):
    """By a reader that is called event by event (its descriptor must stay
    the same and registered), by a blocking one, and by one for which nothing
    is reported."""
    ways = [(["-p", "-m", "epoll", "-k", "1", "-e", str(ROUNDS)], ""),
            (["-p", "-m", "loop", "-e", str(ROUNDS)], ""),
            (["-p", "-m", "next", "-t", "100"], ",reconnect=yes")]
    servers = [Restarting(1000) for _ in ways]
    readers = [start(READER, *way, f"tcp:127.0.0.1:{server.port}{options}")
               for (way, options), server in zip(ways, servers)]
    for reader in readers:
        reader.wait_for("OPEN")
    for server in servers:
        server.join()  # each step of it has a limit
        assert server.turns == ROUNDS
    for reader, server in zip(readers[:2], servers):
        assert reader.end() == 0
        found = stats(reader.lines)
        assert delivered(reader) == server.sent
        assert found["recv"] == len(server.sent)
        ends = [li for li in reader.lines if li.startswith("END")]
        assert len(ends) == ROUNDS
    # A packet each, and what little comes with a restart: no spin.
    assert stats(readers[0].lines)["wakeups"] < \
        len(servers[0].sent) + 20 * ROUNDS
    # Its connection has gone, and nothing else of it is left.
    wait_until(lambda: "socket" not in descriptors(readers[2]), "it is away")
    assert descriptors(readers[2]) == [
        "/memfd:pcap-tcp-status (deleted)",
        "anon_inode:[eventfd]", "anon_inode:[eventpoll]",
        "anon_inode:[eventpoll]", "anon_inode:[timerfd]"]  # one is its own
    readers[2].command("b")
    assert readers[2].end() == 0
    assert delivered(readers[2]) == servers[2].sent
    for server in servers:
        # The first is the start. A back-off that doubled each time would be
        # eight times as long at the end, or more.
        assert min(server.away[-2:]) < 3 * server.away[1]


@pytest.mark.parametrize("mode", ["loop", "next", "poll", "epoll", "edge"])
def test_away_costs_next_to_nothing(serve, start, mode):
    """A few attempts to connect, of a few waits each."""
    server = serve([TEN])
    reader = start(READER, "-p", "-m", mode, "-e", "2", server.device)
    reader.wait_for("^END")
    assert reader.wake_ups(3) < 20


def test_a_server_of_socat_is_stopped_and_started(start, tmp_path):
    need("socat")
    port = free_port()

    def socat():
        return start("socat", f"TCP-LISTEN:{port},reuseaddr,fork",
                     f"EXEC:cat {SAMPLE}", env=SYSTEM)

    first = socat()
    reader = start(READER, "-p", "-m", "next", "-t", "100",
                   f"tcp:127.0.0.1:{port},reconnect=yes")
    reader.wait_for("^P", 38)
    first.stop()
    socat()
    reader.wait_for("^P", 76)
    assert not any(li.startswith("END") for li in reader.lines)


@pytest.mark.parametrize("drop", ["ip link set lo down",
                                  "iptables -A OUTPUT -p tcp -j DROP",
                                  "iptables -A INPUT -p tcp -j DROP"])
def test_a_peer_that_is_dead_without_a_word(drop):
    """No FIN, no RST: the packets to it are lost. Keepalive notices."""
    need(drop.split()[0])
    result = in_namespace(
        "out=$(mktemp); mkfifo $out.stream",
        "nc -N -l 5000 < $out.stream &",
        f"exec 3> $out.stream; cat {SAMPLE} >&3",
        "until ss -Hltn | grep -q :5000; do :; done",
        f"{READER} -p tcp:127.0.0.1:5000,keepalive=1 > $out & reader=$!",
        # Another one, which has thirty seconds and more.
        f"nc -l 5001 < {SAMPLE} &",
        "until ss -Hltn | grep -q :5001; do :; done",
        f"{READER} -p tcp:127.0.0.1:5001 > $out.other & other=$!",
        "until [ $(cat $out $out.other | grep -c ^P) = 76 ]; do sleep 0.1",
        "done",
        drop,
        "wait $reader || :",
        "cat $out; kill $other && echo the other is there",
        "rm $out $out.other $out.stream")
    assert "END -1 127.0.0.1:5000: Connection timed out" in result.stdout, \
        result
    assert "the other is there" in result.stdout


NAMES = "mount -t tmpfs none /mnt && cp -L /etc/hosts /mnt/hosts && " \
    "echo {} >> /mnt/hosts && mount --bind /mnt/hosts /etc/hosts"


def test_addresses_are_kept_for_programs_that_change_their_root():
    """After opening, the name could not be looked up any more."""
    result = in_namespace(
        NAMES.format("127.0.0.1 once.test"),
        "serve() { nc -N -l 127.0.0.1 5000 < " + str(SAMPLE) + " & "
        "until ss -Hltn | grep -q :5000; do :; done; }",
        "serve",
        f"{READER} -p -e 2 -m epoll tcp:once.test:5000 > /tmp/$$.out &",
        "reader=$!",
        "until grep -q ^END /tmp/$$.out; do sleep 0.1; done",
        "echo > /mnt/hosts",
        "serve; wait $reader; grep -c ^P /tmp/$$.out; rm /tmp/$$.out")
    assert result.stdout == "76\n", result


SILENT_NAME_SERVER = (
    "mount -t tmpfs none /mnt",
    "echo nameserver 127.0.0.1 > /mnt/resolv.conf",
    "echo options timeout:30 attempts:5 >> /mnt/resolv.conf",
    "echo 'hosts: dns' > /mnt/nsswitch.conf",
    "mount --bind /mnt/resolv.conf /etc/resolv.conf",
    "mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf",
    "nc -u -l 127.0.0.1 53 > /dev/null & server=$!",
    "until ss -Hlun | grep -q :53; do :; done")


def test_a_silent_name_server_blocks_no_handle():
    """linktype= opens it; then a non-blocking read returns at once."""
    result = in_namespace(
        *SILENT_NAME_SERVER,
        f"{READER} -m next -x tcp:some.name:5000,linktype=1 > /mnt/out &",
        "reader=$!",
        "until grep -q OPEN /mnt/out; do sleep 0.1; done",
        "sleep 3; kill -USR1 $reader; wait $reader; cat /mnt/out",
        "kill $server")
    assert "OPEN dlt=1 " in result.stdout, result
    # In three seconds; the name server is asked for thirty, and again, and a
    # read that waits for it would be the last.
    assert stats(result.stdout.splitlines())["reads"] > 10


def test_a_daemon_leaves_no_look_up_behind(start, tmp_path):
    """It forks while a slow name server is asked; the thread that asks is
    not in the child."""
    result = in_namespace(
        "mount -t tmpfs none /mnt",
        "echo nameserver 127.0.0.1 > /mnt/resolv.conf",
        "echo 'hosts: dns files' > /mnt/nsswitch.conf",
        "echo options timeout:1 attempts:1 >> /mnt/resolv.conf",
        "cp -L /etc/hosts /mnt/hosts; echo 127.0.0.1 late.test >> /mnt/hosts",
        "for f in resolv.conf nsswitch.conf hosts; do "
        "mount --bind /mnt/$f /etc/$f; done",
        "nc -u -l 127.0.0.1 53 > /dev/null & server=$!",
        f"nc -N -l 5000 < {SAMPLE} &",
        "until ss -Hlun | grep -q :53 && ss -Hltn | grep -q :5000; do :; done",
        f"{READER} -D -p tcp:late.test:5000,linktype=1,reconnect=no,timeout=0 "
        "> /mnt/out",
        "until grep -q STATS /mnt/out; do sleep 0.1; done",
        "grep -c ^P /mnt/out; kill $server")
    assert result.stdout == "38\n", result


def test_a_name_that_gets_another_address():
    """A name server of the test's own; at last it is silent, and what it said
    before counts."""
    need("dnsmasq", "nc")
    serve = "nc -N -l {} 5000 < " + str(SAMPLE)
    result = in_namespace(
        "mount -t tmpfs none /mnt",
        "echo nameserver 127.0.0.1 > /mnt/resolv.conf",
        "echo 'hosts: dns' > /mnt/nsswitch.conf",
        "for f in resolv.conf nsswitch.conf; do "
        "mount --bind /mnt/$f /etc/$f; done",
        "echo 127.0.0.2 moving.test > /mnt/names",
        # Which ends under a preloaded libasan.
        "env -u LD_PRELOAD dnsmasq -k --no-resolv --no-hosts "
        "--addn-hosts=/mnt/names --user= --group= --pid-file= "
        "--listen-address=127.0.0.1 --bind-interfaces & dns=$!",
        "until ss -Hlun | grep -q :53; do sleep 0.1; done",
        f"{serve.format('127.0.0.2')} &",
        "until ss -Hltn | grep -q 127.0.0.2:5000; do sleep 0.1; done",
        f"{READER} -p tcp:moving.test:5000,reconnect=yes > /mnt/out & "
        "reader=$!",
        "packets() { until [ $(grep -c ^P /mnt/out) = $1 ]; do sleep 0.1; "
        "done; }",
        "packets 38",
        "echo 127.0.0.3 moving.test > /mnt/names; kill -HUP $dns",
        f"{serve.format('127.0.0.3')}; packets 76",
        "kill -STOP $dns",
        f"{serve.format('127.0.0.3')}; packets 114",
        "kill -KILL $dns; kill $reader; echo fine")
    assert result.stdout == "fine\n", result


def test_a_chroot_keeps_the_addresses():
    """Where no name can be looked up."""
    result = in_namespace(
        "mount -t tmpfs none /mnt",
        "cp -L /etc/hosts /mnt/hosts; echo 127.0.0.1 late.test >> /mnt/hosts",
        "mount --bind /mnt/hosts /etc/hosts",
        f"nc -N -l 127.0.0.1 5000 < {SAMPLE} &",
        "until ss -Hltn | grep -q :5000; do sleep 0.1; done",
        f"{CALLS} chroot tcp:late.test:5000,reconnect=yes > /mnt/out & "
        "reader=$!",
        "until [ $(grep -c ^P /mnt/out) = 38 ]; do sleep 0.1; done",
        f"nc -N -l 127.0.0.1 5000 < {SAMPLE}",
        "until [ $(grep -c ^P /mnt/out) = 76 ]; do sleep 0.1; done",
        "kill $reader; echo fine")
    assert result.stdout == "fine\n", result


@pytest.mark.parametrize("linktype,dlt", [
    ("1", 1), ("en10mb", 1), ("RAW", 12), ("101", 12), ("LINUX_SLL2", 276)])
def test_linktypes_by_name_and_by_number(linktype, dlt):
    result = run(READER, "-m", "poll", "-i", "1",
                 f"tcp:127.0.0.1:{free_port()},linktype={linktype}")
    assert f"OPEN dlt={dlt} " in result.stdout


@pytest.mark.parametrize("linktype", ["NONSENSE", "65536", "-1", "1x"])
def test_linktypes_that_are_none(linktype):
    device = f"tcp:127.0.0.1:1,linktype={linktype}"
    result = run("tcpdump", "-i", device)
    assert result.stderr == f"tcpdump: {device}: bad linktype " \
        f"\"{linktype}\": expected a link type's name (EN10MB) or number\n"


def test_a_stream_of_another_link_type_is_a_fault(serve):
    server = serve([header(linktype=189) + ONE, "hold"])
    result = run(READER, server.device + ",linktype=EN10MB")
    assert "END -1 " in result.stdout
    assert "the link type is USB_LINUX, the device's is EN10MB" in result.stdout


def test_a_filter_stays_across_a_restart(serve, start):
    server = serve([TEN], [TEN, "hold"])
    reader = start(READER, "-p", "-e", "2", "-m", "epoll", "-f",
                   "udp port 53", server.device)
    reader.wait_for("^P", 10)
    wait_until(lambda: server.connections == 2, "it came back")
    reader.wait_until_blocked()
    assert sum(li.startswith("P") for li in reader.lines) == 10


def test_streams_that_cannot_be_read_are_counted(serve, start):
    """With reconnect=yes nobody is told, but statistics are."""
    http = [b"HTTP/1.0 404 Not found\r\n\r\n"]
    server = serve(http, [TEN, b"\xff" * 16], [TEN, "fin"], [TEN, "hold"])
    program = start("tcpdump", "-n", "-l", "-i",
                    server.device + ",reconnect=yes,linktype=EN10MB")
    program.wait_for(" IP ", count=30)
    end_by(program)
    assert "2 packets dropped by interface" in program.errors
