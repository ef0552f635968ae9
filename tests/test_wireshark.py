"""Wireshark's own window, under a virtual display: it opens every named
device at start, and may only touch the one that is captured from."""

import re

import pytest

from conftest import (ASAN, OURS, SYSTEM, free_port, is_listening, need, run,
                      wait_until)
from pcapfile import numbered, pcap

TEN = pcap(numbered(10))

pytestmark = pytest.mark.skipif(ASAN, reason="Wireshark does not start under "
                                "a preloaded libasan")


@pytest.fixture
def display(start):
    need("wireshark", "Xvfb", "xdotool")
    # It chooses its number, and says it on standard output when it is ready.
    # Without -noreset it starts anew, and refuses clients, after each xdotool.
    server = start("Xvfb", "-displayfd", 1, "-noreset",
                   "-screen", "0", "1000x620x24", env=SYSTEM)
    return ":" + server.wait_for(r"^\d+$")


@pytest.fixture
def window(display, start, tmp_path):
    """window(devices, arguments...): Wireshark, with a home of its own."""
    class Window:
        home = tmp_path
        env = dict(OURS, DISPLAY=display, HOME=str(tmp_path),
                   XDG_CONFIG_HOME=str(tmp_path), TMPDIR=str(tmp_path),
                   XDG_RUNTIME_DIR=str(tmp_path), QT_QPA_PLATFORM="xcb",
                   PCAP_TCP_DEVICES=str(tmp_path / "devices"))

        def __init__(self, devices, *arguments):
            (tmp_path / "devices").write_text("\n".join(devices) + "\n")
            (tmp_path / "wireshark").mkdir()
            (tmp_path / "wireshark" / "preferences").write_text(
                "gui.ask_unsaved: FALSE\n")
            env = {name: value for name, value in self.env.items()
                   if name != "WAYLAND_DISPLAY"}
            self.program = start("wireshark", *arguments, env=env)

        def do(self, *what):
            return run("xdotool", *what, env=dict(SYSTEM, DISPLAY=display))

        def wait_for(self, title):
            def find():
                assert self.program.process.poll() is None, \
                    (self.program.process.returncode, self.program.errors)
                return self.do("search", "--onlyvisible", "--name",
                               title).stdout
            wait_until(find, f"title {title}")
            return find().split()[0]

        def key(self, title, *keys):
            self.do("windowfocus", "--sync", self.wait_for(title))
            self.do("key", *keys)

        def wait_for_packets(self, count, before=()):
            """Returns the files that are there now."""
            def packets():
                new = files() - set(before)
                return new and run("tshark", "-r", new.pop(),
                                   env=SYSTEM).stdout.count("\n")

            def files():
                return set(tmp_path.glob("wireshark_*.pcapng"))
            wait_until(lambda: packets() == count, f"{count} packets")
            return files()

    return Window


def children(program):
    return run("ps", "--ppid", program.process.pid, "-o", "args=",
               env=SYSTEM).stdout


def test_start_list_capture_stop_restart(window, serve):
    one_shot = serve([TEN, "hold"], [TEN, "hold"])
    silent, dead, listening = serve(["hold"]), free_port(), free_port()
    wireshark = window([f"alpha {one_shot.device}", f"silent {silent.device}",
                        f"dead tcp:127.0.0.1:{dead}",
                        f"open tcp-listen:127.0.0.1:{listening}"],
                       "-i", "alpha")
    wireshark.wait_for("The Wireshark Network Analyzer")
    # It runs for as long as the window shows the list.
    wait_until(lambda: re.search("dumpcap .*-S ",
                                 children(wireshark.program)),
               "the list's statistics")
    assert (one_shot.connections, silent.connections,
            is_listening(listening)) == (0, 0, False)

    wireshark.key("The Wireshark Network Analyzer", "ctrl+e")
    wireshark.wait_for("Capturing from alpha")
    files = wireshark.wait_for_packets(10)
    wireshark.key("Capturing from alpha", "ctrl+r")
    wait_until(lambda: one_shot.connections == 2, "a restart")
    wireshark.wait_for_packets(10, before=files)
    # The filter's line has the focus, and ctrl+e is its end: the menu instead.
    wireshark.key("Capturing from alpha", "alt+c", "t")
    wireshark.wait_for(r"^\*alpha")
    assert (one_shot.connections, silent.connections,
            is_listening(listening)) == (2, 0, False)
    wireshark.key(r"^\*alpha", "ctrl+q")
    wait_until(lambda: wireshark.program.process.poll() is not None,
               "Wireshark ends")
