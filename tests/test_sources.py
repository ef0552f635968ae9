"""Several sources in one device: order of time, and each one's own trouble."""

import random
import re
import signal
import socket
import struct
import time

import pytest

from conftest import (ASAN, HOLD, LIMIT, READER, SAMPLE, SYSTEM, cause,
                      free_port, need, run, stats, wait_until)
from pcapfile import NSEC, header, numbered, pcap, pcapng, record

TEN = pcap(numbered(10))
ONE = record(*numbered(1)[0])
START = 1700000000
HEADER = 24


def interleaved(senders, count, seed=1):
    """A stream for each sender; their time stamps come in turn at random."""
    turn = random.Random(seed)
    streams = [[] for _ in range(senders)]
    for i in range(senders * count):
        frame = b"\2" * 12 + b"\x08\0" + struct.pack(">I", i) + b"\0" * 42
        free = [s for s in streams if len(s) < count]
        turn.choice(free).append((START + i // 1000, i % 1000 * 1000, frame))
    return [pcap(s) for s in streams]


def device_of(servers, options=""):
    return "tcp:" + "+".join(f"127.0.0.1:{s.port}" for s in servers) + options


def times(lines):
    return [float(li.split()[1]) for li in lines if li.startswith("P ")]


def until_in_order(serve, scripts, count, *options):
    """Nobody is waited for longer than a tenth of a second, which a busy
    machine may keep a sender from its turn: then it tries again."""
    def is_in_order():
        servers = [serve(script) for script in scripts]
        result = run(READER, "-p", "-c", str(count), *options,
                     device_of(servers))
        found = times(result.stdout.splitlines())
        assert len(found) == count
        return found == sorted(found)

    wait_until(is_in_order, "it is in order")


@pytest.mark.parametrize("mode", ["loop", "next", "select", "epoll", "edge"])
@pytest.mark.parametrize("senders", [2, 8, 64])
def test_time_stamp_order_under_load(serve, senders, mode):
    count = 200000 // senders // (1 if mode == "loop" else 10)
    streams = interleaved(senders, count)
    until_in_order(serve, [[data, "hold"] for data in streams],
                   senders * count, "-m", mode, "-k", "1")


@pytest.mark.parametrize("segment", [1, 97, 1448])
def test_order_does_not_depend_on_segments(serve, segment):
    """Each sender in its own small steps, so that each runs dry often."""
    each = 30 if segment == 1 else 300
    until_in_order(serve, [[segment, data, "hold"]
                           for data in interleaved(3, each)],
                   3 * each, "-m", "epoll")


def at(ms):
    return record(START, ms * 1000, b"\2" * 60)


@pytest.mark.parametrize("mode", ["loop", "next", "epoll"])
def test_who_is_behind_is_waited_for_a_little(serve, start, mode):
    """The second one's older record is here 30 ms later, unless the test is
    held up; then it tries again."""
    def is_in_order():
        first = serve([header(), "go", at(2), at(4), "hold"])
        second = serve([header(), "go", at(1), at(3), at(5), "hold"])
        reader = start(READER, "-p", "-m", mode, "-c", "5",
                       device_of([first, second]))
        reader.wait_for("OPEN")
        first.go()
        time.sleep(0.03)
        second.go()
        assert reader.end() == 0
        found = times(reader.lines)
        assert len(found) == 5
        return found == sorted(found)

    wait_until(is_in_order, "it came in time")


@pytest.mark.parametrize("options,limit", [([], 0.1), (["-t", "20"], 0.02)])
def test_a_record_is_held_back_for_as_long_and_no_longer(serve, start,
                                                         options, limit):
    """By one that had a record just before. The longest is what it took
    beyond the time that an event takes anyway; where the test is held up it
    tries again."""
    def is_held():
        lively = serve([header() + at(0), "go", at(2), "hold"])
        other = serve([header() + at(1), "go", at(3), "hold"])
        reader = start(READER, "-p", "-m", "next", *options,
                       device_of([lively, other]))
        reader.wait_for("^P", 2)
        time.sleep(0.3)  # that one was in vain, and the next is free
        began = time.monotonic()
        lively.go()
        reader.wait_for("^P", 3)
        between = time.monotonic()
        other.go()
        reader.wait_for("^P", 4)
        took = time.monotonic() - between
        reader.stop()
        return limit * 0.4 < took < limit * 1.4 + (between - began)

    wait_until(is_held, "it was held back for as long")


def test_a_slow_program_sees_a_quiet_source_in_time(serve, start):
    """Not after all that a busy one has in its buffer."""
    quiet = serve([header() + at(0), "go",
                   record(START + 1, 5500, b"\2" * 60), "arrived", "hold"])
    busy = serve([header() + at(0), "go",
                  b"".join(at(1000 + i) for i in range(2000)), "hold"])
    reader = start(READER, "-p", "-m", "next", "-t", "100", "-z", "500", "-c",
                   "2003", device_of([quiet, busy]))
    reader.wait_for("^P", 2)
    time.sleep(0.3)  # then nobody waits for the quiet one any more
    busy.go()
    reader.wait_for("^P", 20)
    reader.signal(signal.SIGSTOP)
    quiet.go()
    assert quiet.arrived.wait(LIMIT)
    reader.wait_until_collected()
    before = len(times(reader.lines))
    reader.signal(signal.SIGCONT)
    assert reader.end() == 0
    place = times(reader.lines).index(START + 1.0055)
    assert place < before + 300  # of 2003


@pytest.mark.parametrize("options,limit", [([], 0.1), (["-t", "20"], 0.02)])
def test_one_that_stalls_holds_the_rest_back_for_a_moment_only(
        serve, start, options, limit):
    """It has been late for long, nobody waits for it: a record takes as long
    as one of a single source, in most of the cases. Where the test is held up
    it tries again."""
    count = 15
    records = [at(2 + i) for i in range(count)]
    script = [header() + at(1), *(step for r in records
                                  for step in ("go", r)), "hold"]

    def took(server, program, nth):
        began = time.monotonic()
        server.go()
        program.wait_for("^P", nth)
        return time.monotonic() - began

    def is_held_for_a_moment_only():
        stalled = serve([header() + at(0), "hold"])
        other, single = serve(script), serve(script)
        reader = start(READER, "-p", "-m", "next", *options,
                       device_of([stalled, other]))
        alone = start(READER, "-p", "-m", "next", *options, single.device)
        reader.wait_for("^P", 2)
        alone.wait_for("^P", 1)
        time.sleep(0.2)
        late = [took(other, reader, 3 + i) - took(single, alone, 2 + i)
                for i in range(count)]
        reader.stop()
        alone.stop()
        return sorted(late)[count // 2] < limit / 2

    wait_until(is_held_for_a_moment_only, "the rest is not held back")


def seconds_for(start, count, servers):
    began = time.monotonic()
    reader = start(READER, "-m", "epoll", "-c", str(count), device_of(servers))
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] == count
    return time.monotonic() - began


def test_a_stalled_source_costs_no_throughput(serve, start):
    """It waits once. For each buffer, that would be a hundred times."""
    count = 400000
    stream = pcap(numbered(count))
    alone = seconds_for(start, count, [serve([stream, "hold"])])
    stalled = serve([header() + at(0), "hold"])
    assert seconds_for(start, count + 1, [
        stalled, serve([stream, "hold"])]) < 10 * (alone + HOLD)


def test_an_event_loop_sleeps_while_records_are_held_back(serve, start):
    """The one's socket is full, and the descriptor is quiet all the same."""
    full = serve([pcap(numbered(60000, 1400)), "hold"])
    late = serve([header(), "hold"])
    reader = start(READER, "-m", "epoll", "-k", "1", "-c", "60000",
                   device_of([full, late]))
    assert reader.end() == 0
    found = stats(reader.lines)
    assert found["packets"] == 60000
    assert found["wakeups"] < 60100


def test_one_end_leaves_the_rest_and_the_last_one_is_the_end(serve, start):
    short = serve([TEN])
    long = serve([TEN, "go", ONE])
    reader = start(READER, "-p", "-m", "next", device_of([short, long]))
    reader.wait_for("^P", 20)
    wait_until(lambda: short.connections == 1, "it was there")
    long.go()
    assert reader.end() == 0
    assert [li for li in reader.lines if li.startswith("END")] == \
        ["END -2 end of stream"]
    assert stats(reader.lines)["recv"] == 21


@pytest.mark.parametrize("damage,said", [
    (b"\xff" * 16, "invalid packet capture length"),
    (ONE[:20], "The other host terminated the connection."),
])
def test_damage_of_one_leaves_the_rest_and_is_told_at_the_end(serve, start,
                                                              damage, said):
    bad = serve([TEN + damage])
    good = serve([TEN, "go", ONE])
    reader = start(READER, "-p", "-m", "next",
                   device_of([bad, good], ",reconnect=no"))
    reader.wait_for("^P", 20)
    good.go()
    assert reader.end() == 0
    end = [li for li in reader.lines if li.startswith("END")]
    assert len(end) == 1
    assert end[0].startswith("END -1 ")
    assert f" 127.0.0.1:{bad.port}: " in end[0]
    assert said in end[0]
    assert stats(reader.lines)["recv"] == 21


def test_a_refused_source_leaves_the_rest(serve):
    server = serve([TEN])
    result = run("tcpdump", "-n", "-i",
                 f"tcp:127.0.0.1:{free_port()}+127.0.0.1:{server.port}")
    assert result.returncode == 0
    assert "10 packets captured" in result.stderr


def test_a_source_that_came_late_is_part_of_it(serve, start):
    port = free_port()
    server = serve([TEN, "hold"])
    reader = start(READER, "-p", "-m", "epoll",
                   f"tcp:127.0.0.1:{server.port}+127.0.0.1:{port}")
    reader.wait_for("^P", 10)
    serve([TEN, "hold"], port=port)
    reader.wait_for("^P", 20)


def test_one_that_restarts_comes_back_while_the_other_goes_on(serve, start):
    other = serve([TEN, "go", ONE, "hold"])
    restarted = serve([TEN], [TEN, "hold"])
    reader = start(READER, "-p", "-m", "epoll",
                   device_of([other, restarted]))
    reader.wait_for("^P", 30)
    other.go()
    reader.wait_for("^P", 31)
    assert not any(li.startswith("END") for li in reader.lines)


def test_all_refused_are_all_listed():
    ports = [free_port() for _ in range(3)]
    assert cause("tcp:" + "+".join(f"127.0.0.1:{p}" for p in ports)) == \
        "; ".join(f"cannot connect to 127.0.0.1:{p}: Connection refused"
                  for p in ports)


def test_a_long_list_says_how_many_more():
    line = cause("tcp:" + "+".join(["127.0.0.1:1"] * 64))
    assert line.endswith("; and 60 more")


def test_65_sources_are_refused():
    assert "at most 64 sources" in cause(
        "tcp:" + "+".join(["127.0.0.1:1"] * 65))


def test_the_same_source_twice(serve):
    server = serve([TEN], [TEN])
    result = run(READER, device_of([server, server]))
    assert "packets=20" in result.stdout


def test_different_link_types_are_refused_naming_both(serve):
    ethernet = serve([TEN, "hold"])
    raw = serve([header(linktype=101), "hold"])
    assert cause(device_of([ethernet, raw])) == \
        f"127.0.0.1:{ethernet.port} sends EN10MB, 127.0.0.1:{raw.port} RAW: " \
        "linktype=EN10MB takes both"
    usb = serve([header(linktype=189), "hold"])
    raw = serve([header(linktype=101), "hold"])
    assert cause(device_of([raw, usb])) == \
        f"127.0.0.1:{raw.port} sends RAW, 127.0.0.1:{usb.port} USB_LINUX: " \
        "the sources of a device need one link type"


def test_another_link_type_later_is_that_sources_own_trouble(serve, start):
    port = free_port()
    server = serve([TEN, "go"])
    reader = start(READER, "-p", "-m", "epoll", f"tcp:127.0.0.1:{server.port}"
                   f"+127.0.0.1:{port}")
    reader.wait_for("^P", 10)
    other = serve([header(linktype=101) + ONE, "arrived", "hold"], port=port)
    assert other.arrived.wait(LIMIT), "it is not tried again"
    reader.wait_until_blocked()  # what has arrived is read, too
    server.go()
    assert reader.end() == 0
    assert [li for li in reader.lines if li.startswith("END")][0].startswith(
        f"END -1 127.0.0.1:{port}: the link type is RAW, the device's is "
        "EN10MB")


@pytest.mark.parametrize("end", ["fin", "rst", "hold"])
def test_a_peer_that_is_gone_while_its_record_is_held_back(serve, start, end):
    """A hang-up is no reason to call an event loop again and again."""
    waited_for = serve([header(), "hold"])
    gone = serve([header(), "go", at(1), end])
    reader = start(READER, "-m", "epoll", "-k", "1", "-c", "1",
                   device_of([waited_for, gone]))
    reader.wait_for("OPEN")
    gone.go()
    assert reader.end() == 0
    assert stats(reader.lines)["wakeups"] < 20


def test_silent_source_does_not_keep_the_rest_from_opening(serve):
    silent = serve(["hold"])
    server = serve([TEN])
    result = run(READER, device_of([silent, server], ",timeout=0"))
    assert "packets=10" in result.stdout


def test_formats_may_differ(serve):
    servers = [serve([pcap(numbered(10), NSEC, ">")]),
               serve([pcapng(numbered(10))]), serve([TEN])]
    result = run(READER, "-p", "-n", device_of(servers))
    assert "packets=30" in result.stdout
    found = [li.split()[1] for li in result.stdout.splitlines()
             if li.startswith("P ")]
    assert found == sorted(found)


def test_statistics_are_of_all(serve):
    servers = [serve([TEN]), serve([TEN])]
    result = run(READER, "-f", "udp port 53", device_of(servers))
    found = stats(result.stdout.splitlines())
    assert (found["recv"], found["packets"]) == (20, 10)


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_clocks_that_differ_hold_nobody_back(serve, start, skew):
    """An hour apart, both all the time: neither waits, nothing is lost. It
    takes as long as without the hour, and not a moment more a buffer."""
    count = 200000
    here = pcap(numbered(count))
    there = pcap([(sec + skew, usec, data)
                  for sec, usec, data in numbered(count)])
    alike = seconds_for(start, 2 * count, [serve([s, "hold"])
                                           for s in (here, here)])
    assert seconds_for(start, 2 * count, [
        serve([s, "hold"]) for s in (here, there)]) < 10 * alike


def test_thousand_opens_leak_nothing(serve):
    script = [header() + ONE]
    servers = [serve(*[script] * 1001) for _ in range(2)]
    result = run(READER, "-o", "1000", device_of(servers))
    found = re.search(r"LEAK descriptors=(\d+) bytes=(-?\d+)", result.stdout)
    assert found[1] == "0"
    assert ASAN or int(found[2]) < 2000


def test_the_same_as_dumpcap_reordercap_and_editcap(serve, tmp_path):
    """What people do today for two sources."""
    need("dumpcap", "reordercap", "editcap")
    streams = interleaved(2, 50)
    theirs = [serve([data, "hold"]) for data in streams]
    names = [tmp_path / name for name in ("1.pcapng", "2.pcapng", "3.pcap")]
    done = run("dumpcap", "-q", "-c", "100", "-w", names[0], *[
        word for server in theirs
        for word in ("-i", f"TCP@127.0.0.1:{server.port}")], env=SYSTEM)
    assert done.returncode == 0, done.stderr
    run("reordercap", names[0], names[1], env=SYSTEM)
    run("editcap", "-F", "pcap", names[1], names[2], env=SYSTEM)
    ours = [serve([data]) for data in streams]
    out = tmp_path / "ours.pcap"
    result = run("tcpdump", "-w", out, "-i", device_of(ours))
    assert "100 packets captured" in result.stderr
    assert out.read_bytes()[HEADER:] == names[2].read_bytes()[HEADER:]


# Unix sockets


@pytest.fixture
def unix_server(start, tmp_path):
    def server(stream, options="", name="socket"):
        need("socat")
        path, source = tmp_path / name, tmp_path / "stream"
        source.write_bytes(stream)
        program = start("socat", "-u", f"FILE:{source}",
                        f"UNIX-LISTEN:{path}{options}", env=SYSTEM)
        wait_until(path.exists, "it listens")
        program.path = path
        return program

    return server


def test_unix_socket(unix_server):
    server = unix_server(SAMPLE.read_bytes())
    result = run("tcpdump", "-n", "-i", f"unix:{server.path}")
    assert "38 packets captured" in result.stderr
    assert result.returncode == 0


def test_unix_socket_beside_tcp(unix_server, serve):
    server = unix_server(TEN)
    other = serve([TEN])
    result = run(READER, f"unix:{server.path}+tcp:127.0.0.1:{other.port}")
    assert "packets=20" in result.stdout


def test_unix_socket_comes_back(unix_server, start):
    server = unix_server(TEN)
    reader = start(READER, "-p", "-e", "2", "-m", "epoll",
                   f"unix:{server.path}")
    reader.wait_for("^END")
    server.path.unlink(missing_ok=True)
    unix_server(TEN)
    reader.wait_for("^P", 20)


def test_unix_socket_that_is_not_there(tmp_path):
    assert cause(f"unix:{tmp_path}/none") == \
        f"cannot connect to {tmp_path}/none: No such file or directory"


@pytest.fixture
def busy(tmp_path):
    """A listening Unix socket whose backlog has one connection and is full."""
    with socket.socket(socket.AF_UNIX) as server, \
            socket.socket(socket.AF_UNIX) as first:
        server.bind(str(tmp_path / "busy"))
        server.listen(0)
        first.connect(server.getsockname())
        yield server


def test_unix_socket_with_a_full_backlog(busy, start):
    """connect(2) says EAGAIN then, which is not for ever."""
    reader = start(READER, f"unix:{busy.getsockname()}")
    reader.wait_until_blocked()
    busy.accept()[0].close()
    conn = busy.accept()[0]
    conn.sendall(TEN)
    conn.close()
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] == 10


def test_unix_socket_whose_backlog_stays_full(busy):
    path = busy.getsockname()
    assert cause(f"unix:{path},timeout=1") == \
        f"cannot connect to {path}: Connection timed out"


def test_unix_path_too_long():
    assert "expected the path of a socket, of at most 107 bytes" in \
        cause("unix:/" + "x" * 107)
