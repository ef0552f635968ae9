"""Zeek's sequence of calls (tests/zeek-sequence.c); Debian has no Zeek."""

import signal
import time

import pytest

from conftest import BUILD, Server, end_by, free_port, run, stats, wait_until
from pcapfile import numbered, pcap, record

ZEEK = str(BUILD / "tests" / "zeek-sequence")
COUNT = 5000
STREAM = pcap(numbered(COUNT))


def asked(program):
    """Its statistics, now. Before it is open, the signal would end it."""
    program.wait_for("OPEN")
    before = len(program.lines)
    program.signal(signal.SIGUSR1)
    wait_until(lambda: any(line.startswith("STATS")
                           for line in program.lines[before:]))
    return stats(program.lines)


def until_packets(program, count):
    wait_until(lambda: asked(program)["packets"] >= count)


@pytest.mark.parametrize("segment", [1 << 20, 1448, 61],
                         ids=["at once", "segments", "dribble"])
def test_all_packets_and_the_end(serve, segment):
    result = run(ZEEK, serve([segment, STREAM]).device)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "OPEN dlt=1 netmask=0"
    assert lines[1] == "CLOSED"
    assert len(lines) == 3
    figures = stats(lines)
    assert figures["packets"] == figures["recv"] == COUNT
    assert figures["bytes"] == COUNT * 60
    assert figures["drop"] == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_ipv4_and_ipv6(serve, address):
    result = run(ZEEK, serve([STREAM], address=address).device)
    assert f"packets={COUNT}" in result.stdout


def rounds_a_second(program):
    """Its own timer makes ten; beside them are the two questions."""
    began, before = time.monotonic(), asked(program)["rounds"]
    time.sleep(2)
    return (asked(program)["rounds"] - before) / (time.monotonic() - began)


def test_no_spin_while_idle(serve, start):
    zeek = start(ZEEK, serve([STREAM, "hold"]).device)
    until_packets(zeek, COUNT)
    assert rounds_a_second(zeek) < 15
    assert end_by(zeek) == 0


def test_a_restart_of_the_sender_is_survived(start):
    server = Server([STREAM, "hold"])
    zeek = start(ZEEK, server.device + ",reconnect=yes")
    until_packets(zeek, COUNT)
    server.stop()
    assert rounds_a_second(zeek) < 20  # with the attempts to come back
    server = Server([STREAM, "hold"], port=server.port)
    until_packets(zeek, 2 * COUNT)
    assert end_by(zeek, signal.SIGTERM) == 0
    server.stop()
    assert not [line for line in zeek.lines if "ERROR" in line]
    figures = stats(zeek.lines)
    assert figures["packets"] == figures["recv"] == 2 * COUNT


@pytest.mark.parametrize("end", ["rst", "fin"])
def test_a_cut_stream_is_one_line_in_the_log(serve, start, end):
    """Zeek goes on after an error: it is told once, and the next connection
    goes on with the packets."""
    server = serve([STREAM, record(1, 2, b"x" * 60)[:20], end],
                   [STREAM, "hold"])
    zeek = start(ZEEK, server.device)
    until_packets(zeek, 2 * COUNT)
    assert end_by(zeek) == 0
    assert [line for line in zeek.lines if "ERROR" in line] == \
        ["ERROR failed to read a packet: "
         "The other host terminated the connection."]
    assert stats(zeek.lines)["packets"] == 2 * COUNT


def test_refused():
    port = free_port()
    result = run(ZEEK, f"tcp:127.0.0.1:{port}")
    assert result.returncode == 1
    assert result.stdout == "FATAL problem with interface: pcap_activate: " \
        f"cannot connect to 127.0.0.1:{port}: Connection refused\n"
