"""With linktype=, and so for a named device, opening touches nothing: the
first read connects or listens, and says what went wrong."""

import re
import signal
import socket

import pytest

from conftest import (ASAN, OURS, READER, SYSTEM, end_by, free_port,
                      is_listening, need, run, wait_until)
from pcapfile import header, numbered, pcap

TEN = pcap(numbered(10))


@pytest.fixture
def peers(serve, tmp_path):
    """Named devices of all kinds, and who notices if one is touched."""
    class Peers:
        one_shot = serve([TEN])
        silent = serve(["hold"], ["hold"], ["hold"])
        dead, listening = free_port(), free_port()

        def __init__(self):
            path = tmp_path / "devices"
            path.write_text(
                f"oneshot {self.one_shot.device} A\n"
                f"silent {self.silent.device}\n"
                f"dead tcp:127.0.0.1:{self.dead}\n"
                f"secret tls:127.0.0.1:{self.silent.port}\n"
                + ("" if ASAN else  # whose exit waits for a look-up
                   "away tcp:no.such.host.invalid\n") +
                f"open tcp-listen:127.0.0.1:{self.listening}\n")
            self.names = [li.split()[0]
                          for li in path.read_text().splitlines()]
            self.env = dict(OURS, PCAP_TCP_DEVICES=str(path))

        def untouched(self):
            return (self.one_shot.connections, self.silent.connections,
                    is_listening(self.listening)) == (0, 0, False)

    return Peers()


def test_lists_touch_nothing(peers):
    need("dumpcap", "tshark")
    commands = [["dumpcap", "-D"], ["dumpcap", "-D", "-M"], ["tcpdump", "-D"]]
    commands += [["dumpcap", "-L", "-i", name] for name in peers.names]
    commands += [["tcpdump", "-L", "-i", name] for name in peers.names]
    if not ASAN:  # under a preloaded libasan tshark hangs
        commands.append(["tshark", "-D"])
    for command in commands:
        result = run(*command, env=peers.env)
        assert result.returncode == 0, (command, result.stderr)
        if "-D" in command:
            assert "oneshot" in result.stdout + result.stderr
        else:
            assert "EN10MB" in result.stdout + result.stderr, command
        assert peers.untouched(), command
    result = run("tcpdump", "-n", "-i", "oneshot", env=peers.env)
    assert result.stdout.count("192.0.2.2") == 10, result.stderr


def test_wireshark_main_window_touches_nothing(peers, start):
    """It runs dumpcap -S, which opens all devices and never reads."""
    need("dumpcap")
    if ASAN:
        pytest.skip("dumpcap -S does not end under a preloaded libasan")
    statistics = start("dumpcap", "-S", "-Z", "none", env=peers.env)
    for name in peers.names:
        statistics.wait_for(f"{name}\t0\t0", 2)
    assert peers.untouched()
    end_by(statistics, signal.SIGTERM)


def test_the_descriptor_calls_for_the_first_read(peers, serve, start):
    server = serve([TEN, "hold"])
    reader = start(READER, "-p", "-m", "epoll",
                   f"{server.device},linktype=EN10MB")
    reader.wait_for("^P", 10)
    reader = start(READER, "-p", "-m", "select",
                   f"tcp-listen:127.0.0.1:{peers.listening},linktype=EN10MB")
    wait_until(lambda: is_listening(peers.listening), "it listens")
    with socket.create_connection(("127.0.0.1", peers.listening)) as sender:
        sender.sendall(TEN)
        reader.wait_for("^P", 10)


@pytest.mark.parametrize("mode", ["loop", "next", "epoll"])
@pytest.mark.parametrize("fault", ["refused", "silent", "http", "closed",
                                   "name", "taken", "two"])
def test_the_first_read_has_activations_error(serve, fault, mode):
    http = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    server = serve(*{"silent": [["hold"]] * 2, "http": [[http]] * 2,
                     "closed": [[]] * 2}.get(fault, [["hold"]] * 2))
    device = {
        "refused": f"tcp:127.0.0.1:{free_port()}",
        "name": "tcp:no.such.host.invalid",
        "taken": f"tcp-listen:127.0.0.1:{server.port}",
        "two": f"tcp:127.0.0.1:{free_port()}+127.0.0.1:{free_port()}",
    }.get(fault, f"{server.device},timeout=1")
    told = run(READER, device)
    assert told.returncode == 1
    cause = re.search(r"pcap_activate: -1 (.*) \(errno", told.stderr)[1]
    lazy = run(READER, "-m", mode, "-u", f"{device},linktype=EN10MB").stdout
    assert lazy.startswith("OPEN dlt=1 "), lazy
    assert f"END -1 {cause}" in lazy


def test_reading_on_after_the_first_error(serve, start):
    """As after the end of a stream: told once, and then tried again."""
    port = free_port()
    reader = start(READER, "-p", "-m", "epoll", "-e", "2",
                   f"tcp:127.0.0.1:{port},linktype=EN10MB")
    reader.wait_for("^END -1 cannot connect to ")
    serve([TEN, "hold"], port=port)
    reader.wait_for("^P", 10)
    assert sum(li.startswith("END") for li in reader.lines) == 1


def test_reconnect_goes_on_trying(serve, start):
    port = free_port()
    reader = start(READER, "-p", "-m", "epoll", "-f", "udp port 53",
                   f"tcp:127.0.0.1:{port},linktype=EN10MB,reconnect=yes")
    reader.wait_for("OPEN dlt=1 ext=0 snaplen=262144")
    reader.wait_until_blocked()
    serve([TEN, "hold"], port=port)
    reader.wait_for("^P", 5)


def test_one_attempt_where_there_is_no_other():
    device = f"tcp:127.0.0.1:{free_port()},linktype=EN10MB,reconnect=no"
    result = run(READER, device)
    assert "END -1 cannot connect to 127.0.0.1:" in result.stdout


def test_a_named_device_is_ethernet_unless_it_says_otherwise(serve, tmp_path):
    server = serve([header(linktype=276)], [header(linktype=189)])
    path = tmp_path / "devices"
    path.write_text(f"plain {server.device}\n"
                    f"cooked {server.device},linktype=LINUX_SLL2\n")
    env = dict(OURS, PCAP_TCP_DEVICES=str(path))
    result = run(READER, "cooked", env=env)
    assert "OPEN dlt=276 " in result.stdout
    assert "END -2 " in result.stdout
    result = run(READER, "plain", env=env)
    assert "OPEN dlt=1 " in result.stdout
    assert "the link type is USB_LINUX, the device's is EN10MB " \
        "(linktype=USB_LINUX takes it)" in result.stdout


def test_a_handle_that_never_reads_leaves_nothing(peers):
    """But for look-ups, which end when they please."""
    def left(name, opens):
        return run(READER, "-o", f"-{opens}", name, env=peers.env).stdout

    for name in peers.names:
        if name == "secret":  # OpenSSL keeps things of its own
            assert left(name, 20).startswith("LEAK descriptors=0 ")
        elif name != "away":
            assert left(name, 20) == "LEAK descriptors=0 bytes=0\n", name
    assert peers.untouched()


def test_a_tls_handle_that_never_reads_leaves_nothing(peers):
    need("valgrind")
    if ASAN:
        pytest.skip("valgrind can't run a sanitizer build")
    result = run("valgrind", "-q", "--leak-check=full", "--error-exitcode=9",
                 READER, "-o", "-3", "secret", env=peers.env, timeout=300)
    assert (result.returncode, result.stderr) == (0, "")
    assert peers.untouched()
