"""The library that was built, and the tools that built it."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import (ASAN, BUILD, HERE, READER, SAMPLE, SYSTEM, need,
                      run, same_version, wait_until)
from pcapfile import header, numbered, pcap, record

SOURCE = HERE.parent
LIBRARY = BUILD / "lib" / "libpcap.so.0.8"
SYSTEM_LIBRARY = next((line.split("=> ")[1].strip() for line in
                       subprocess.run(["/sbin/ldconfig", "-p"], text=True,
                                      stdout=subprocess.PIPE).stdout
                       .splitlines() if "libpcap.so.0.8 " in line), None)


def exported(library):
    result = run("nm", "-D", "--defined-only", library, env=SYSTEM)
    return {line.split()[2] for line in result.stdout.splitlines()
            if line.split()[2].startswith(("pcap_", "bpf_", "eproto"))}


def needed(library):
    result = run("readelf", "-d", library, env=SYSTEM)
    return set(re.findall(r"NEEDED.*\[(.*)\]", result.stdout))


def test_names_of_the_library():
    for name in ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so"):
        assert (BUILD / "lib" / name).exists()


def test_exports_what_the_system_library_exports():
    if not (SYSTEM_LIBRARY and same_version()):
        pytest.skip("the system has no libpcap of this version")
    assert exported(LIBRARY) == exported(SYSTEM_LIBRARY)


def test_needs_what_the_system_library_needs():
    if ASAN or not (SYSTEM_LIBRARY and same_version()):
        pytest.skip("a sanitizer build, or the system has no libpcap of this "
                    "version")
    assert needed(LIBRARY) == needed(SYSTEM_LIBRARY)


def test_same_devices_as_the_system_library():
    if not same_version():
        pytest.skip("the system has no libpcap of this version")
    for option in ("-D", "--list-data-link-types"):
        assert run("tcpdump", option).stdout == \
            run("tcpdump", option, env=SYSTEM).stdout


def test_a_capture_on_lo_still_works(start):
    if os.getuid() != 0:
        pytest.skip("needs root, as any capture on an interface does")
    dump = start("tcpdump", "-n", "-l", "-c", "1", "-i", "lo", "udp port 9")
    dump.wait_for("listening on", lines=dump.errors)

    def captured():
        subprocess.run(["sh", "-c", "echo x | nc -u -q 0 127.0.0.1 9"])
        return dump.process.poll() is not None

    wait_until(captured)
    assert dump.end() == 0


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("source", sorted(
    p.name for p in SOURCE.glob("pcap-tcp*.c")))
def test_no_warnings(compiler, source, tmp_path):
    need(compiler)
    result = run(compiler, "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Wshadow",
                 "-Wconversion", "-Wmissing-prototypes", "-Wundef", "-Werror",
                 "-DHAVE_CONFIG_H", "-DBUILDING_PCAP", "-I", BUILD / "libpcap",
                 "-I", SOURCE, "-c", "-o", tmp_path / "o", SOURCE / source,
                 env=SYSTEM)
    assert result.returncode == 0, result.stderr


class Workshop:
    """A copy of the source and of its build, to be edited."""

    def __init__(self, top):
        self.source, self.build = top / "source", top / "build"
        shutil.copytree(SOURCE, self.source, symlinks=True, ignore=lambda
                        folder, names: [n for n in names if n == ".git" or
                                        n.startswith("build")
                                        and n != "build-aux"])
        self.build.mkdir()
        for name in ("Makefile", "config.status", "libpcap-source.stamp",
                     "libpcap.stamp", "module.list", "lib.stamp"):
            shutil.copy2(BUILD / name, self.build)
        for name in ("libpcap", "lib"):
            shutil.copytree(BUILD / name, self.build / name, symlinks=True)
        makefile = self.build / "Makefile"
        makefile.write_text(re.sub(
            "(?m)^((abs_|top_)?srcdir|VPATH) = .*", rf"\1 = {self.source}",
            makefile.read_text()))
        # In make distcheck nobody may write to the original.
        subprocess.run(["chmod", "-R", "u+w", top], check=True)

    def files(self, pattern):
        return sorted(p.name for p in self.source.glob(pattern))

    def edit(self, name):
        path = self.source / name
        path.write_text(path.read_text() + "\n")

    def times(self):
        return {re.sub(r"(_pic)?\.o$", ".c", p.name): p.stat().st_mtime_ns
                for p in (self.build / "libpcap").glob("*.o")}

    def make(self):
        """Returns the names of the files that were compiled."""
        before = self.times()
        result = run("make", "-s", "-C", self.build, "lib.stamp", env=SYSTEM,
                     timeout=120)
        assert result.returncode == 0, result.stdout + result.stderr
        return {name for name, time in self.times().items()
                if time != before.get(name)}

    def including(self, header):
        """The files that have this header, by others, too."""
        texts = {name: (self.source / name).read_text()
                 for name in self.files("pcap-tcp*.[ch]")}
        found, more = set(), {header}
        while more - found:
            found |= more
            more = {name for name, text in texts.items() if found & set(
                re.findall(r'#include "(pcap-tcp[^"]*)"', text))}
        return {name for name in found if name.endswith(".c")}

    def library(self):
        return run("nm", self.build / "lib" / "libpcap.so",
                   env=SYSTEM).stdout


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    made = Workshop(tmp_path_factory.mktemp("workshop"))
    assert made.make() == set()
    return made


def test_an_edited_file_is_compiled_alone(workshop):
    for name in ("pcap-tcp.c", workshop.files("pcap-tcp-*.c")[0]):
        workshop.edit(name)
        assert workshop.make() == {name}


def test_an_edited_header_compiles_what_includes_it(workshop):
    headers = workshop.files("pcap-tcp-*.h")
    for header in (min(headers, key=lambda h: len(workshop.including(h))),
                   max(headers, key=lambda h: len(workshop.including(h)))):
        workshop.edit(header)
        assert workshop.make() == workshop.including(header)


def test_a_renamed_header(workshop):
    header = workshop.files("pcap-tcp-*.h")[0]
    renamed = header.replace("pcap-tcp-", "pcap-tcp-new-")
    (workshop.source / header).rename(workshop.source / renamed)
    for name in workshop.files("pcap-tcp*.[ch]"):
        path = workshop.source / name
        text = path.read_text()
        if header in text:
            path.write_text(text.replace(header, renamed))
    assert workshop.make() >= workshop.including(renamed)


def test_a_file_more_and_a_file_less(workshop):
    new = workshop.source / "pcap-tcp-more.c"
    new.write_text("int pcap_tcp_more;\n")
    assert workshop.make() == {new.name}
    assert "pcap_tcp_more" in workshop.library()
    new.unlink()
    assert workshop.make() == set()
    assert "pcap_tcp_more" not in workshop.library()
    assert new.name not in workshop.times()


def test_patch_applies_without_fuzz(tmp_path):
    tree = tmp_path / "libpcap"
    shutil.copytree(BUILD / "libpcap-source", tree)
    result = run("patch", "-d", tree, "-p1", "-F0", "-i",
                 SOURCE / "patches" / "libpcap.patch", env=SYSTEM)
    assert result.returncode == 0, result.stdout
    assert not list(tree.glob("**/*.rej"))


# tools/check-format


@pytest.fixture
def formatted(tmp_path):
    """formatted(text): what check-format says to a file whose text was
    different when it was committed, and its status."""
    need("clang-format", "git")
    (tmp_path / "tools").mkdir()
    tool = shutil.copy(SOURCE / "tools" / "check-format", tmp_path / "tools")
    shutil.copy(SOURCE / ".clang-format", tmp_path)
    source = tmp_path / "x.c"

    def check(text, *base, commit=True):
        if commit:
            source.write_text("int*old_and_odd;\n")
            for command in (["init", "-q", "-b", "main"], ["add", "-A"],
                            ["-c", "user.name=x", "-c", "user.email=x@x",
                             "commit", "-q", "--allow-empty", "-m", "x"]):
                run("git", "-C", tmp_path, *command, env=SYSTEM)
        source.write_text("int*old_and_odd;\n" + text)
        result = run(tool, *(base or ["HEAD"] * commit), env=SYSTEM)
        return result.returncode, result.stdout + result.stderr

    return check


GOOD = """
static int
twice(int n,
    int many)
{
\tif (n > 0 &&
\t    many)
\t\treturn (2 * n);\t/* so */
\treturn (0);
}
"""


def test_format_that_is_right(formatted):
    status, said = formatted(GOOD)
    assert status == 0, said
    assert said.startswith("check-format: 10 lines ")


@pytest.mark.parametrize("right,wrong,place", [
    ("static int\n", "static int ", "-static int twice("),
    (")\n{", ") {", "-twice(int n, int many) {"),
    ("\treturn (0)", "        return (0)", "x.c:10: "),
    ("\treturn (0)", "\t\treturn (0)", "-\t\treturn (0);"),
    ("if (", "if(", "-\tif(n"),
    ("n > 0", "n>0", "-\tif (n>0"),
    ("\t    many", "\t  many", "x.c:8: "),
    ("    int many", "  int many", "x.c:5: "),
    ("so", "so " * 30, "x.c:9: "),
])
def test_format_that_is_wrong(formatted, right, wrong, place):
    status, said = formatted(GOOD.replace(right, wrong, 1))
    assert status == 1
    assert place in said
    assert "old_and_odd" not in said


def test_format_with_nothing_to_compare_with(formatted):
    odd = "int*x;\n"
    assert formatted(odd, commit=False) == \
        (0, "check-format: not checked: this is no git checkout\n")
    assert formatted(odd)[0] == 1
    # There is one commit.
    assert formatted(odd, commit=False) == \
        (0, "check-format: not checked: there is no commit HEAD^ here\n")
    assert formatted(odd, "no-such") == \
        (0, "check-format: not checked: there is no commit no-such here\n")


# tools/get-libpcap


def get_libpcap(source, dest, **env):
    return run(SOURCE / "tools" / "get-libpcap", source, dest,
               env=dict(SYSTEM, **env), timeout=120)


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """A Debian archive on disk, with one source package called libpcap."""
    need("dpkg-source", "dpkg-scansources", "apt-get")
    top = tmp_path_factory.mktemp("archive")
    tree = top / "libpcap-1.10.3"
    (tree / "debian" / "source").mkdir(parents=True)
    (tree / "VERSION").write_text("1.10.3\n")
    (tree / "pcap-int.h").write_text("/* as it was */\n")
    subprocess.run(["tar", "-czf", top / "libpcap_1.10.3.orig.tar.gz", "-C",
                    top, "--exclude=debian", tree.name], check=True)
    debian = tree / "debian"
    (debian / "source" / "format").write_text("3.0 (quilt)\n")
    (debian / "control").write_text(
        "Source: libpcap\nMaintainer: x <x@example.com>\n"
        "Standards-Version: 4.6.2\n\nPackage: libpcap0.8\nArchitecture: any\n"
        "Description: x\n x\n")
    (debian / "changelog").write_text(
        "libpcap (1.10.3-1) unstable; urgency=medium\n\n  * x\n\n"
        " -- x <x@example.com>  Sat, 14 Jan 2023 18:43:54 +0100\n")
    (debian / "patches").mkdir()
    (debian / "patches" / "series").write_text("fix.diff\n")
    (debian / "patches" / "fix.diff").write_text(
        "--- a/pcap-int.h\n+++ b/pcap-int.h\n@@ -1 +1 @@\n"
        "-/* as it was */\n+/* as Debian has it */\n")
    # Only the description and the tarballs are needed from here on.
    (tree / "pcap-int.h").write_text("/* as Debian has it */\n")
    subprocess.run(["dpkg-source", "-b", tree.name], cwd=top, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(tree)
    with open(top / "Sources", "wb") as sources:
        subprocess.run(["dpkg-scansources", "."], cwd=top, check=True,
                       stdout=sources, stderr=subprocess.DEVNULL)
    return top


def apt_config(tmp_path, name, text):
    """An apt whose only source is this one, and which has hooks."""
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / name).write_text(text)
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/none";\n'
        f'Dir::Etc::sourceparts "{parts}";\n'
        f'APT::Update::Post-Invoke {{ "touch {tmp_path}/hook"; }};\n')
    return str(config)


@pytest.mark.parametrize("name,text", [
    ("a.list", "deb [trusted=yes] file:{0} ./\n"),
    ("a.list", "# deb file:/nowhere ./\n  deb\t[trusted=yes] file:{0} ./ # x\n"
               "deb [trusted=yes] file:/nowhere ./\n"),
    ("a.sources", "Types: deb\nURIs: file:{0}\nSuites: ./\nTrusted: yes\n"),
    ("a.sources", "Enabled: no\nTypes: deb\nURIs: file:/nowhere\nSuites: ./\n"
                  "\nTypes: deb deb-src\nURIs: file:{0}\nSuites: ./\n"
                  "Trusted: yes\n"),
], ids=["one line", "one line, odd", "deb822", "deb822, odd"])
def test_source_package_by_apt(archive, tmp_path, name, text):
    config = apt_config(tmp_path, name, text.format(archive))
    dest = tmp_path / "dest"
    before = {p: p.stat().st_mtime_ns for p in Path("/etc/apt").rglob("*")}
    result = get_libpcap("", dest, APT_CONFIG=config)
    assert result.returncode == 0, result.stderr
    assert "libpcap 1.10.3" in result.stdout
    assert (dest / "pcap-int.h").read_text() == "/* as Debian has it */\n"
    assert not (tmp_path / "hook").exists()
    assert before == {p: p.stat().st_mtime_ns
                      for p in Path("/etc/apt").rglob("*")}


def test_source_package_by_apt_as_an_ordinary_user(archive, tmp_path):
    if os.getuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    config = apt_config(tmp_path, "a.list",
                        f"deb [trusted=yes] file:{archive} ./\n")
    for path in (tmp_path, archive):
        while path != Path(tempfile.gettempdir()):
            path.chmod(0o755)
            path = path.parent
    tool = tmp_path / "get-libpcap"
    for name in (tool.name, "private-apt"):
        shutil.copy(SOURCE / "tools" / name, tmp_path / name)
    tmp_path.chmod(0o777)
    result = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 tool, "", tmp_path / "dest",
                 env=dict(SYSTEM, APT_CONFIG=config, HOME="/"), timeout=120)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "dest" / "pcap-int.h").exists()


def test_no_source_package_is_one_line(tmp_path):
    config = apt_config(tmp_path, "a.list", "")
    result = get_libpcap("", tmp_path / "dest", APT_CONFIG=config)
    assert result.returncode == 1
    assert "--with-libpcap" in result.stderr.splitlines()[-1]


def test_no_apt_is_one_line(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "rm", "cat"):
        (tools / tool).symlink_to(shutil.which(tool))
    result = get_libpcap("", tmp_path / "dest", PATH=str(tools))
    assert result.returncode == 1
    assert result.stderr == \
        "get-libpcap: no apt here: get libpcap's source (1.10.0 or newer) " \
        "and pass ./configure --with-libpcap=DIR or TARBALL\n"


def test_source_from_a_folder_and_a_tarball(tmp_path):
    tree = BUILD / "libpcap-source"
    result = get_libpcap(tree, tmp_path / "folder")
    assert result.returncode == 0, result.stderr
    tarball = tmp_path / "libpcap.tar.gz"
    subprocess.run(["tar", "-czf", tarball, "-C", tree.parent, tree.name],
                   check=True)
    result = get_libpcap(tarball, tmp_path / "tarball")
    assert result.returncode == 0, result.stderr
    for copy in ("folder", "tarball"):
        assert (tmp_path / copy / "pcap.c").read_bytes() == \
            (tree / "pcap.c").read_bytes()


def test_an_empty_option_is_none(tmp_path):
    result = run(SOURCE / "configure", "-q", "--with-libpcap=", cwd=tmp_path,
                 env=SYSTEM)
    assert result.returncode == 0, result.stderr
    assert "\nLIBPCAP_SOURCE = \n" in (tmp_path / "Makefile").read_text()


def test_source_that_is_none_or_too_old(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = get_libpcap(empty, tmp_path / "dest")
    assert result.stderr == f"get-libpcap: there is no libpcap in {empty}\n"
    (empty / "pcap-int.h").touch()
    (empty / "VERSION").write_text("1.9.1\n")
    result = get_libpcap(empty, tmp_path / "dest")
    assert result.stderr == \
        "get-libpcap: libpcap 1.9.1 is too old: 1.10.0 or newer\n"


# Memory


# A look-up's thread may not have ended when the program does, and what the C
# library has for it is then possibly lost.
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
            "--errors-for-leak-kinds=definite"]
SCENES = {
    "whole": ([SAMPLE.read_bytes()], "-2"),
    "bytewise": ([1, SAMPLE.read_bytes()[:600]], "-1"),
    "cut": ([header() + record(*numbered(1)[0])[:50], "rst"], "-1"),
    "garbage": ([header() + b"\xff" * 100], "-1"),
    "large": ([header(snaplen=0, linktype=231) +
               record(1, 2, b"x" * 700000)], "-2"),
}


@pytest.mark.parametrize("mode", ["loop", "next", "epoll"])
@pytest.mark.parametrize("scene", SCENES)
def test_valgrind(serve, scene, mode):
    need("valgrind")
    if ASAN:
        pytest.skip("valgrind can't run a sanitizer build")
    script, status = SCENES[scene]
    server = serve(script, [pcap(numbered(3))])
    result = run(*VALGRIND, READER, "-m", mode, "-e", "2", "-f", "len > 0",
                 server.device, timeout=60)
    assert result.returncode == 0, result.stderr
    assert f"END {status} " in result.stdout


def test_valgrind_opening(serve):
    need("valgrind")
    if ASAN:
        pytest.skip("valgrind can't run a sanitizer build")
    for device in ("tcp:127.0.0.1:1", "tcp:no.such.invalid", "tcp:", "tcp:h+",
                   serve([b"nonsense"]).device,
                   serve(["hold"]).device + ",timeout=1"):
        # The thread of a look-up may be about to end, and not have given back
        # what the C library took: then it is tried again.
        for _ in range(10):
            result = run(*VALGRIND, READER, device, timeout=60)
            if "lookup_thread" not in result.stderr:
                break
        assert result.returncode == 1, result.stderr
