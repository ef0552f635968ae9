"""Named devices: the file, the list, and who wins."""

import os
import re
from pathlib import Path

import pytest

from conftest import (ASAN, BUILD, OURS, READER, SYSTEM, in_namespace,
                      let_others_in, need, run)
from pcapfile import numbered, pcap

TEN = pcap(numbered(10))


@pytest.fixture
def names(tmp_path):
    """names(lines...): an environment with these named devices."""
    def file(*lines):
        path = tmp_path / "devices"
        path.write_text("\n".join(lines) + "\n")
        return dict(OURS, PCAP_TCP_DEVICES=str(path))

    return file


@pytest.mark.parametrize("program", [
    ["tcpdump", "-n", "-i"], ["tshark", "-i"], [READER, "-p"]],
    ids=["tcpdump", "tshark", "reader"])
def test_programs_open_them(serve, names, program):
    need(program[0])
    if ASAN and program[0] == "tshark":
        pytest.skip("tshark hangs in any live capture under a preloaded "
                    "libasan")
    server = serve([TEN], [TEN])
    env = names(f"sensor1 {server.device}  Behind the proxy")
    result = run(*program, "sensor1", env=env)
    assert result.returncode == 0, result.stderr
    assert sum("192.0.2.2" in li or li.startswith("P ")
               for li in result.stdout.splitlines()) == 10


def test_the_list_shows_them_with_what_they_are(names):
    env = names("# a comment", "", "sensor1 tcp:10.0.0.5:57012  Behind the "
                "proxy ", "\tsensor2\ttcp:10.0.0.6", "nodevice",
                "broken tcp:h:99999 A typing error", "no newline")
    result = run("tcpdump", "-D", env=env)
    assert result.returncode == 0
    found = {li.split(".", 1)[1] for li in result.stdout.splitlines()}
    assert "sensor1 (Behind the proxy) [none]" in found or \
        "sensor1 (Behind the proxy)" in found
    assert any(li.startswith("sensor2 (tcp:10.0.0.6)") for li in found)
    # A line that nothing can be read from is not shown as if it were good.
    path = env["PCAP_TCP_DEVICES"]
    assert any(li.startswith(f"nodevice (line 5 of {path}: nodevice: bad "
                             "device ") for li in found)
    assert any(li.startswith(f"broken (line 6 of {path}: tcp:h:99999: bad "
                             "port ") for li in found)
    # None of them is what a program takes by itself.
    first = result.stdout.splitlines()[0]
    assert "sensor" not in first and "broken" not in first


def test_the_systems_devices_stay(names):
    ours = run("tcpdump", "-D", env=names("sensor1 tcp:10.0.0.5")).stdout
    assert "lo " in ours
    assert "lo " in run("tcpdump", "-D", env=OURS).stdout
    assert "sensor1" not in run("tcpdump", "-D", env=OURS).stdout


def test_a_name_that_shadows_an_interface_wins(serve, names):
    server = serve([TEN])
    env = names(f"lo {server.device} Not the loopback")
    result = run("tcpdump", "-n", "-i", "lo", env=env)
    assert "10 packets captured" in result.stderr
    listed = [li for li in run("tcpdump", "-D", env=env).stdout.splitlines()
              if li.split(".", 1)[1].startswith("lo ")]
    assert len(listed) == 1
    assert "Not the loopback" in listed[0]


def test_a_line_that_does_not_parse_is_told_when_it_is_used(serve, names):
    server = serve([TEN])
    env = names("# comment", "bad tcp:h:99999", "none", "scheme eth0",
                f"good {server.device}", "late tcp:x,linktype=NO")
    for name, said in {
            "bad": "line 2 of {}: tcp:h:99999: bad port "
                   "\"99999\": expected a number from 1 to 65535",
            "none": "line 3 of {}: none: bad device \"\": "
                    "expected tcp:HOST:PORT or the like",
            "scheme": "line 4 of {}: scheme: bad device "
                      "\"eth0\": expected tcp:HOST:PORT or the like",
            "late": "line 6 of {}: tcp:x,linktype=NO: bad "
                    "linktype \"NO\""}.items():
        result = run("tcpdump", "-i", name, env=env)
        assert result.returncode == 1
        assert result.stderr.startswith(
            "tcpdump: " + said.format(env["PCAP_TCP_DEVICES"]))
    assert "10 packets" in run("tcpdump", "-n", "-i", "good", env=env).stderr


def test_of_two_lines_with_one_name_the_first_counts(serve, names):
    server = serve([TEN])
    env = names(f"twice {server.device} First", "twice tcp:h Second")
    listed = run("tcpdump", "-D", env=env).stdout
    assert "twice (First)" in listed
    assert "Second" not in listed
    assert "10 packets" in run("tcpdump", "-n", "-i", "twice",
                               env=env).stderr


def test_a_fifo_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    env = dict(OURS, PCAP_TCP_DEVICES=str(tmp_path / "fifo"))
    assert run("tcpdump", "-D", env=env).returncode == 0


def test_names_are_whole_and_case_counts(names):
    env = names("sensor1 tcp:127.0.0.1:1")
    for name in ("sensor", "sensor11", "Sensor1"):
        result = run("tcpdump", "-i", name, env=env)
        assert result.stderr.startswith(
            f"tcpdump: {name}: No such device exists\n(neither an interface "
            f"nor in {env['PCAP_TCP_DEVICES']})")


def test_an_ordinary_user_is_told_of_a_mistyped_name(names):
    """libpcap would say that a capture takes privileges."""
    need("setpriv")
    env = names("sensor1 tcp:127.0.0.1:1")
    let_others_in(Path(env["PCAP_TCP_DEVICES"]).parent)
    Path(env["PCAP_TCP_DEVICES"]).chmod(0o644)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    result = run(*(user if os.getuid() == 0 else []), READER, "sensor2",
                 env=env)
    assert "nor in " + env["PCAP_TCP_DEVICES"] in result.stderr


def test_other_devices_are_left_alone(names, serve, tmp_path):
    """A file of names takes nothing from who else knows a name."""
    env = names("sensor1 tcp:127.0.0.1:1")
    for name in ("lo", "any", "lo:1"):
        listed = run("tcpdump", "-L", "-i", name, env=env)
        assert listed.stderr == run("tcpdump", "-L", "-i", name,
                                    env=OURS).stderr
    need("dumpcap")
    server = serve([TEN])
    # Not to /dev/null, which dumpcap deletes when it fails.
    result = run("dumpcap", "-q", "-i", f"TCP@127.0.0.1:{server.port}", "-w",
                 tmp_path / "out", env=env)
    assert "Packets captured: 10" in result.stderr
    # By its number in the list: none of the names is one.
    listed = run("tcpdump", "-D", env=env).stdout
    number = re.search(r"(?m)^(\d+)\.lo ", listed)[1]
    said = [run("tcpdump", "-L", "-i", device, env=env)
            for device in (number, "lo")]
    assert (said[0].stdout, said[0].stderr) == (said[1].stdout, said[1].stderr)


@pytest.mark.parametrize("path,cause", [
    ("/no/such/file", "No such file or directory"), ("/", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(path, cause):
    env = dict(OURS, PCAP_TCP_DEVICES=path)
    result = run("tcpdump", "-i", "sensor1", env=env)
    assert f"(cannot read {path}: {cause})" in result.stderr
    if not ASAN:
        result = run(BUILD / "pcap-tcp-run", "--check", "tcpdump",
                     env=dict(SYSTEM, PCAP_TCP_DEVICES=path))
        assert result.stdout.splitlines()[2] == f"cannot read {path}: {cause}"


def test_the_file_is_read_once_for_a_list(names):
    need("strace")
    env = names(*(f"sensor{i} tcp:10.0.0.5" for i in range(20)))
    result = run("strace", "-f", "-e", "trace=open,openat", "tcpdump", "-D",
                 env=env)
    assert "sensor19" in result.stdout
    assert result.stderr.count(env["PCAP_TCP_DEVICES"]) == 1


@pytest.mark.parametrize("path", ["/no/such/file", "/", "/dev/null", ""])
def test_no_file_is_no_trouble(path):
    result = run("tcpdump", "-D", env=dict(OURS, PCAP_TCP_DEVICES=path))
    assert result.returncode == 0
    assert result.stdout == run("tcpdump", "-D", env=OURS).stdout


def test_the_file_of_the_system(serve, tmp_path):
    """SYSCONFDIR/pcap-tcp/devices, as configure was told."""
    config = (BUILD / "libpcap/config.h").read_text()
    folder = re.search(r'#define PCAP_TCP_SYSCONFDIR "(.*)"', config)[1]
    assert folder.startswith("/") and "${" not in folder
    if not os.path.isdir(folder):
        pytest.skip(f"there is no {folder} here, to put a file on")
    result = in_namespace(
        f"mount -t tmpfs none {folder}", f"mkdir {folder}/pcap-tcp",
        "echo sensor1 tcp:10.0.0.5 The one of the system > "
        f"{folder}/pcap-tcp/devices", "unset PCAP_TCP_DEVICES; tcpdump -D")
    assert "sensor1 (The one of the system)" in result.stdout, result


def test_privileged_programs_ignore_the_environment(names, tmp_path):
    """A setuid copy of tcpdump, whose library has to be found without
    LD_LIBRARY_PATH: linked so."""
    need("setpriv")
    if ASAN:
        pytest.skip("a setuid program is not given the sanitizers' library")
    if os.getuid() != 0:
        pytest.skip("only root can make a setuid program")
    source = tmp_path / "list.c"
    source.write_text("""
#include <stdio.h>
#include <pcap/pcap.h>
int main(void)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	pcap_if_t *d;
	if (pcap_findalldevs(&d, errbuf) == -1)
		return (1);
	for (; d != NULL; d = d->next)
		puts(d->name);
	return (0);
}
""")
    # Where an ordinary user may run it.
    folder = tmp_path
    let_others_in(folder)
    program = folder / "list"
    built = run("gcc", f"-I{BUILD}/libpcap", "-o", program, source,
                f"-L{folder}", f"-Wl,-rpath,{folder}",
                f"{BUILD}/lib/libpcap.so.0.8", env=SYSTEM)
    assert built.returncode == 0, built.stderr
    (folder / "libpcap.so.0.8").write_bytes(
        (BUILD / "lib/libpcap.so.0.8").read_bytes())
    env = names("sensor1 tcp:10.0.0.5")
    (folder / "devices").chmod(0o644)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    assert "sensor1" in run(*user, program, env=env).stdout
    program.chmod(0o4755)
    result = run(*user, program, env=env)
    assert "lo" in result.stdout, result
    assert "sensor1" not in result.stdout
