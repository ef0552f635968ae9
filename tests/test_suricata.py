"""Suricata, 7 or 8, on a tcp: device. Debian 12 has 7 in its backports only, and
tools/get-suricata puts it beside the build, without installing it."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

import traffic
from conftest import (ASAN, BUILD, HERE, OURS, Server, end_by,
                      free_port, let_others_in, run, share_of_a_busy_loop,
                      wait_until)
from framing import IP_KINDS, KINDS
from pcapfile import header, pcap, record

DNS = 126  # packets of the traffic to or from port 53
COMPARED = "alert", "flow", "dns", "http", "tls", "ftp", "sip", "dhcp"
# What differs from run to run by its nature.
RUN = "flow_id", "in_iface", "pcap_cnt", "pcap_filename", "capture_file"


@pytest.fixture(autouse=True)
def traffic_of_now():
    """On a live device Suricata ends a flow that is old by the clock: after
    five minutes, so that it is made anew for each test."""
    global PACKETS, STREAM, LATER
    PACKETS = traffic.packets(int(time.time()))
    STREAM = pcap(PACKETS)
    # It asks for the statistics when the time of packets has moved on.
    LATER = record(PACKETS[-1][0] + 60, 0, PACKETS[0][2])


@pytest.fixture(scope="session")
def suricata(tmp_path_factory):
    """The path of a script that runs it in the current folder, where an
    ordinary user can read it."""
    if ASAN:
        pytest.skip("a preloaded libasan reports Suricata's own doings")
    folder = Path(os.environ.get("PCAP_TCP_SURICATA", BUILD / "suricata"))
    if not (folder / "usr" / "bin" / "suricata").exists():
        got = subprocess.run([HERE.parent / "tools" / "get-suricata", folder],
                             stderr=subprocess.PIPE, text=True)
        if got.returncode != 0:
            pytest.skip(f"no Suricata: {got.stderr.strip()}")
    script = folder / "suricata.sh"
    script.write_text((HERE / "programs" / "suricata.sh").read_text())
    return script


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The current folder, which an ordinary user may write to."""
    let_others_in(tmp_path)
    if os.getuid() == 0:
        os.chown(tmp_path, 65534, 65534)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(suricata, *options):
    """As an ordinary user, whoever runs the tests."""
    user = [] if os.getuid() != 0 else [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
        "--inh-caps=-all", "--bounding-set=-all"]
    return [*user, "sh", str(suricata), *options]


def events(log):
    try:
        lines = (log / "eve.json").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def compared(log):
    """What -r and a device must agree on, an event each."""
    found = Counter()
    for event in events(log):
        if event["event_type"] not in COMPARED:
            continue
        event = {k: v for k, v in event.items() if k not in RUN}
        if event["event_type"] == "flow":
            # How it ended for Suricata is a matter of when Suricata ended.
            flow = event["flow"]
            event = {k: event.get(k) for k in (
                "src_ip", "src_port", "dest_ip", "dest_port", "proto",
                "app_proto")}
            event["flow"] = {k: flow[k] for k in (
                "pkts_toserver", "pkts_toclient", "bytes_toserver",
                "bytes_toclient", "start", "end", "alerted")}
        event.pop("flow" if event.get("event_type") == "alert" else "", None)
        found[json.dumps(event, sort_keys=True)] += 1
    return found


def statistics(log):
    return [e["stats"] for e in events(log) if e["event_type"] == "stats"][-1]


def kinds(log):
    return Counter(e["event_type"] for e in events(log))


def until(log, kind, count):
    wait_until(lambda: kinds(log)[kind] >= count, f"{count} {kind}")


def finish(program):
    assert end_by(program) == 0, program.errors


def offline(suricata, log, data):
    """The log of a file."""
    folder = log / "offline"
    folder.mkdir()
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
    path = log / "traffic.pcap"
    path.write_bytes(data)
    os.chdir(folder)
    result = run(*command(suricata, "-r", str(path)))
    os.chdir(log)
    assert result.returncode == 0, result.stderr
    assert all(kinds(folder)[kind] for kind in COMPARED)
    return folder


@pytest.fixture
def expected(suricata, log):
    """compared() and kinds() of the file."""
    folder = offline(suricata, log, STREAM)
    return compared(folder), kinds(folder)


def test_the_events_of_the_file(suricata, log, serve, start, expected):
    server = serve([STREAM, "hold"])
    program = start(*command(suricata, f"--pcap={server.device}"))
    until(log, "dns", DNS)
    until(log, "http", 61)
    time.sleep(0.2)  # whatever else it may make of them
    finish(program)
    assert compared(log) == expected[0]
    assert statistics(log)["decoder"]["pkts"] == len(PACKETS)


def without_sizes(found):
    """A flow's bytes are those of the link layer, too."""
    return Counter({re.sub(r'"bytes_to\w+": \d+, ', "", event): n
                    for event, n in found.items()})


@pytest.mark.parametrize("kind", ["cooked", "cooked_v2", "raw_12", "null",
                                  "ppp"])
def test_the_events_of_what_becomes_ethernet(suricata, log, serve, start,
                                             kind):
    """As from the file; it reads none of LINUX_SLL2, whose packets are those
    of the Ethernet file."""
    data = {**KINDS, **IP_KINDS}[kind](PACKETS)
    folder = offline(suricata, log, STREAM if kind == "cooked_v2" else data)
    program = start(*command(
        suricata, f"--pcap={serve([data, 'hold']).device},linktype=EN10MB"))
    until(log, "dns", DNS)
    until(log, "http", 61)
    time.sleep(0.2)
    finish(program)
    assert without_sizes(compared(log)) == without_sizes(compared(folder))


def test_statistics(suricata, log, serve, start):
    server = serve([STREAM, "go", LATER, "hold"])
    program = start(*command(suricata, f"--pcap={server.device}"))
    until(log, "http", 61)
    time.sleep(1.1)
    server.go()
    wait_until(lambda: kinds(log)["stats"] > 0 and statistics(log)["capture"][
        "kernel_packets"] == len(PACKETS) + 1, "the statistics")
    finish(program)
    figures = statistics(log)
    assert figures["capture"]["kernel_drops"] == 0
    assert figures["capture"]["kernel_ifdrops"] == 0
    assert figures["decoder"]["pkts"] == len(PACKETS) + 1


def test_its_log_tells_of_each_source(suricata, log, serve, start):
    """One dies, one stalls, one comes back with another link type."""
    own = log / "sources.log"
    own.touch()
    own.chmod(0o666)
    good = serve([STREAM] + ["go", LATER] * 2000 + ["hold"])
    dies = serve([STREAM, "go", LATER[:9], "rst"])
    stalls = serve([STREAM, "hold"])
    changes = serve([STREAM, "go", "fin"], [header(linktype=147), "hold"])
    program = start(*command(
        suricata, "--pcap=" + "+".join(s.device for s in (
            good, dies, stalls, changes)) + ",reconnect=yes"),
        env=dict(OURS, PCAP_TCP_LOG=str(own)))
    until(log, "http", 61)
    dies.go()
    changes.go()
    told = {
        f"lost 127.0.0.1:{dies.port}: The other host terminated": 1,
        f"127.0.0.1:{stalls.port} is silent while others send": 1,
        f"lost 127.0.0.1:{changes.port}: end of stream": 1,
        f"127.0.0.1:{changes.port}: the link type is": 1}

    def counts():
        good.go()
        text = own.read_text()
        return {words: text.count(words) for words in told}

    wait_until(lambda: counts() == told, "each is told once")
    finish(program)


def test_a_filter_on_the_command_line(suricata, log, serve, start):
    program = start(*command(suricata, "--pcap=" +
                             serve([STREAM, "hold"]).device, "port 53"))
    until(log, "dns", DNS)
    finish(program)
    assert not {"http", "tls"} & set(kinds(log))
    figures = statistics(log)
    assert figures["decoder"]["pkts"] == DNS
    assert figures["capture"]["kernel_drops"] == 0


def test_several_devices(suricata, log, serve, start, expected):
    # All packets of a connection come from one sender.
    dns = [p for p in PACKETS if p[2][12:14] == b"\x08\0"
           and p[2][23] == 17 and b"\0\x35" in p[2][34:38]]
    rest = [p for p in PACKETS if p not in dns]
    assert len(dns) == DNS
    servers = [serve([pcap(part), "hold"]) for part in (dns, rest)]
    program = start(*command(suricata, *(f"--pcap={s.device}"
                                         for s in servers)))
    until(log, "dns", DNS)
    until(log, "http", 61)
    time.sleep(0.2)
    finish(program)
    assert compared(log) == expected[0]
    assert statistics(log)["decoder"]["pkts"] == len(PACKETS)


def test_the_sender_restarts(suricata, log, start):
    server = Server([STREAM, "hold"])
    program = start(*command(suricata,
                             f"--pcap={server.device},reconnect=yes"))
    until(log, "http", 61)
    server.stop()
    lines = len(program.errors)
    assert share_of_a_busy_loop(program, 3) < 0.5
    assert len(program.errors) == lines  # no flood: not a single line
    later = pcap(traffic.packets(PACKETS[-1][0] + 600))
    server = Server([later, "hold"], port=server.port)
    until(log, "dns", 2 * DNS)
    until(log, "http", 2 * 61)
    finish(program)
    server.stop()
    # Of its own end it tells, and no more.
    assert not [line for line in program.errors[lines:]
                if "error" in line.lower() or "E:" in line]
    assert statistics(log)["decoder"]["pkts"] == 2 * len(PACKETS)


def test_the_end_of_a_stream_is_no_spin(suricata, log, start):
    """Without reconnect=yes: it is told of the end once, and goes on."""
    server = Server([STREAM])
    program = start(*command(suricata, f"--pcap={server.device}"))
    until(log, "http", 61)
    server.stop()
    lines = len(program.errors)
    assert share_of_a_busy_loop(program, 2) < 0.5
    assert len(program.errors) == lines
    finish(program)


def test_a_name_of_a_hundred_characters(suricata, log, serve, start):
    server = serve([STREAM, "hold"])
    device = f"tcp:127.0.0.1:{server.port},timeout="
    device += "5".rjust(100 - len(device), "0")
    assert len(device) == 100
    program = start(*command(suricata, f"--pcap={device}"))
    until(log, "dns", DNS)
    finish(program)


def configuration(suricata, log, device):
    """Of one device, with a filter of its own."""
    original = (suricata.parent / "etc/suricata/suricata.yaml").read_text()
    path = log / "suricata.yaml"
    path.write_text(original.replace(
        "pcap:\n  - interface: eth0\n",
        f"pcap:\n  - interface: {device}\n"
        "    bpf-filter: \"port 53\"\n"))
    assert device in path.read_text()
    return path


def test_a_device_in_its_configuration(suricata, log, serve, start):
    server = serve([STREAM, "hold"])
    path = configuration(suricata, log, server.device)
    program = start(*command(suricata, "--pcap"),
                    env=dict(OURS, SURICATA_YAML=str(path)))
    until(log, "dns", DNS)
    finish(program)
    assert "http" not in kinds(log)


def test_a_named_device_in_its_configuration(suricata, log, serve, start):
    server = serve([STREAM, "hold"])
    devices = log / "devices"
    devices.write_text(f"sensor1 {server.device},reconnect=yes\n")
    path = configuration(suricata, log, "sensor1")
    program = start(*command(suricata, "--pcap"),
                    env=dict(OURS, SURICATA_YAML=str(path),
                             PCAP_TCP_DEVICES=str(devices)))
    until(log, "dns", DNS)
    finish(program)
    assert "http" not in kinds(log)
    assert {e["in_iface"] for e in events(log) if "in_iface" in e} == \
        {"sensor1"}


def four_threads(suricata, log, start, server, runmode, option=""):
    """Suricata with four threads of one device, which have all packets."""
    original = (suricata.parent / "etc/suricata/suricata.yaml").read_text()
    path = log / "suricata.yaml"
    path.write_text(original.replace(
        "pcap:\n  - interface: eth0\n",
        f"pcap:\n  - interface: {server.device}{option}\n    threads: 4\n"))
    # It has no more threads than this times the CPUs.
    ratio = "threading.detect-thread-ratio=4"
    program = start(*command(suricata, "--pcap", "--runmode", runmode,
                             "--set", ratio, "--set", "stats.interval=1"),
                    env=dict(OURS, SURICATA_YAML=str(path)))
    until(log, "stats", 1)
    wait_until(lambda: statistics(log)["decoder"]["pkts"] >= len(PACKETS),
               "they have all packets")
    assert server.connections == 4
    return program


@pytest.mark.parametrize("runmode", ["workers", "autofp"])
def test_four_threads_with_a_quarter_each(suricata, log, serve, start,
                                          expected, runmode):
    """Of the flows: together they see what one sees."""
    server = serve(*[[STREAM, "hold"]] * 4)
    program = four_threads(suricata, log, start, server, runmode, ",fanout=4")
    until(log, "dns", DNS)
    until(log, "http", 61)
    time.sleep(0.2)  # whatever else they may make of them
    finish(program)
    assert compared(log) == expected[0]
    figures = statistics(log)
    assert figures["decoder"]["pkts"] == len(PACKETS)
    assert figures["tcp"]["pkt_on_wrong_thread"] == 0


def test_four_threads_with_every_fourth_packet(suricata, log, serve, start):
    """The counter is one that would tell: they share a table of flows."""
    server = serve(*[[pcap(PACKETS[k::4]), "hold"] for k in range(4)])
    finish(four_threads(suricata, log, start, server, "workers"))
    assert statistics(log)["tcp"]["pkt_on_wrong_thread"] > 0


def test_refused(suricata, log):
    port = free_port()
    result = run(*command(suricata, f"--pcap=tcp:127.0.0.1:{port}"))
    assert result.returncode == 1
    assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in \
        result.stderr


def test_ctrl_c_while_a_server_is_silent_and_the_link_type_is_given(
        suricata, log, serve, start):
    """Then there is nothing that opening waits for."""
    server = serve(["hold"])
    program = start(*command(
        suricata, f"--pcap={server.device},linktype=EN10MB,timeout=0"))
    wait_until(lambda: server.connections == 1)
    until(log, "stats", 1)
    finish(program)


def test_ctrl_c_while_a_server_is_silent(suricata, log, serve, start):
    """It opens the device in a thread of its own and takes signals in
    another: mostly it ends at once, and at the end of the timeout if not."""
    server = serve(["hold"])
    program = start(*command(suricata, f"--pcap={server.device},timeout=2"))
    wait_until(lambda: server.connections == 1)
    program.signal(signal.SIGINT)
    assert program.end() == 1
    assert any("interrupted while waiting" in line or "sent no pcap stream"
               in line for line in program.errors)
