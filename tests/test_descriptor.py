"""Reading as programs do: blocking, with a timeout, event by event, broken."""

import re
import signal
import time

import pytest

from conftest import READER, in_namespace, run, stats, wait_until
from pcapfile import header, numbered, pcap, record

THOUSAND = pcap(numbered(1000))
ONE = record(*numbered(1)[0])
EVENTS = ["select", "poll", "epoll"]


@pytest.mark.parametrize("mode", EVENTS)
def test_one_packet_a_wakeup_gets_them_all_and_does_not_spin(serve, start,
                                                            mode):
    """Zeek's and dumpcap's way."""
    server = serve([THOUSAND, "hold"])
    reader = start(READER, "-m", mode, "-k", "1", "-i", "2000", server.device)
    assert reader.end() == 0
    found = stats(reader.lines)
    assert found["packets"] == 1000
    assert "IDLE" in reader.lines
    assert found["wakeups"] <= 1010


@pytest.mark.parametrize("mode", EVENTS + ["edge"])
def test_all_packets_a_wakeup(serve, mode):
    server = serve([97, THOUSAND, "hold"])
    result = run(READER, "-m", mode, "-i", "2000", server.device)
    assert stats(result.stdout.splitlines())["packets"] == 1000


def test_edge_triggered_with_nothing_but_filtered_packets(serve):
    """A read that returns 0 with more to come must make another edge."""
    data = pcap(numbered(60000, 1400)) + pcap(numbered(2))[24:]
    server = serve([data, "hold"])
    result = run(READER, "-m", "edge", "-i", "3000", "-f", "len < 1000",
                 server.device)
    found = stats(result.stdout.splitlines())
    assert (found["recv"], found["packets"]) == (60002, 2)


def test_an_edge_for_each_read_that_left_something_in_the_socket(tmp_path):
    """The sender has finished before the first read: no more edges from it."""
    path = tmp_path / "stream"
    path.write_bytes(pcap(numbered(12000, 1400)) + pcap(numbered(1))[24:])
    result = in_namespace(
        "echo 4096 67108864 134217728 > /proc/sys/net/ipv4/tcp_rmem",
        "echo 4096 67108864 134217728 > /proc/sys/net/ipv4/tcp_wmem",
        f"nc -l 5000 < {path} & sender=$!",
        "until ss -Hltn | grep -q :5000; do :; done",
        "sent() { ss -Htn 'dport = :5000' | "
        "awk '$2 > 16000000 { found = 1 } END { exit !found }'; }",
        "{ until sent; do :; done; echo; } | "
        f"{READER} -w -m edge -i 1000 -f 'len < 1000' tcp:127.0.0.1:5000",
        "kill $sender 2> /dev/null || :")
    assert result.returncode == 0, result.stderr
    assert "STATS recv=12001 drop=0 packets=1 " in result.stdout


def test_a_break_from_the_last_callback_wakes_an_event_loop(serve):
    server = serve([pcap(numbered(3)), "hold"])
    result = run(READER, "-m", "poll", "-k", "2", "-b", "3", "-i", "2000",
                 server.device)
    assert "END -2" in result.stdout
    assert "IDLE" not in result.stdout


@pytest.mark.parametrize("mode", EVENTS)
def test_quiet_after_the_last_packet_and_awake_for_the_next(serve, start,
                                                            mode):
    server = serve([header(), "go", ONE, "go", ONE + ONE, "hold"])
    reader = start(READER, "-m", mode, "-k", "1", "-p", "-c", "3",
                   server.device)
    for count in (1, 2):
        reader.wait_until_blocked()
        server.go()
        reader.wait_for("^P", count)
    assert reader.end() == 0
    assert stats(reader.lines)["wakeups"] <= 10


def test_end_of_stream_wakes_an_event_loop(serve):
    server = serve([THOUSAND])
    result = run(READER, "-m", "epoll", "-k", "1", server.device)
    assert "END -2 end of stream" in result.stdout
    assert stats(result.stdout.splitlines())["packets"] == 1000


@pytest.mark.parametrize("mode", ["loop", "next", "epoll"])
def test_idle_costs_nothing(serve, start, mode):
    """Who does not go on makes no system call and takes no CPU."""
    server = serve([THOUSAND, "hold"])
    reader = start(READER, "-m", mode, "-p", server.device)
    reader.wait_for("^P", 1000)
    assert reader.wake_ups() <= 1


def test_read_timeout(serve, start):
    server = serve([header(), "hold"])
    began = time.monotonic()
    reader = start(READER, "-m", "next", "-t", "50", server.device)
    reader.wait_for("OPEN")
    before = reader.context_switches()
    wait_until(lambda: reader.context_switches() > before + 20)
    reader.command("b")
    assert reader.end() == 0
    # No read ends before its time, but for the one that is broken.
    assert 5 < stats(reader.lines)["reads"] <= \
        1 + (time.monotonic() - began) / 0.05


def test_read_timeout_while_filtered_packets_stream_in(serve, start):
    """They are no reason to stay in the read."""
    flood = pcap(numbered(20000))[24:]
    server = serve([header()] + [flood] * 400)
    result = run(READER, "-m", "next", "-t", "20", "-f", "tcp", "-e", "1",
                 server.device)
    found = stats(result.stdout.splitlines())
    assert found["recv"] == 8000000
    assert found["packets"] == 0
    assert found["reads"] > 3


def test_no_timeout_waits_for_a_packet(serve, start):
    server = serve([header(), "go", ONE, "hold"])
    reader = start(READER, "-m", "next", "-p", "-c", "1", server.device)
    reader.wait_until_blocked()
    time.sleep(0.2)
    server.go()
    assert reader.end() == 0
    assert stats(reader.lines)["reads"] <= 2


def test_nonblocking_returns_at_once_with_half_a_record(serve, start):
    server = serve([header() + ONE[:30], "go", ONE[30:], "hold"])
    reader = start(READER, "-m", "next", "-x", "-p", "-c", "1", server.device)
    reader.wait_for("OPEN")
    before = reader.cpu_ticks()
    wait_until(lambda: reader.cpu_ticks() > before + 5)  # it spins, by itself
    server.go()
    reader.wait_for("^P")
    assert reader.end() == 0
    assert stats(reader.lines)["reads"] > 10  # one that waits is the last


@pytest.mark.parametrize("mode", ["loop", "dispatch", "next", "select",
                                  "poll", "epoll"])
@pytest.mark.parametrize("how", ["thread", "signal"])
def test_breakloop_ends_a_blocked_read(serve, start, mode, how):
    server = serve([THOUSAND, "hold"])
    reader = start(READER, "-m", mode, "-p", server.device)
    reader.wait_for("^P", 1000)
    reader.wait_until_blocked()
    if how == "thread":
        reader.command("b")
    else:
        reader.signal(signal.SIGUSR1)
    assert reader.end() == 0
    assert any(re.match("END -2", line) for line in reader.lines)


@pytest.mark.parametrize("mode", ["loop", "dispatch", "next", "epoll"])
def test_breakloop_loses_no_packet(serve, mode):
    """It is called at the 400th of 1000 and at each one after that."""
    server = serve([THOUSAND])
    result = run(READER, "-m", mode, "-c", "400", server.device)
    found = stats(result.stdout.splitlines())
    assert found["packets"] == 400
    # pcap_loop() and pcap_dispatch() say how many came before the break.
    assert re.search(r"END -2", result.stdout)
    server = serve([THOUSAND])
    result = run(READER, "-m", mode, "-b", "400", "-e", "999999",
                 "-u", server.device)
    assert stats(result.stdout.splitlines())["packets"] == 1000


def test_break_storm(serve, start):
    """Breaks from outside while packets stream lose none of them."""
    server = serve([pcap(numbered(200000))])
    reader = start(READER, "-e", "1000000", "-u", server.device)
    reader.wait_for("OPEN")
    while reader.process.poll() is None and "END -2 end of stream" not in \
            reader.lines:
        reader.signal(signal.SIGUSR1)
        time.sleep(0.0005)
    assert reader.end() == 0
    assert stats(reader.lines)["packets"] == 200000


def test_setdirection_inject_and_monitor_mode(serve):
    server = serve([header(), "hold"], [header(), "hold"])
    result = run("tcpdump", "-Q", "in", "-i", server.device)
    assert result.returncode == 1
    assert "don't tell the direction" in result.stderr
    result = run("tcpdump", "-I", "-i", server.device)
    assert "doesn't support monitor mode" in result.stderr
    assert server.connections == 1


def test_link_types_and_time_stamps_can_be_listed(serve):
    server = serve([header(), "hold"], [header(), "hold"])
    result = run("tcpdump", "-L", "-i", server.device)
    assert "EN10MB" in result.stderr + result.stdout
    result = run("tcpdump", "-y", "RAW", "-i", server.device)
    assert result.returncode == 1


def test_lookupnet_gives_no_network(serve):
    """tcpdump -f asks for it, and would print a warning."""
    server = serve([THOUSAND])
    result = run("tcpdump", "-f", "-n", "-c", "1", "-i", server.device)
    assert result.returncode == 0
    assert "SIOCGIFADDR" not in result.stderr
    assert "WARNING" not in result.stderr.upper()


def test_two_handles_and_a_fork(serve, tmp_path):
    """tcpdump -w with -Z and -z forks; two devices share nothing."""
    server = serve([THOUSAND], [THOUSAND])
    out = tmp_path / "out.pcap"
    result = run("tcpdump", "-Z", "root", "-C", "1", "-W", "3", "-z", "true",
                 "-w", out, "-i", server.device)
    assert result.returncode == 0, result.stderr
    assert "1000 packets captured" in result.stderr


def test_thousand_opens_leak_nothing(serve):
    server = serve(*[[THOUSAND]] * 1001)
    result = run(READER, "-o", "1000", server.device)
    assert result.returncode == 0, result.stderr
    assert "LEAK descriptors=0 bytes=0\n" in result.stdout
    assert server.connections == 1001


def test_thousand_failed_opens_leak_nothing(serve):
    server = serve(*[[b"HTTP/1.1 400 Bad Request\r\n"]] * 1001)
    result = run(READER, "-o", "-1000", server.device)
    assert "LEAK descriptors=0 bytes=0\n" in result.stdout, result.stderr


def test_activating_again_after_a_failure(serve):
    """libpcap 1.10.2 to 1.10.6 forget the device's name in between."""
    server = serve([b"garbage!"], [THOUSAND])
    result = run(READER, "-a", server.device)
    assert result.returncode == 0, result.stderr
    assert stats(result.stdout.splitlines())["packets"] == 1000
