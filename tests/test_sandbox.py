"""No privileges are needed: an ordinary user without any captures, and the
units in examples/ are as tight as they say."""

import os
import re
import shutil

import pytest

from conftest import ASAN, BUILD, HERE, OURS, SAMPLE, SYSTEM, need, run

SOURCE = HERE.parent
UNITS = sorted((SOURCE / "examples").glob("*.service"))


@pytest.fixture
def confined():
    """Words before a command: no user's rights, no way to get any."""
    need("setpriv")
    if os.getuid() != 0:
        pytest.skip("needs root, to have something to give up")
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    if run(*words, "test", "-r", BUILD / "lib/libpcap.so").returncode != 0:
        pytest.skip("an ordinary user cannot read the build")
    return words


@pytest.mark.skipif(ASAN, reason="a sanitizer build has to be loaded first")
@pytest.mark.parametrize("program", ["tcpdump", "tshark"])
def test_an_ordinary_user_without_capabilities(program, confined, serve):
    need(program)
    options = ["-n", "-c", "5"]
    env = dict(OURS, HOME="/")
    result = run(*confined, program, *options, "-i",
                 serve([SAMPLE.read_bytes(), "hold"]).device, env=env)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 5
    # The same on an interface, which shows that nothing was left.
    result = run(*confined, program, *options, "-i", "lo", env=env)
    assert result.returncode != 0
    assert "permission" in result.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_unit_verifies(unit, tmp_path):
    need("systemd-analyze")
    # The programs need not be here; one that is takes their place.
    text = re.sub(r"(?<=ExecStart=)\S+", shutil.which("true"),
                  unit.read_text())
    copy = tmp_path / unit.name
    copy.write_text(text)
    result = run("systemd-analyze", "verify", "--man=no", copy, env=SYSTEM)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_unit_has_no_privileges(unit):
    need("systemd-analyze")
    if "--offline" not in run("systemd-analyze", "--help",
                              env=SYSTEM).stdout:
        pytest.skip("systemd before 250")
    result = run("systemd-analyze", "security", "--offline=true",
                 "--no-pager", unit,
                 env=dict(SYSTEM, COLUMNS="200", LC_ALL="C.UTF-8"))
    assert result.returncode == 0, result.stderr
    for name in ("=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)",
                 "=~CAP_SYS_ADMIN", "NoNewPrivileges=",
                 "RestrictAddressFamilies=~AF_PACKET", "User=/DynamicUser="):
        assert any(name in line and "✓" in line
                   for line in result.stdout.splitlines()), name
    level = float(re.search(r"exposure level .*: ([0-9.]+)",
                            result.stdout)[1])
    assert level < 1.5


def test_device_names_of_the_units_are_good():
    """Refused for the connection, or for the network, not for the name."""
    for unit in UNITS:
        device = re.search(r"(?:--pcap=|-i )(tcp:\S+)", unit.read_text())[1]
        device = device.replace("10.0.0.5:57012", "127.0.0.1:1") \
            .replace("reconnect=yes", "reconnect=yes,timeout=1")
        result = run("tcpdump", "-i", device)
        assert "cannot connect to 127.0.0.1:1" in result.stderr
