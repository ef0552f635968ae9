"""make upstream-patch: the series for libpcap's maintainers."""

import re
import shutil

import pytest

from conftest import BUILD, SAMPLE, SYSTEM, need, run
from test_build import exported
from test_versions import (MODULE, OLD, TREE, as_git_has_it, git, long,
                           packets)

new = pytest.mark.skipif(
    OLD, reason="libpcap before 1.10.5: tools/test runs this on a newer one")


def upstream_patch(libpcap, dest):
    return run("make", "-s", "-C", BUILD, "upstream-patch",
               f"LIBPCAP={libpcap}", f"UPSTREAM={dest}", env=SYSTEM)


def do(*command, **kw):
    result = run(*command, env=SYSTEM, timeout=300, **kw)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def patched(tmp_path_factory):
    """A git checkout of libpcap with the series in it."""
    need("git")
    top = tmp_path_factory.mktemp("upstream")
    tree = as_git_has_it(top / "libpcap")
    result = upstream_patch(tree, top / "series")
    assert result.returncode == 0, result.stderr
    assert git(tree, "status", "--porcelain") == ""
    git(tree, "am", "--whitespace=error", *sorted((top / "series").iterdir()))
    return tree


@new
def test_a_folder_with_other_things_is_left_alone(tmp_path):
    need("git")
    series = tmp_path / "series"
    for _ in range(2):  # the series of before is replaced
        assert upstream_patch(TREE, series).returncode == 0
        assert [p.name[:4] for p in sorted(series.iterdir())] == \
            [f"{n:04}" for n in range(1, len(list(series.iterdir())) + 1)]
    mine = series / "0001-mine.patch"
    mine.touch()
    before = set(series.iterdir())
    result = upstream_patch(TREE, series)
    assert f"upstream-patch: {series} has other things in it: name a new " \
        "folder\n" in result.stderr
    assert set(series.iterdir()) == before


def changed(tree):
    return git(tree, "log", "--format=", "--name-only", "HEAD",
               "--not", git(tree, "rev-list", "--max-parents=0",
                            "HEAD").strip()).split()


@pytest.fixture
def checkout(patched, tmp_path):
    git(patched, "clone", "-q", patched, tmp_path / "libpcap")
    return tmp_path / "libpcap"


def read_by(library, tmp_path, serve):
    (tmp_path / "lib").mkdir()
    for name in ("libpcap.so.0.8", "libpcap.so.1"):
        (tmp_path / "lib" / name).symlink_to(library)
    env = dict(SYSTEM, LD_LIBRARY_PATH=str(tmp_path / "lib"))
    return packets(env, "-i", serve([SAMPLE.read_bytes()]).device)


def check_page(page, config):
    """Nothing is left to substitute, and it names the file that is read."""
    text = page.read_text()
    assert ".Dt PCAP-TCP 7\n" in text
    assert "@" not in text.replace("TCP@", "")
    folder = re.search(r'#define PCAP_TCP_SYSCONFDIR "(/.+)"',
                       config.read_text())[1]
    assert set(re.findall(r"\S+/pcap-tcp/devices", text)) == \
        {f"{folder}/pcap-tcp/devices"}


@new
@long
def test_autotools(checkout, tmp_path, serve):
    need("autoreconf")
    do("autoreconf", "-f", cwd=checkout)
    do("./configure", "-q", "-C", cwd=checkout)
    do("make", "-s", "-j2", cwd=checkout)
    library = next(checkout.glob("libpcap.so.*.*"))
    assert read_by(library, tmp_path, serve) == packets(SYSTEM, "-r", SAMPLE)
    assert exported(library) == exported(BUILD / "lib" / "libpcap.so")
    # What it needs in the tarball is there.
    do("make", "-s", "releasetar", cwd=checkout)
    tarball = next(checkout.glob("libpcap-*.tar.*"))
    names = {name.partition("/")[2]
             for name in do("tar", "-tf", tarball).splitlines()}
    assert names >= {name for name in changed(checkout)
                     if not name.startswith(".")}
    do("make", "-s", "install", f"DESTDIR={tmp_path}/root", cwd=checkout)
    check_page(next((tmp_path / "root").rglob("man7/pcap-tcp.7")),
               checkout / "config.h")
    # Where there is no epoll, the module stays out.
    no_epoll = ["./configure", "-q", "-C", "pcap_cv_have_epoll=no"]
    do(*no_epoll, cwd=checkout)
    assert "#define PCAP_SUPPORT_TCP" not in \
        (checkout / "config.h").read_text()
    assert "pcap-tcp.c" not in re.search(
        "^MODULE_C_SRC.*", (checkout / "Makefile").read_text(), re.M)[0]
    result = run(*no_epoll, "--enable-tcp", env=SYSTEM, cwd=checkout)
    assert result.returncode != 0
    assert "--enable-tcp was given, but there is no epoll" in result.stderr


@new
@long
def test_cmake(checkout, tmp_path, serve):
    need("cmake")
    do("cmake", "-S", checkout, "-B", tmp_path / "b")
    do("cmake", "--build", tmp_path / "b", "-j2", "--target", "pcap",
       "pcap_static")
    library = next((tmp_path / "b").glob("libpcap.so.*.*"))
    assert read_by(library, tmp_path, serve) == packets(SYSTEM, "-r", SAMPLE)
    assert exported(library) == exported(BUILD / "lib" / "libpcap.so")
    do("cmake", "--install", tmp_path / "b", "--prefix", tmp_path / "root")
    check_page(next((tmp_path / "root").rglob("man7/pcap-tcp.7")),
               tmp_path / "b" / "config.h")
    # Where there is no epoll, the module stays out.
    do("cmake", "-DHAVE_SYS_EPOLL_H=0", tmp_path / "b")
    assert "#define PCAP_SUPPORT_TCP" not in \
        (tmp_path / "b" / "config.h").read_text()


@new
def test_as_the_maintainers_ask_for_it(patched):
    names = changed(patched)
    assert {"CHANGES", "CMakeLists.txt", "Makefile.in", "cmakeconfig.h.in",
            "configure.ac", "pcap-tcp.manmisc.in", "pcap.c"} <= set(names)
    assert set(MODULE) - set(names) == {"pcap-tcp-compat.h"}
    for name in MODULE:
        if name == "pcap-tcp-compat.h":
            continue
        text = (patched / name).read_text()
        assert "compat" not in text and "SPDX" not in text, name
        assert "Redistribution and use in source" in text
    # Lists stay as they are ordered.
    for start in (r"^\tpcap-snf\.h \\\n", r"^MANMISC = \\\n"):
        rest = re.split(start, (patched / "Makefile.in").read_text(),
                        flags=re.M)[1]
        entries = re.match(r"(?:\t(?:pcap-\S+)(?: \\)?\n)+", rest)[0].split()
        entries = [e for e in entries if e != "\\"]
        assert entries == sorted(entries)
        assert any(e.startswith("pcap-tcp") for e in entries)


@new
def test_page_of_the_manual(patched):
    need("mandoc")
    result = run("mandoc", "-Tlint", patched / "pcap-tcp.manmisc.in",
                 env=SYSTEM)
    said = [line for line in (result.stdout + result.stderr).splitlines()
            if not re.search(r"referenced manual|mandoc\.db|MAN_MISC_INFO",
                             line)]
    assert said == []


def test_refusals(tmp_path):
    need("git")
    result = upstream_patch("", tmp_path / "series")
    assert result.stdout == "make upstream-patch LIBPCAP=DIR\n"
    result = upstream_patch(BUILD / "libpcap", tmp_path / "series")
    assert "has the module already" in result.stderr
    result = upstream_patch(tmp_path, tmp_path / "series")
    assert f"there is no libpcap in {tmp_path}" in result.stderr
    old = tmp_path / "old"
    shutil.copytree(TREE, old)
    (old / "pcap-int.h").write_text(
        (old / "pcap-int.h").read_text().replace("pcapint_", "pcap_"))
    result = upstream_patch(old, tmp_path / "series")
    assert f"{old} is too old" in result.stderr
    assert not (tmp_path / "series").exists()
