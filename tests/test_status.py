"""What open devices are doing, by pcap-tcp-run --status, and what one is like,
by --try."""

import os
import re
import socket
import time

import pytest

from conftest import (BUILD, OURS, READER, SYSTEM, end_by, free_port,
                      need, run, wait_until)
from pcapfile import header, numbered, pcap, record
from tls import TlsServer, needs_tls, pki  # noqa: F401

RUN = BUILD / "pcap-tcp-run"
PACKETS = numbered(10)
STREAM = pcap(PACKETS)


def status(*options):
    result = run(RUN, "--status", *options, env=SYSTEM)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def of_process(text, pid):
    """The lines about a process' first device, without its own."""
    found = re.search(rf"(?m)^\w+\[{pid}\] .*\n((?: .*\n)*)", text)
    return found[1] if found else ""


def metrics(pid):
    result = run(RUN, "--status=prometheus", env=SYSTEM)
    assert (result.returncode, result.stderr) == (0, "")
    return {(m[1], m[2]): float(m[3]) for m in re.finditer(
        rf'(?m)^pcap_tcp_source_(\w+){{pid="{pid}",handle="\d+",.*'
        r'source="([^"]*)"} (\S+)$', result.stdout)}


def test_the_state_of_each_source(serve, start):
    up, lost = serve([STREAM, "hold"]), serve([STREAM, "fin"])
    port = free_port()
    program = start(READER, "-p", "-i", "0", f"{up.device}+{lost.device}+"
                    f"127.0.0.1:{port},reconnect=yes")
    program.wait_for("^P ", 20)
    pid = program.process.pid
    wait_until(lambda: f"127.0.0.1:{lost.port}" in of_process(status(), pid)
               and "end of stream" in of_process(status(), pid), "it is told")
    text = of_process(status(), pid)
    assert re.search(
        rf"  127\.0\.0\.1:{up.port} +up for \d+ s\n"
        rf"    pcap, EN10MB, 10 records, {len(STREAM)} bytes, 0 dropped, "
        r"1 streams\n    last read \d+ s ago, its clock -\d+\.\d{3} s from "
        r"ours\n", text), text
    assert re.search(
        rf"  127\.0\.0\.1:{lost.port} +(retrying|trying) for .*\n"
        r"    pcap, EN10MB, 10 records.*\n    last read.*\n"
        r"    failed \d+ times, last \d+ s ago: ", text), text
    assert re.search(
        rf"  127\.0\.0\.1:{port} +(retrying|trying) for .*\n"
        r"    failed \d+ times, last \d+ s ago: cannot connect to "
        rf"127\.0\.0\.1:{port}: Connection refused\n", text), text
    program.stop()
    assert of_process(status(), pid) == ""


def test_nothing_is_left_of_a_program_that_was_killed(serve, start):
    program = start(READER, "-p", serve([STREAM, "hold"]).device)
    program.wait_for("^P ", 10)
    assert of_process(status(), program.process.pid) != ""
    program.process.kill()
    program.process.wait()
    assert of_process(status(), program.process.pid) == ""


def test_metrics(serve, start):
    up, down = serve([STREAM, "hold"]), free_port()
    program = start(READER, "-p", f"{up.device}+127.0.0.1:{down}")
    program.wait_for("^P ", 10)
    found = metrics(program.process.pid)
    source = f"127.0.0.1:{up.port}"
    assert found["up", source] == 1
    assert found["records_total", source] == 10
    assert found["bytes_total", source] == len(STREAM)
    assert found["streams_total", source] == 1
    assert found["dropped_total", source] == 0
    assert abs(found["last_read_seconds", source] - time.time()) < 600
    assert found["delay_seconds", source] == pytest.approx(
        found["last_read_seconds", source] - PACKETS[-1][0] -
        PACKETS[-1][1] / 1e6, abs=0.01)
    source = f"127.0.0.1:{down}"
    assert found["up", source] == 0
    assert found["failures_total", source] >= 1


def test_the_text_format_is_what_prometheus_takes(serve, start):
    parser = pytest.importorskip("prometheus_client.parser")
    program = start(READER, "-p", serve([STREAM, "hold"]).device)
    program.wait_for("^P ", 10)
    families = list(parser.text_string_to_metric_families(
        run(RUN, "--status=prometheus", env=SYSTEM).stdout))
    assert len(families) == 9
    for family in families:
        assert family.name.startswith("pcap_tcp_source_")
        assert family.documentation and family.type in ("counter", "gauge")
        assert any(sample.labels["pid"] == str(program.process.pid)
                   for sample in family.samples)


def test_who_may_look(serve, start):
    """Another user sees nothing of it, and root all."""
    need("setpriv")
    if os.getuid() != 0:
        pytest.skip("needs root, to be another user")
    program = start(READER, "-p", serve([STREAM, "hold"]).device)
    program.wait_for("^P ", 10)
    helper = BUILD / "run" / "status"
    if run("setpriv", "--reuid=65534", "--clear-groups", "test", "-x",
           helper).returncode != 0:
        pytest.skip("an ordinary user cannot read the build")
    result = run("setpriv", "--reuid=65534", "--clear-groups", helper,
                 env=SYSTEM)
    assert of_process(result.stdout, program.process.pid) == ""
    assert of_process(status(), program.process.pid) != ""


def test_a_hostile_status_is_not_believed(start):
    """Whoever may run a program may call a memfd so."""
    liar = start("/usr/bin/python3", "-c", """
import os, struct, sys
def make(data):
    fd = os.memfd_create("pcap-tcp-status")
    os.write(fd, data)
make(b"")
make(struct.pack("<II", 1, 0xffffffff) + bytes(10000))
make(struct.pack("<IIq", 1, 1, 0) + b"\\x1b[31m".ljust(576, b"A")
     + struct.pack("<I", 77) + b"\\xff" * 4000)
make(struct.pack("<IIq", 1, 1, 0) + b"\\x1b[31m".ljust(576, b"A")
     + struct.pack("<I", 2) + b"\\xff" * 4000)
print("made", flush=True)
sys.stdin.read()
""", env=SYSTEM)
    liar.wait_for("made")
    text = status() + run(RUN, "--status=prometheus", env=SYSTEM).stdout
    assert str(liar.process.pid) in text
    assert re.fullmatch(r"[ -~\n]*", text)


def test_watching(serve, start):
    program = start(READER, "-p", serve([STREAM, "hold"]).device)
    program.wait_for("^P ", 10)
    watcher = start(RUN, "--status", "--watch", env=SYSTEM)
    watcher.wait_for(rf"^reader\[{program.process.pid}\] ", 2)
    end_by(watcher)


@pytest.mark.parametrize("options", [
    ["--status", "x"], ["--status=x"], ["--status=prometheus", "--watch"],
    ["--try"], ["--try", "a", "b"], ["--status", "--watch", "x"]])
def test_usage(options):
    result = run(RUN, *options, env=SYSTEM)
    assert result.returncode == 125
    assert result.stderr.startswith("pcap-tcp-run: usage: ")


def attempt(device, **kw):
    result = run(RUN, "--try", device, env=dict(SYSTEM, PCAP_TCP_DEVICES=""),
                 **kw)
    assert result.stderr == ""
    return result.returncode, result.stdout


def test_trying_a_good_device(serve):
    server = serve([STREAM, "hold"])
    code, text = attempt(server.device)
    assert code == 0
    assert re.fullmatch(
        rf"127\.0\.0\.1:{server.port}\n"
        r"  connected in \d+ ms\n"
        r"  pcap, link type EN10MB, snapshot length 262144\n"
        rf"  10 packets, {len(STREAM)} bytes in 2\.\d s: 5 packets a second\n"
        r"  the last one's time stamp is -\d+\.\d{3} s from our clock\n"
        r"  for programs that judge by the clock: timestamps=arrival\n"
        r"a sensor should have reconnect=yes, and log=syslog or the like\n",
        text), text


def test_trying_one_of_which_a_source_is_missing(serve):
    server, port = serve([STREAM, "hold"]), free_port()
    code, text = attempt(f"{server.device}+127.0.0.1:{port},reconnect=yes")
    assert code == 1
    assert f"127.0.0.1:{port}\n  no packet in 2 seconds\n  cannot connect " \
        f"to 127.0.0.1:{port}: Connection refused\n" in text
    assert "a sensor" not in text


def test_trying_one_of_another_link_type(serve):
    packet = bytes.fromhex("45") + bytes(19)
    server = serve([header(linktype=101) + record(1, 0, packet), "hold"])
    code, text = attempt(server.device)
    assert code == 0
    assert "for programs that want Ethernet: linktype=EN10MB\n" in text


@needs_tls
def test_trying_tls(pki):  # noqa: F811
    server = TlsServer(pki, [STREAM, "go"])
    code, text = attempt(server.device)
    server.gone.release()
    assert code == 0
    assert re.search(r"(?m)^  TLSv1\.3, /CN=server, certificate valid until "
                     r"\d{4}-\d\d-\d\d \d\d:\d\d UTC$", text), text


def test_trying_one_that_cannot_be_opened():
    port = free_port()
    assert attempt(f"tcp:127.0.0.1:{port}") == (
        2, f"cannot connect to 127.0.0.1:{port}: Connection refused\n")
    assert attempt("tcp:127.0.0.1:0")[0] == 2


def test_trying_one_that_is_silent(serve):
    server = serve(["hold"])
    code, text = attempt(f"{server.device},linktype=EN10MB")
    assert code == 1
    assert text.startswith(
        f"127.0.0.1:{server.port}\n  connected in ")
    assert "  no stream yet (a TLS server needs tls:)\n" in text


def test_a_child_shows_no_second_device(serve, start):
    """It has its parent's from a fork."""
    program = start(READER, "-m", "poll", "-K", "-p", serve([STREAM, "hold"]).device)
    program.wait_for("^P ", 10)
    assert len(re.findall(r"(?m)^reader\[", "".join(
        line + "\n" for line in status().splitlines()
        if str(program.process.pid) in line))) == 1


def test_no_memfd_no_status(serve):
    """A program whose system has none is read all the same."""
    result = run("bash", "-c", 'ulimit -f 0; exec "$0" "$@"', READER, "-c",
                 "10", serve([STREAM, "hold"]).device, env=OURS)
    assert result.returncode == 0
    assert "packets=10" in result.stdout


def test_many_senders_come_and_go(start):
    """Those that are here, and not those that were."""
    port = free_port()
    program = start(READER, "-p", "-i", "0", f"tcp-listen:{port}")
    with socket.socket() as first:
        wait_until(lambda: first.connect_ex(("127.0.0.1", port)) == 0,
                   "it listens")
        first.sendall(STREAM)
        program.wait_for("^P ", 10)
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(STREAM)
        program.wait_for("^P ", 1010)
        wait_until(lambda: sum(name == "up" for name, _ in metrics(
            program.process.pid)) == 1, "the others have left")
        name = "127.0.0.1:%d" % first.getsockname()[1]
        assert metrics(program.process.pid)["records_total", name] == 10
