"""make deb: Debian's packages of libpcap with the module, installed into a
copy of this machine (an overlay, in a mount namespace), never into itself."""

import os
import re
import subprocess

import pytest

from conftest import BUILD, HERE, SAMPLE, SYSTEM, need, run
from test_release import VERSION
from test_versions import long

SOURCE = HERE.parent


SUFFIX = f"+btcp{VERSION}"


def make_deb(source, dest):
    return run(SOURCE / "tools" / "make-deb", source, dest, env=SYSTEM)


@pytest.fixture(scope="module")
def debs(tmp_path_factory):
    """The folder of the packages."""
    need("dpkg-buildpackage", "dh", "apt-get")
    source = BUILD / "libpcap-source"
    if not (source / "debian").exists():
        pytest.skip("libpcap's source is not Debian's here")
    dest = tmp_path_factory.mktemp("deb") / "deb"
    result = run("make", "-s", "-C", BUILD, "deb", f"DEB={dest}", env=SYSTEM,
                 timeout=300)
    if "make deb: apt-get install" in result.stderr:
        pytest.skip(f"build dependencies are missing: {result.stderr}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{dest}/libpcap0.8")
    (dest.parent / "said").write_text(result.stderr)
    return dest


def the_deb(debs):
    return next(debs.glob("libpcap0.8[_t]*.deb"))


def field(deb, name):
    return run("dpkg-deb", "-f", deb, name, env=SYSTEM).stdout.strip()


@long
def test_version_and_dependencies(debs):
    deb = the_deb(debs)
    version = run("dpkg-parsechangelog", "-S", "Version", "-l",
                  BUILD / "libpcap-source/debian/changelog",
                  env=SYSTEM).stdout.strip()
    assert field(deb, "Version") == version + SUFFIX
    # For who watches, a line for each step.
    assert "make deb: dh_auto_build\n" in (debs.parent / "said").read_text()
    # Nothing new that a machine would need.
    assert re.findall(r"lib[\w.-]+", re.sub(r"\([^)]*\)", "", field(
        deb, "Depends"))) in (["libc6", "libdbus-1-3"], ["libc6"])
    assert "usr/share/man/man7/pcap-tcp.7.gz" in run(
        "dpkg-deb", "-c", deb, env=SYSTEM).stdout


@pytest.mark.parametrize("of,older,newer", [
    ("1.10.3-1", "1.10.3-1 1.10.3-1+b1 1.10.3-1+b12 1.10.3-1+btcp0.0.9",
     "1.10.3-1+deb12u1 1.10.3-1.1 1.10.3-2 1.10.5-1~bpo12+1 1.10.5-2 "
     "1.10.3-1+rpt1 1.10.3-1+btcp99"),
    ("1.10.3-1+deb12u1", "1.10.3-1+deb12u1", "1.10.3-1+deb12u2 1.10.3-2"),
    ("1.10.5-2", "1.10.5-2+b2", "1.10.5-2+deb13u1"),
    ("1.10.1-4build1", "1.10.1-4build1", "1.10.1-4build2 1.10.1-4ubuntu0.1"),
    ("1.10.1-4ubuntu1.22.04.1", "1.10.1-4ubuntu1.22.04.1",
     "1.10.1-4ubuntu1.22.04.2 1.10.1-4ubuntu2")])
def test_the_next_update_beats_it(of, older, newer):
    """apt is to offer the distribution's fixes; but no build of the same
    source, which would take the devices away at once."""
    need("dpkg")
    assert "version=$(dpkg-parsechangelog -S Version)+btcp$release\n" in \
        (SOURCE / "tools" / "make-deb").read_text()

    def is_less(a, b):
        return run("dpkg", "--compare-versions", a, "lt", b,
                   env=SYSTEM).returncode == 0

    assert [v for v in older.split() if not is_less(v, of + SUFFIX)] == []
    assert [v for v in newer.split() if not is_less(of + SUFFIX, v)] == []


@long
def test_exports_what_debians_does(debs):
    """dh_makeshlibs -c4 has compared them; this is what it compared with."""
    symbols = run("dpkg-deb", "-I", the_deb(debs), "symbols", env=SYSTEM)
    theirs = next((BUILD / "libpcap-source/debian").glob("*.symbols"))
    named = re.compile(r"^ (?:\(\S*linux\S*\))?([a-z]\S*)@Base", re.M)
    assert sorted(named.findall(symbols.stdout)) == \
        sorted(named.findall(theirs.read_text()))


@long
def test_lintian_has_no_errors(debs):
    need("lintian")
    user = ["--allow-root"] if os.getuid() == 0 else []
    result = run("lintian", *user, the_deb(debs), env=SYSTEM, timeout=120)
    assert "E: " not in result.stdout, result.stdout
    assert result.returncode == 0, result.stdout + result.stderr


def in_a_copy(*lines, files=()):
    """Runs shell lines as root in a copy of this machine that goes away."""
    if os.getuid() != 0:
        pytest.skip("needs root, for an overlay")
    setup = """
        top=$(mktemp -d)
        trap 'umount -R "$top"; rmdir "$top"' EXIT
        mount -t tmpfs none "$top"
        mkdir "$top/upper" "$top/work" "$top/root"
        mount -t overlay -o \
            "lowerdir=/,upperdir=$top/upper,workdir=$top/work" none "$top/root"
        for d in proc dev; do mount --rbind /$d "$top/root/$d"; done
        mount -t tmpfs none "$top/root/tmp"
        chmod 1777 "$top/root/tmp"
        cp -- "$@" "$top/root/tmp"
        chroot "$top/root" sh -ec "$script"
    """
    script = "\n".join(("cd /tmp", "export DEBIAN_FRONTEND=noninteractive",
                        "unset LD_LIBRARY_PATH") + lines)
    result = run("unshare", "-m", "sh", "-ec", setup, "sh", *files,
                 env=dict(SYSTEM, script=script), timeout=120)
    if "wrong fs type" in result.stderr:
        pytest.skip("no overlay may be mounted here")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def installed_version():
    return run("sh", "-c", "dpkg-query -W 'libpcap0.8*'", env=SYSTEM).stdout


@long
def test_installed(debs, serve):
    """For the whole system, a dumpcap with capabilities, too."""
    need("setcap", "tshark", "setpriv")
    servers = [serve([SAMPLE.read_bytes()]) for _ in range(2)]
    before = installed_version()
    out = in_a_copy(
        # Those that are installed already, and nothing else.
        "dpkg -iO *.deb > log 2>&1 || { cat log; exit 1; }",
        "dpkg --audit",
        f"tcpdump -n -tt -i {servers[0].device}",
        "echo ==",
        "setcap cap_net_raw,cap_net_admin=eip /usr/bin/dumpcap",
        "chmod 755 /usr/bin/dumpcap",
        "HOME=/tmp setpriv --reuid=65534 --regid=65534 --clear-groups "
        f"tshark -n -T fields -e frame.number -i {servers[1].device}",
        files=debs.glob("*.deb"))
    expected = run("tcpdump", "-n", "-tt", "-r", SAMPLE, env=SYSTEM).stdout
    by_tcpdump, by_tshark = out.split("==\n")
    assert by_tcpdump.strip() == expected.strip()
    assert len(by_tshark.split()) == len(expected.splitlines())
    assert installed_version() == before  # this machine's own


@long
def test_removed_again(debs, tmp_path, serve):
    """The distribution's package over ours."""
    result = subprocess.run(["apt-get", "-q", "download",
                             field(the_deb(debs), "Package")], cwd=tmp_path,
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    theirs = next(tmp_path.glob("*.deb"), None)
    if result.returncode != 0 or theirs is None:
        pytest.skip("the archive cannot be reached")
    library = os.path.realpath("/usr/lib/x86_64-linux-gnu/libpcap.so.0.8")
    out = in_a_copy(
        f"dpkg -i --force-depends {the_deb(debs).name} > log 2>&1",
        f"md5sum < {library}",
        f"dpkg -i {theirs.name} > log 2>&1 || {{ cat log; exit 1; }}",
        f"md5sum < {library}",
        "dpkg --audit",
        f"! tcpdump -i {serve([SAMPLE.read_bytes()]).device} 2> log",
        "grep -q 'No such device' log",
        files=[the_deb(debs), theirs])
    ours, restored = out.split("\n")[:2]
    assert ours != restored
    assert restored == run("sh", "-c", f"md5sum < {library}",
                           env=SYSTEM).stdout.strip()


def test_another_source_is_one_line(tmp_path):
    result = make_deb(tmp_path, tmp_path / "deb")
    assert result.returncode == 1
    assert result.stderr == (
        f"make deb: {tmp_path} is not Debian's: configure without "
        "--with-libpcap, or with Debian's source package of libpcap "
        "(FILE.dsc)\n")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    if not (BUILD / "libpcap-source/debian").exists():
        pytest.skip("libpcap's source is not Debian's here")
    mine = tmp_path / "libpcap" / "mine"
    mine.parent.mkdir()
    mine.touch()
    result = make_deb(BUILD / "libpcap-source", tmp_path)
    assert (result.returncode, result.stderr) == (
        1, f"make deb: {tmp_path} has other things in it ({mine.parent}): "
        "name a new folder\n")
    assert mine.exists()


@long
def test_missing_build_dependencies_are_one_line(tmp_path):
    need("dpkg-buildpackage")
    tree = tmp_path / "libpcap"
    subprocess.run(["cp", "-R", BUILD / "libpcap-source", tree], check=True)
    if not (tree / "debian").exists():
        pytest.skip("libpcap's source is not Debian's here")
    control = tree / "debian" / "control"
    control.write_text(control.read_text().replace(
        "Build-Depends: bison",
        "Build-Depends: no-such-package:native (>= 3) | other, bison, "
        "debhelper-compat (= 99), last [linux-any]"))
    # What is there of a run before is no reason to refuse.
    dest = tmp_path / "deb"
    dest.mkdir()
    (dest / f"libpcap0.8_1.10.3-1{SUFFIX}_amd64.deb").touch()
    (dest / "build.log").touch()
    result = make_deb(tree, dest)
    assert result.returncode == 1
    # It may be pasted.
    line = re.fullmatch("make deb: (apt-get install [a-z0-9. -]+)\n",
                        result.stderr)[1]
    assert set(line.split()) >= {"no-such-package", "debhelper", "last"}
    assert "other" not in line
