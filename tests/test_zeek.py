"""Zeek's sequence of calls (tests/zeek-sequence.c); Debian has no Zeek."""

import signal
import time

import pytest

from conftest import (BUILD, OURS, Server, end_by, free_port, run, stats,
                      wait_until)
from pcapfile import numbered, pcap, record
from test_fanout import flows, refusal, worker

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


def shares(n):
    """How many packets, and bytes of them, of flows() each worker has."""
    found = [[0, 0] for _ in range(n)]
    for i, (_, _, frame) in enumerate(flows(1000)):
        k = worker((("10.0.0.1", 1024 + i), ("10.0.0.2", 9), 17), n)
        found[k - 1][0] += 1
        found[k - 1][1] += len(frame)
    return found


def share_at_the_end(program):
    assert end_by(program) == 0
    figures = stats(program.lines)
    assert figures["recv"] == figures["packets"]
    return [figures["packets"], figures["bytes"]]


def test_a_cluster_of_four_with_one_device(serve, start):
    """Started at once, as by lb_method=custom; and a fifth."""
    server = serve(*[[pcap(flows(1000)), "hold"]] * 4)
    device = f"{server.device},reconnect=yes,fanout=4"
    cluster = [start(ZEEK, device) for _ in range(4)]
    wait_until(lambda: sum(asked(z)["packets"] for z in cluster) >= 1000)
    fifth = run(ZEEK, device)
    assert fifth.returncode == 1
    assert fifth.stdout == "FATAL problem with interface: pcap_activate: " \
        f"{refusal(4)}\n"
    assert server.connections == 4
    # Who was the first to get which number is a matter of chance.
    assert sorted(share_at_the_end(z) for z in cluster) == sorted(shares(4))


def test_a_cluster_of_two_with_named_devices(serve, start, tmp_path):
    """As by lb_method=interfaces."""
    server = serve(*[[pcap(flows(1000)), "hold"]] * 2)
    devices = tmp_path / "devices"
    devices.write_text("".join(
        f"tap{k} {server.device},reconnect=yes,fanout={k}/2\n"
        for k in (1, 2)))
    cluster = [start(ZEEK, name, env=dict(
        OURS, PCAP_TCP_DEVICES=str(devices))) for name in ("tap1", "tap2")]
    for zeek, (count, _) in zip(cluster, shares(2)):
        until_packets(zeek, count)
    assert [share_at_the_end(z) for z in cluster] == shares(2)


def test_refused():
    port = free_port()
    result = run(ZEEK, f"tcp:127.0.0.1:{port}")
    assert result.returncode == 1
    assert result.stdout == "FATAL problem with interface: pcap_activate: " \
        f"cannot connect to 127.0.0.1:{port}: Connection refused\n"
