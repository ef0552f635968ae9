"""Signals while a device is being opened."""

import signal
import time

import pytest

from conftest import (ASAN, BUILD, end_by, free_port, in_namespace, need,
                      run, wait_until)
from pcapfile import numbered, pcap

CALLS = str(BUILD / "tests" / "calls")
ONE = pcap(numbered(1))


@pytest.fixture(params=["silent", "closed, tried again"])
def unopened(request, serve):
    if request.param == "silent":
        return serve(["hold"]).device + ",timeout=0"
    return f"tcp:127.0.0.1:{free_port()},reconnect=yes,timeout=0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_caught_signal_ends_an_activation(start, unopened, number):
    program = start(CALLS, "signals", unopened)
    program.wait_for("activating")
    program.wait_until_blocked()
    assert end_by(program, number) == 0
    peer = unopened[4:].split(",")[0]
    assert program.lines[1:4] == [
        f"ending: {int(number)}",
        f"activate: -1 interrupted while waiting for {peer} "
        "(Interrupted system call)",
        "blocked: 0"]


@pytest.mark.parametrize("mode,numbers", [
    ("signals", [signal.SIGHUP]),
    ("ignore", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])])
def test_other_signals_leave_an_activation_alone(serve, start, mode, numbers):
    server = serve(["go", ONE, "hold"])
    program = start(CALLS, mode, server.device)
    program.wait_for("activating")
    wait_until(lambda: server.connections == 1)
    for _ in range(20):
        for number in numbers:
            program.signal(number)
        time.sleep(0.02)  # SIGALRM and SIGCHLD come meanwhile
    assert len(program.lines) == 1
    server.go()
    assert program.end() == 0
    assert program.lines[1:] == ["ending: 0", "activate: 0  ()", "blocked: 0",
                                 "alarms: some", "children: 1"]


@pytest.mark.parametrize("command", [
    ["tcpdump", "-n", "-w", "-", "-i"],
    ["dumpcap", "-q", "-w", "-", "-i"],
    ["tshark", "-n", "-i"],
    ["/usr/bin/python3", "-c", "import sys; from scapy.all import *; "
     "conf.use_pcap = True; print('ready', flush=True); "
     "sniff(iface=sys.argv[1])"]],
    ids=["tcpdump", "dumpcap", "tshark", "scapy"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_programs_end_while_a_server_is_silent(serve, start, command, number):
    need(command[0])
    if ASAN and command[0] == "tshark":
        pytest.skip("tshark hangs under a preloaded libasan, here or not")
    if "scapy" in command[-1] and run(
            "/usr/bin/python3", "-c", "import scapy").returncode != 0:
        pytest.skip("scapy is not installed")
    server = serve(["hold"])
    program = start(*command, server.device + ",timeout=0")
    wait_until(lambda: server.connections == 1)
    program.wait_until_blocked()
    end_by(program, number)


def test_a_caught_signal_ends_a_look_up():
    result = in_namespace(
        "mount -t tmpfs none /mnt",
        "echo nameserver 127.0.0.1 > /mnt/resolv.conf",
        "echo options timeout:30 attempts:5 >> /mnt/resolv.conf",
        "mount --bind /mnt/resolv.conf /etc/resolv.conf",
        "socat -u UDP-RECV:53,bind=127.0.0.1 /mnt/asked & server=$!",
        "until ss -Hlun | grep -q :53; do :; done",
        f"{CALLS} signals tcp:www.example.com,timeout=0 & program=$!",
        "until [ -s /mnt/asked ]; do sleep 0.01; done",
        "kill -INT $program; wait $program; kill $server")
    assert "ending: 2" in result.stdout
    assert "interrupted while waiting for www.example.com:" in result.stdout
