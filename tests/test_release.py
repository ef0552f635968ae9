"""A release: all that say its version say the same."""

import re
import shutil
from datetime import date

import pytest

from conftest import BUILD, HERE, SYSTEM, run

SOURCE = HERE.parent
VERSION = re.search(r"AC_INIT\(\[pcap-tcp\], \[(.+?)\]\)",
                    (SOURCE / "configure.ac").read_text())[1]


def headings(text):
    """Version and date of each; the date is None where there is none yet."""
    found = []
    for line in re.findall("(?m)^## .*", text):
        heading = re.fullmatch(
            r"## (\d+(?:\.\d+)+) - (?:unreleased|(\d{4}-\d\d-\d\d))", line)
        assert heading, line
        found.append((heading[1], heading[2] and
                      date.fromisoformat(heading[2])))
    return found


@pytest.fixture
def changes():
    return headings((SOURCE / "CHANGES.md").read_text())


def test_changes_begin_with_this_version(changes):
    assert changes[0][0] == VERSION


def test_changes_are_ordered(changes):
    versions = [[int(n) for n in version.split(".")] for version, _ in changes]
    assert versions == sorted(versions, reverse=True)
    assert len(set(map(tuple, versions))) == len(versions)
    # Only the next one has no date.
    dates = [day for i, (_, day) in enumerate(changes) if i > 0 or day]
    assert None not in dates
    assert dates == sorted(dates, reverse=True)


def test_the_tarball():
    result = run("make", "-s", "-C", BUILD, "--eval",
                 "names: ; @echo $(DIST_ARCHIVES)", "names", env=SYSTEM)
    assert result.stdout.split()[-1] == f"pcap-tcp-{VERSION}.tar.gz", \
        result.stdout + result.stderr


def test_pcap_tcp_run():
    result = run(BUILD / "pcap-tcp-run", "--version", env=SYSTEM)
    assert (result.returncode, result.stdout) == (0, f"pcap-tcp {VERSION}\n")


def test_the_tag(changes):
    """Who tags a commit has written the day into CHANGES.md before."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    tags = run("git", "-C", SOURCE, "tag", "--points-at", "HEAD",
               env=SYSTEM).stdout.split()
    if not tags:
        pytest.skip("the commit has no tag")
    assert f"v{VERSION}" in tags
    assert changes[0][1] is not None
