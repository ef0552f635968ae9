"""Every libpcap that --with-libpcap takes: where it comes from, as what."""

import os
import shutil
import subprocess

import pytest

from conftest import ASAN, BUILD, HERE, SAMPLE, SYSTEM, need, run
from test_build import apt_config, archive, get_libpcap  # noqa: F401

SOURCE = HERE.parent
OLD = "pcapint_" not in (BUILD / "libpcap-source/pcap-int.h").read_text()
TREE = BUILD / "libpcap-source"
MODULE = sorted(p.name for p in SOURCE.glob("pcap-tcp*.[ch]"))
LONG = "PCAP_TCP_LONG" in os.environ and not ASAN
long = pytest.mark.skipif(
    not LONG, reason="takes long: tools/test runs it, with PCAP_TCP_LONG=1")


def git(tree, *command):
    result = run("git", "-C", tree, "-c", "user.name=x", "-c",
                 "user.email=x@example.com", *command, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    return result.stdout


def as_git_has_it(dest):
    """A git checkout: nothing that the release process makes, no Debian."""
    shutil.copytree(TREE, dest, ignore=shutil.ignore_patterns(
        "configure", "config.h.in", "debian", ".pc", "autom4te.cache"))
    git(dest, "init", "-q")
    git(dest, "add", "-A", "-f")
    git(dest, "commit", "-q", "-m", "x")
    return dest


def build(source, folder):
    """By a relative path, which may have a space in it."""
    folder.mkdir(parents=True)
    (folder.parent / "source").symlink_to(SOURCE)
    for command in (["../source/configure", "-q", f"--with-libpcap={source}"],
                    ["make", "-s", "lib.stamp"]):
        result = run(*command, cwd=folder, env=SYSTEM, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
    return dict(SYSTEM, LD_LIBRARY_PATH=str(folder / "lib"))


def packets(env, *source):
    result = run("tcpdump", "-n", "-tt", *source, env=env)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# A git checkout is what tools/test builds all of the newer version from.


@long
def test_a_release_tarball(serve, tmp_path):
    if not (TREE / "configure").exists():
        pytest.skip("this build was made from a git checkout")
    tarball = tmp_path / "libpcap 1.tar.gz"
    subprocess.run(["tar", "-czf", tarball, "--exclude=debian",
                    "--exclude=.pc", "-C", TREE.parent, TREE.name],
                   check=True)
    env = build(tarball, tmp_path / "a folder" / "build")
    assert packets(env, "-i", serve([SAMPLE.read_bytes()]).device) == \
        packets(SYSTEM, "-r", SAMPLE)


def test_a_folder_that_has_the_device_already(tmp_path):
    result = get_libpcap(BUILD / "libpcap", tmp_path / "dest")
    assert result.returncode == 1
    assert result.stderr == (
        f"get-libpcap: {BUILD}/libpcap has the tcp: device already: "
        "give libpcap as it comes\n")
    assert not list((tmp_path / "dest").glob("*.o"))


@long
def test_cmake(serve, tmp_path):
    """libpcap's other build system makes a library that does the same."""
    need("cmake")
    tree = tmp_path / "libpcap"
    shutil.copytree(BUILD / "libpcap", tree,
                    ignore=shutil.ignore_patterns("*.o", "*.so*", "config.h",
                                                  "grammar.[ch]",
                                                  "scanner.[ch]"))
    for command in (["cmake", "-S", tree, "-B", tmp_path / "b",
                     "-DCMAKE_BUILD_TYPE=Release"],
                    ["cmake", "--build", tmp_path / "b", "-j2", "--target",
                     "pcap", "pcap_static"]):
        result = run(*command, env=SYSTEM, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
    library = next((tmp_path / "b").glob("libpcap.so.*.*"))
    (tmp_path / "lib").mkdir()
    for name in ("libpcap.so.0.8", "libpcap.so.1"):
        (tmp_path / "lib" / name).symlink_to(library)
    env = dict(SYSTEM, LD_LIBRARY_PATH=str(tmp_path / "lib"))
    assert packets(env, "-i", serve([SAMPLE.read_bytes()]).device) == \
        packets(SYSTEM, "-r", SAMPLE)
    # Nothing of ours may be exported by this one, either.
    names = run("nm", "-D", "--defined-only", library, env=SYSTEM).stdout
    assert "pcap_tcp" not in names and "pcap_create" in names


# tools/get-libpcap


@pytest.mark.parametrize("name,text", [
    ("a.list", "deb-src\t[trusted=yes  arch=amd64] \t file:{0} ./\n"),
    ("a.list", "deb [trusted=yes] file:{0} ./ # x\n# deb file:/no x main\n"),
    ("a.sources", "Types: deb\nURIs: file:{0}\nSuites: ./\nTrusted: yes\n"),
], ids=["one line", "two lines", "deb822"])
def test_source_package_of_another_suite(archive, tmp_path,  # noqa: F811
                                         name, text):
    other = tmp_path / "archive"
    shutil.copytree(archive, other / "next")
    (other / "next" / "Sources").write_bytes(b"")
    with open(other / "next" / "Sources", "wb") as sources:
        subprocess.run(["dpkg-scansources", "next"], cwd=other, check=True,
                       stdout=sources, stderr=subprocess.DEVNULL)
    config = apt_config(tmp_path, name, text.format(other))
    for suite, status in (("next/", 0), ("last/", 1)):
        result = get_libpcap(f"apt:{suite}", tmp_path / "dest",
                             APT_CONFIG=config)
        assert result.returncode == status, result.stderr
        assert ("libpcap 1.10.3, Debian source package 1.10.3-1\n"
                in result.stdout) == (status == 0)


def test_source_package_from_its_files(archive, tmp_path):  # noqa: F811
    dsc = next(archive.glob("*.dsc"))
    result = get_libpcap(dsc, tmp_path / "dest")
    assert result.returncode == 0, result.stderr
    assert "package 1.10.3-1" in result.stdout
    assert "as Debian has it" in (tmp_path / "dest/pcap-int.h").read_text()
    assert not (tmp_path / "dest.log").exists()
