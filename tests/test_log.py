"""Events: one line each, in the log that a device or its environment names."""

import os
import pty
import re
import select
import shlex
import socket
import threading
import time

import pytest

from conftest import (ASAN, BUILD, OURS, READER, SAMPLE, SYSTEM, Program,
                      end_by, free_port, in_namespace, is_listening,
                      let_others_in, need, run, wait_until)
from pcapfile import header, numbered, pcap, record
from tls import TlsServer, needs_tls, pki  # noqa: F401

PACKETS = numbered(10)
STREAM = pcap(PACKETS)
ONE = record(*PACKETS[0])
LINE = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) "
                  r"pcap-tcp\[(?P<pid>\d+)\]: (?P<said>.*?) "
                  r'device=("[^"]*"|\S+)(?P<fields>.*)')


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def said(path):
    """The sentences, each with whose it is."""
    found = [LINE.fullmatch(line) for line in lines(path)]
    assert all(found), lines(path)
    return [(m["said"], dict(re.findall(r' (\w+)=("[^"]*"|\S+)', m["fields"])))
            for m in found]


def wait_for(path, pattern, count=1):
    wait_until(lambda: sum(bool(re.search(pattern, line))
                           for line in lines(path)) >= count,
               f"{pattern} in {path}")


def fields_of(path, pattern):
    return next(fields for text, fields in said(path)
                if re.search(pattern, text))


def test_the_life_of_a_source(serve, start, tmp_path):
    """Connected, lost, connected again, and what the device had in all."""
    log = tmp_path / "log"
    server = serve([STREAM, "fin"], [STREAM, "hold"])
    program = start("tcpdump", "-n", "-l", "-i",
                    f"{server.device},reconnect=yes,log={log}")
    wait_for(log, "connected to", 2)
    wait_until(lambda: len(program.lines) == 20, "its packets are printed")
    assert end_by(program) == 0
    name = f"127.0.0.1:{server.port}"
    texts = said(log)
    assert [text for text, _ in texts] == [
        f"connected to {name}", f"lost {name}: end of stream",
        f"connected to {name}", "closed"]
    assert texts[0][1] == {"peer": name, "format": "pcap",
                           "linktype": "EN10MB", "snaplen": "262144"}
    lost = texts[1][1]
    assert (lost["peer"], lost["records"], lost["bytes"]) == \
        (name, "10", str(len(STREAM)))
    assert 500 < int(lost["retry_ms"]) <= 1000
    assert texts[3][1] == {"records": "20", "dropped": "0",
                           "ifdropped": "0", "left_out": "0"}
    assert LINE.fullmatch(lines(log)[0])["pid"] == str(program.process.pid)


def test_three_sources_of_which_each_has_its_trouble(serve, start, tmp_path):
    """One dies, one stalls, one changes its link type: each is told once, and
    the fourth is read all the time."""
    log = tmp_path / "log"
    dies = serve([STREAM, "go", ONE[:20], "rst"])
    stalls = serve([STREAM, "hold"])
    changes = serve([STREAM, "go", "fin"], [header(linktype=101), "hold"])
    good = serve([header()] + [ONE, "go"] * 2000 + ["hold"])
    program = start(
        "tcpdump", "-n", "-U", "-w", os.devnull, "-i", "+".join(
            s.device for s in (dies, stalls, changes, good))
        + ",reconnect=yes", env=dict(OURS, PCAP_TCP_LOG=str(log)))
    wait_for(log, "connected to", 4)
    dies.go()
    changes.go()

    def has_all():
        good.go()
        return all(any(re.search(p, li) for li in lines(log)) for p in (
            f"lost 127.0.0.1:{dies.port}", f"127.0.0.1:{stalls.port} is sile",
            f"127.0.0.1:{changes.port}.*link type"))

    wait_until(has_all, "each is told")
    assert end_by(program) == 0
    texts = [text for text, _ in said(log)]
    for pattern in (
            f"lost 127.0.0.1:{dies.port}: The other host terminated the "
            "connection.",
            f"127.0.0.1:{stalls.port} is silent while others send: they no "
            "longer wait for it",
            f"lost 127.0.0.1:{changes.port}: end of stream"):
        assert texts.count(pattern) == 1, texts
    assert sum(f":{changes.port}" in t and "link type" in t
               for t in texts) == 1


def test_what_cannot_be_had_at_opening_is_told(serve, start, tmp_path):
    """A device is open with one source of two, and the program says
    nothing."""
    log = tmp_path / "log"
    port = free_port()
    server = serve([STREAM, "hold"])
    program = start("tcpdump", "-n", "-l", "-i",
                    f"{server.device}+127.0.0.1:{port},log={log}")
    program.wait_for(r"IP 192\.0\.2\.1", 10)
    assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in [
        text for text, _ in said(log)]
    end_by(program)


def test_the_same_failure_is_told_with_growing_distance(tmp_path, start):
    """At 1, 10, 100 ... times; here, a sender of garbage that closes at
    once. With more than one stream a second there would be 30 lines."""
    log = tmp_path / "log"
    port = free_port()
    served = 0
    with socket.create_server(("127.0.0.1", port)) as listener:
        program = start(READER, "-i", "0", f"tcp:127.0.0.1:{port},"
                        f"reconnect=yes,timeout=0,log={log}")
        while served < 3:
            conn = listener.accept()[0]
            with conn:
                conn.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
                with pytest.raises(ConnectionResetError):
                    conn.recv(1)
            served += 1
        wait_for(log, "an HTTP response")
        assert sum("an HTTP response" in line for line in lines(log)) == 1
    end_by(program)


def test_a_tls_server_gets_a_hint_after_a_second(serve, start, tmp_path):
    log = tmp_path / "log"
    server = serve(["hold"])
    program = start("tcpdump", "-n", "-l", "-i", f"{server.device},log={log}")
    wait_for(log, "nothing for a second")
    assert said(log)[0][0] == f"127.0.0.1:{server.port} took the " \
        "connection but has sent nothing for a second (a TLS server needs " \
        "tls:)"
    assert not program.errors
    end_by(program)


@needs_tls
def test_who_the_tls_peer_is(pki, start, tmp_path):  # noqa: F811
    log = tmp_path / "log"
    server = TlsServer(pki, [STREAM, "close_notify"])
    result = run("tcpdump", "-n", "-c", "10", "-i",
                 f"{server.device},log={log}")
    assert result.returncode == 0
    fields = fields_of(log, "connected to")
    assert (fields["tls"], fields["subject"]) == \
        ("TLSv1.3", '"/CN=server"')


def test_senders_and_those_that_are_refused(start, tmp_path):
    log = tmp_path / "log"
    port = free_port()
    program = start("tcpdump", "-n", "-l", "-i", f"tcp-listen:{port},log={log}")
    wait_until(lambda: is_listening(port), "it listens")
    with socket.create_connection(("127.0.0.1", port)) as good, \
            socket.create_connection(("127.0.0.1", port)) as wrong:
        good.sendall(STREAM)
        wait_for(log, "receiving from")
        wrong.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_for(log, "refused")
        name = "127.0.0.1:%d" % wrong.getsockname()[1]
        text, fields = said(log)[-1]
        assert text == f"refused {name}: not a pcap stream but text, " \
            '"GET / HTTP/1.1"'
        assert fields["peer"] == name
    end_by(program)


def test_what_becomes_ethernet_and_what_does_not(serve, tmp_path):
    log = tmp_path / "log"
    packet = bytes.fromhex("45") + bytes(19)
    netlink = bytes(2) + (824).to_bytes(2, "big") + bytes(30)
    raw = serve([header(linktype=101) + record(1, 0, packet), "hold"])
    cooked = serve([header(linktype=113) + record(1, 1, netlink) * 3
                    + record(1, 2, bytes(14) + b"\x08\0" + packet), "hold"])
    result = run("tcpdump", "-n", "-c", "2", "-i", f"{raw.device}+"
                 f"{cooked.device},linktype=EN10MB,log={log}")
    assert result.returncode == 0, result.stderr
    types = {fields["linktype"]: fields["becomes"] for text, fields
             in said(log) if text.startswith("connected")}
    assert types == {"RAW": "EN10MB", "LINUX_SLL": "EN10MB"}
    told = [fields["left_out"] for text, fields in said(log) if text ==
            "packets that cannot become Ethernet are left out"]
    assert told == ["3"]
    assert said(log)[-1][1]["left_out"] == "3"


@needs_tls
def test_a_refused_tls_sender_ends(pki, start):  # noqa: F811
    port = free_port()
    program = start("tcpdump", "-n", "-l", "-i", f"tls-listen:{port},cert="
                    f"{pki}/server.pem,key={pki}/server.key")
    wait_until(lambda: is_listening(port), "it listens")
    send = (f"openssl s_client -quiet -connect 127.0.0.1:{port} 2>&1; "
            "echo ended")
    good = start("sh", "-c", f"(cat {SAMPLE}; exec sleep 1000) | ({send})",
                 env=SYSTEM)
    program.wait_for("IP ", 1)
    refused = start("bash", "-c", "(printf 'GET / HTTP/1.1\\r\\n\\r\\n'; "
                    f"while sleep 0.1; do echo; done) | ({send})",
                    env=SYSTEM)
    refused.wait_for("ended")
    assert "ended" not in good.lines
    good.stop()
    end_by(program)


@needs_tls
def test_a_sender_without_a_certificate_is_told(pki, start,  # noqa: F811
                                                tmp_path):
    log = tmp_path / "log"
    port = free_port()
    program = start("tcpdump", "-n", "-i", f"tls-listen:{port},cert="
                    f"{pki}/server.pem,key={pki}/server.key,ca={pki}/ca.pem",
                    env=dict(OURS, PCAP_TCP_LOG=str(log)))
    wait_until(lambda: is_listening(port), "it listens")
    sender = start("sh", "-c", f"(cat {SAMPLE}; exec sleep 1000) | openssl "
                   f"s_client -connect 127.0.0.1:{port} 2>&1", env=SYSTEM)
    sender.wait_for("alert (number 116|certificate required)")
    text, fields = said(log)[0]
    assert re.fullmatch(r"refused 127\.0\.0\.1:\d+: the sender has no TLS "
                        "certificate, which ca= asks for", text)
    end_by(program)


def test_a_flood_of_refused_senders_writes_little(start, tmp_path):
    log = tmp_path / "log"
    port = free_port()
    program = start("tcpdump", "-n", "-l", "-i", f"tcp-listen:{port},log={log}")
    wait_until(lambda: is_listening(port), "it listens")
    with socket.create_connection(("127.0.0.1", port)) as good:
        good.sendall(STREAM)
        program.wait_for("IP ", 10)
        began = time.monotonic()
        for _ in range(10000):
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(b"GET / HTTP/1.1\r\n\r\n")
                try:
                    s.recv(1)
                except ConnectionResetError:
                    pass
        took = time.monotonic() - began
    end_by(program)
    refused = [fields for text, fields in said(log) if "refused" in text]
    omitted = sum(int(fields.get("omitted", 0)) for _, fields in said(log))
    assert len(refused) <= 16 + took + 1
    assert len(refused) + omitted >= 10000


# How senders notice: what they run, whose standard input goes on for ever.
SENDERS = {
    "nc": "nc -N 127.0.0.1 {port}",
    "ncat": "ncat 127.0.0.1 {port}",
    "socat": "socat STDIN TCP:127.0.0.1:{port}",
    "python": "/usr/bin/python3 -c 'import os, socket\n"
              's = socket.create_connection(("127.0.0.1", {port}))\n'
              "while True: s.sendall(os.read(0, 65536))'",
}


@pytest.mark.parametrize("sender", SENDERS)
def test_a_refused_sender_ends(sender, start, tmp_path):
    """Not only when it happens to write again: its connection is reset."""
    need(sender.replace("python", "python3"))
    port = free_port()
    program = start("tcpdump", "-n", "-l", "-i", f"tcp-listen:{port}")
    wait_until(lambda: is_listening(port), "it listens")
    with socket.create_connection(("127.0.0.1", port)) as good:
        good.sendall(STREAM)
        program.wait_for("IP ", 10)
        command = SENDERS[sender].format(port=port)
        pipe = tmp_path / "pipe"
        pipe.write_bytes(header(linktype=101))
        refused = start("bash", "-c", "(cat %s; while sleep 0.1; do echo; "
                        "done) | %s; echo ended ${PIPESTATUS[1]}" % (
                            shlex.quote(str(pipe)), command), env=SYSTEM)
        # nc ends with 0 whatever becomes of its connection.
        status = refused.wait_for("ended")
        assert status != "ended 0" or sender == "nc"
    end_by(program)


def test_a_refused_connection_is_reset(start):
    port = free_port()
    program = start("tcpdump", "-n", "-l", "-i", f"tcp-listen:{port}")
    wait_until(lambda: is_listening(port), "it listens")
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            s.recv(1)
    end_by(program)


def test_a_file_that_was_moved_away_is_opened_anew(serve, start, tmp_path):
    """As logrotate does it."""
    log = tmp_path / "log"
    server = serve([STREAM, "go", "fin"], [STREAM, "hold"])
    # tcpdump may not make a file any more when it has given up its rights.
    program = start(READER, "-i", "0",
                    f"{server.device},reconnect=yes,log={log}")
    wait_for(log, "connected")
    log.rename(tmp_path / "log.1")
    server.go()
    wait_for(log, "connected")
    assert [text.split()[0] for text, _ in said(tmp_path / "log.1")] == \
        ["connected"]
    assert [text.split()[0] for text, _ in said(log)] == \
        ["lost", "connected"]
    program.stop()


def test_a_full_disk_disturbs_nobody(serve, start, tmp_path):
    log = tmp_path / "log"
    log.symlink_to("/dev/full")
    server = serve([STREAM, "go", "fin"], [STREAM, "hold"])
    program = start(READER, "-p", "-i", "0",
                    f"{server.device},reconnect=yes,log={log}")
    program.wait_for("^P ", 10)
    log.unlink()
    server.go()
    wait_for(log, "connected")
    assert said(log)[0][1]["lost"] == "1"
    assert "lost" not in said(log)[1][1]
    program.wait_for("^P ", 20)


def test_a_limit_of_files_disturbs_nobody(serve, tmp_path):
    """Nor is it SIGXFSZ that a program gets for what it did not write."""
    log = tmp_path / "log"
    result = run("bash", "-c", 'ulimit -f 0; exec "$0" "$@"', READER, "-c",
                 "10", f"{serve([STREAM, 'hold']).device},log={log}")
    assert result.returncode == 0, result.returncode
    assert lines(log) == []


def test_stderr(serve):
    result = run("tcpdump", "-n", "-c", "10", "-i",
                 f"{serve([STREAM, 'hold']).device},log=stderr")
    assert result.returncode == 0
    assert len([li for li in result.stderr.splitlines()
                if LINE.fullmatch(li)]) == 2


def test_a_journal_gets_levels_and_no_time(serve):
    """stderr is the journal's if $JOURNAL_STREAM says so."""
    port = free_port()
    device = f"{serve([STREAM, 'hold']).device}+127.0.0.1:{port},log=stderr"
    program = Program("sh", "-c", 'JOURNAL_STREAM=$(stat -L -c %d:%i '
                      '/dev/stderr) exec "$0" "$@"', "tcpdump", "-n", "-c",
                      "10", "-i", device)
    try:
        program.end()
    finally:
        program.stop()
    levels = [(m[2], m[1]) for line in program.errors if (
        m := re.match(r"<(\d)>pcap-tcp\[\d+\]: (\w+)", line))]
    assert sorted(levels) == [("cannot", "4"), ("closed", "6"),
                              ("connected", "6")]


def test_a_program_without_stderr_gets_no_line_elsewhere(serve, tmp_path):
    """Its descriptor 2 is another file by then."""
    kept = tmp_path / "kept"
    result = run("sh", "-c", 'exec "$0" -n -c 10 -w "$1" -i "$2" 2>&-',
                 "tcpdump", kept,
                 f"{serve([STREAM, 'hold']).device},log=stderr")
    assert result.returncode == 0
    assert b"pcap-tcp[" not in kept.read_bytes()
    assert len(kept.read_bytes()) == len(STREAM)


def test_a_reader_of_stderr_that_is_stuck_disturbs_nobody(serve):
    """A pipe that is full: no write to it may wait."""
    port = free_port()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, bytes(4096))
    except BlockingIOError:
        pass
    os.set_blocking(write_end, True)
    result = run("bash", "-c", f'exec "$0" "$@" 2>&{write_end}', READER, "-c",
                 "10", f"{serve([STREAM, 'hold']).device}+127.0.0.1:{port},"
                 "log=stderr", pass_fds=[write_end])
    os.close(read_end)
    os.close(write_end)
    assert result.returncode == 0
    assert "packets=10" in result.stdout


def is_writable(fd):
    return bool(select.select([], [fd], [], 0)[1])


def test_nor_does_a_terminal_that_has_room_for_half_a_line(serve):
    """It says that it is writable, but a line would wait."""
    port = free_port()
    terminal, stderr = pty.openpty()
    os.set_blocking(stderr, False)
    try:
        while True:
            os.write(stderr, bytes(100))
    except BlockingIOError:
        pass
    while not is_writable(stderr):
        os.read(terminal, 1)
    os.set_blocking(stderr, True)
    device = f"{serve([STREAM, 'hold']).device}" + f"+127.0.0.1:{port}" * 60
    result = run("bash", "-c", f'exec "$0" "$@" 2>&{stderr}', READER, "-c",
                 "10", f"{device},log=stderr", pass_fds=[stderr])
    os.close(terminal)
    os.close(stderr)
    assert result.returncode == 0
    assert "packets=10" in result.stdout


def test_a_terminal_does_not_stop_a_program_in_the_background(serve):
    """With tostop set, SIGTTOU would: bash's wait then says 128 + 22."""
    need("script")
    result = run("script", "-qec", "stty tostop; set -m; "
                 f"{READER} -c 10 {serve([STREAM, 'hold']).device},log=stderr "
                 "</dev/null >/dev/null & wait $!; echo status=$?", "/dev/null",
                 env=dict(OURS, SHELL="/bin/bash"))
    assert "connected to" in result.stdout
    assert "status=0" in result.stdout


def test_nor_does_one_that_is_gone(serve):
    """No SIGPIPE."""
    result = run("bash", "-c", 'exec 2> >(exec 0<&-; exec true); wait $!; '
                 'exec "$0" "$@"', READER, "-c", "10",
                 f"{serve([STREAM, 'hold']).device},log=stderr")
    assert result.returncode == 0
    assert "packets=10" in result.stdout


def test_syslog(serve):
    """In a mount namespace, as the machine's own may be used."""
    need("socat")
    if os.getuid() != 0:
        pytest.skip("needs root, to have a /dev/log of its own")
    result = in_namespace(
        "mkdir -p /tmp/dev$$ && mount -t tmpfs none /tmp/dev$$",
        "touch /tmp/dev$$/null && mount --bind /dev/null /tmp/dev$$/null",
        "mount --bind /tmp/dev$$ /dev",
        "socat -u UNIX-RECV:/dev/log STDOUT & while [ ! -e /dev/log ]; do "
        "sleep 0.1; done",
        f"socat -u FILE:{SAMPLE} TCP-LISTEN:57012,reuseaddr & "
        "while ! ss -ltn | grep -q :57012; do sleep 0.1; done",
        "tcpdump -n -c 1 -i tcp:127.0.0.1,log=syslog > /dev/null",
        "umount -l /dev; rmdir /tmp/dev$$ 2> /dev/null || :")
    assert re.search(r"<30>pcap-tcp\[\d+\]: connected to 127\.0\.0\.1:57012",
                     result.stdout), (result.stdout, result.stderr)


def test_what_is_no_log_is_refused():
    def refused(device, **env):
        result = run("tcpdump", "-i", device, env=dict(OURS, **env))
        assert result.returncode == 1
        return result.stderr.strip()

    device = "tcp:127.0.0.1:1"
    assert refused(f"{device},log=sterr") == "tcpdump: log=sterr: expected " \
        'stderr, syslog, or a file\'s path with a "/"'
    assert refused(f"{device},log=/nowhere/log") == "tcpdump: cannot write " \
        "to log=/nowhere/log: No such file or directory"
    assert refused(device, PCAP_TCP_LOG="/nowhere/log") == "tcpdump: cannot " \
        "write to $PCAP_TCP_LOG=/nowhere/log: No such file or directory"
    assert refused(f"{device},log=") == \
        f'tcpdump: {device},log=: bad log "": expected a value behind "="'


def test_no_file_is_written_with_a_programs_privileges(tmp_path):
    """Or whoever may name a device would have root append to any file."""
    need("setpriv")
    if ASAN or os.getuid() != 0:
        pytest.skip("a setuid program needs root, and no sanitizers' library")
    let_others_in(tmp_path)
    for name in ("libpcap.so.0.8", "libpcap.so.1"):  # by whichever it asks
        (tmp_path / name).write_bytes((BUILD / "lib" / name).read_bytes())
    source = tmp_path / "open.c"
    source.write_text("""
#include <stdio.h>
#include <pcap/pcap.h>
int main(int argc, char **argv)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_create(argv[argc - 1], errbuf);
	if (p != NULL && pcap_activate(p) != 0)
		puts(pcap_geterr(p));
	return (0);
}
""")
    program = tmp_path / "open"
    built = run("gcc", f"-I{BUILD}/libpcap", "-o", program, source,
                f"-Wl,-rpath,{tmp_path}", f"{BUILD}/lib/libpcap.so.0.8",
                env=SYSTEM)
    assert built.returncode == 0, built.stderr
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    log = tmp_path / "log"
    command = [*user, program, f"tcp:127.0.0.1:1,log={log}"]
    assert "Permission denied" in run(*command, env=SYSTEM).stdout
    program.chmod(0o4755)
    result = run(*command, env=SYSTEM)
    assert result.stdout == \
        f"cannot write to log={log}: Operation not permitted\n"
    assert not log.exists()
    result = run(*user, program, "tcp:127.0.0.1:1",
                 env=dict(SYSTEM, PCAP_TCP_LOG=str(log)))
    assert "Connection refused" in result.stdout
    assert not log.exists()


def test_the_device_goes_before_the_environment(serve, tmp_path):
    log = tmp_path / "log"
    result = run("tcpdump", "-n", "-c", "10", "-i",
                 f"{serve([STREAM, 'hold']).device},log={log}",
                 env=dict(OURS, PCAP_TCP_LOG="/nowhere/log"))
    assert result.returncode == 0
    assert "connected" in log.read_text()


def test_a_program_that_does_not_read_is_told(serve, start, tmp_path):
    """Its callback takes 10 seconds and more, and the next packet waits."""
    log = tmp_path / "log"
    server = serve([header() + ONE, "arrived", ONE, "hold"])
    start(READER, "-c", "2", "-z", "10100000", f"{server.device},log={log}")
    wait_for(log, r"the program has not read for \d\d seconds")


def test_text_of_a_peer_does_nothing_to_a_terminal(serve, tmp_path):
    log = tmp_path / "log"
    server = serve([b"\x1b[31m\xff\x9b evil \"text\"\n" + bytes(20), "fin"])
    run("tcpdump", "-i", f"{server.device},log={log}")
    assert len(lines(log)) == 1
    assert re.fullmatch(rb"[ -~\n]*", log.read_bytes())


def test_a_fifo_without_a_reader(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    result = run("tcpdump", "-i", f"tcp:127.0.0.1:1,log={tmp_path}/fifo")
    assert result.stderr.startswith("tcpdump: cannot write to log=")


def test_a_sandbox_is_asked_for_no_file(serve, tmp_path):
    """The first event comes with the first read, when a program may have no
    rights: the C library has read its time zone before."""
    need("strace")
    result = run("strace", "-f", "-e", "trace=openat,connect", READER, "-c",
                 "10", f"{serve([STREAM, 'hold']).device},linktype=EN10MB,"
                 f"log={tmp_path / 'log'}", env=dict(OURS, TZ="Asia/Tokyo"))
    assert len(lines(tmp_path / "log")) == 2
    calls = result.stderr.split("connect(")
    assert len(calls) == 2, result.stderr
    assert "Asia/Tokyo" in calls[0] and "Asia/Tokyo" not in calls[1]


def test_threads_of_one_file(serve, tmp_path):
    """Lines of several devices stay whole."""
    log = tmp_path / "log"
    devices = [f"{serve([STREAM, 'hold']).device},log={log}"
               for _ in range(4)]
    found = []
    threads = [threading.Thread(target=lambda d=d: found.append(
        run("tcpdump", "-n", "-c", "10", "-i", d).returncode))
        for d in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 4
    assert sorted(text.split()[0] for text, _ in said(log)) == \
        ["closed"] * 4 + ["connected"] * 4
