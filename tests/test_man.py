"""The manual pages."""

import configparser
import re
import sys

import pytest

from conftest import BUILD, HERE, OURS, SYSTEM, need, run

SOURCE = HERE.parent
PAGES = ["pcap-tcp.7.in", "pcap-tcp-run.1"]


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_has_nothing_to_say(page):
    need("mandoc")
    result = run("mandoc", "-Tlint", SOURCE / "man" / page, env=SYSTEM)
    # It looks for other pages on this machine.
    said = [line for line in (result.stdout + result.stderr).splitlines()
            if "referenced manual not found" not in line
            and "mandoc.db" not in line]
    assert said == []


@pytest.mark.parametrize("page", PAGES)
def test_groff_has_nothing_to_say(page):
    need("groff")
    result = run("groff", "-ww", "-mandoc", "-Tutf8", SOURCE / "man" / page,
                 env=SYSTEM)
    if "macro.tmac" in result.stderr or "doc.tmac" in result.stderr:
        pytest.skip("groff without its macros (groff-base has none of mdoc)")
    assert (result.returncode, result.stderr) == (0, "")
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", result.stdout)
    assert max(len(line) for line in text.splitlines()) <= 80


CREATE = """
import ctypes, sys
pcap = ctypes.CDLL(sys.argv[1])
pcap.pcap_create.restype = ctypes.c_void_p
error = ctypes.create_string_buffer(256)
for device in sys.argv[2:]:
    if not pcap.pcap_create(device.encode(), error):
        print(device, error.value.decode())
"""


@pytest.mark.parametrize("file", [
    "README.md", "man/pcap-tcp.7.in", "man/pcap-tcp-run.1",
    "examples/suricata-tcp.service", "examples/zeek-tcp.service"])
def test_every_device_is_one(file):
    """HOST could be a name; PORT stands for a number."""
    devices = set(re.findall(
        r"(?:(?:tcp|tls)(?:-listen)?|unix):(?!//)[\w\[/][^\s'\"`|)]*",
        (SOURCE / file).read_text()))
    devices = {d for d in devices if "PORT" not in d}
    assert devices
    result = run(sys.executable, "-c", CREATE, BUILD / "lib/libpcap.so",
                 *devices, env=OURS)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_the_file_of_named_devices_has_one_path():
    """README's, the package's, and the library's unless it was told another:
    test_install compares the manual's with that."""
    paths = re.findall(r"[\w/]*/pcap-tcp/devices",
                       (SOURCE / "README.md").read_text())
    assert set(paths) == {"/etc/pcap-tcp/devices"}
    assert "s|@SYSCONFDIR@|/etc|" in \
        (SOURCE / "tools" / "make-deb").read_text()
    if "--sysconfdir" not in (BUILD / "config.log").read_text().split(
            "## ---")[0]:
        assert '#define PCAP_TCP_SYSCONFDIR "/etc"\n' in \
            (BUILD / "libpcap" / "config.h").read_text()


def test_every_option_and_scheme_is_there():
    """Those that the parser knows."""
    parser = (SOURCE / "pcap-tcp-device.c").read_text()
    page = (SOURCE / "man" / "pcap-tcp.7.in").read_text()
    for scheme in re.findall(r'"((?:tcp|tls|unix)[a-z-]*:)"', parser):
        assert f"Li {scheme}" in page
    options = re.findall(r'{ "([a-z]+)", [A-Z_]+, &device->', parser)
    assert "timeout" in options
    for option in options:
        assert f"Cm {option}" in page


def test_zeeks_workers_are_whole_sections():
    """With what zeekctl asks of a node in node.cfg: its type and host, and
    for several processes their number, a method, and as many interfaces."""
    page = (SOURCE / "man" / "pcap-tcp.7.in").read_text()
    methods = set()
    for text in re.findall(r"(?s)\.Bd -literal[^\n]*\n(.*?)\.Ed", page):
        if "lb_" not in text and "type=worker" not in text:
            continue
        file = configparser.ConfigParser()
        file.read_string(text)
        for node in (file[name] for name in file.sections()):
            keys = {"type", "host"}
            if "lb_procs" in node:
                keys |= {"lb_procs", "lb_method"}
                methods.add(node["lb_method"])
            if node.get("lb_method") == "interfaces":
                keys.add("lb_interfaces")
                assert len(node["lb_interfaces"].split(",")) == \
                    int(node["lb_procs"])
            else:
                keys.add("interface")
            assert set(node) == keys
            assert node["type"] == "worker"
    assert methods == {"custom", "interfaces"}
