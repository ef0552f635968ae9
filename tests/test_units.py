"""The unit tests, which are programs of their own (cmocka)."""

import os
import re
import shutil
from pathlib import Path

import pytest

from conftest import ASAN, BUILD, HERE, OURS, SYSTEM, need, run

SOURCE = HERE.parent
NAMES = sorted(path.stem for path in HERE.glob("unit-*.c"))
# What a pure file and those that it needs may take from the C library.
PURE = sorted(path.stem for path in SOURCE.glob("pcap-tcp-*.h")
              if re.search(r"\bPure\b", path.read_text()))
NO_IO = re.compile(r"(mem|str)\w+|v?snprintf|malloc|calloc|realloc|free|"
                   r"__(\w+_chk|stack_chk_fail|errno_location)")
# Debian's architecture, the compiler's prefix, qemu's name.
ELSEWHERE = {
    "big-endian": ("s390x", "s390x-linux-gnu", "qemu-s390x"),
    "32 bits": ("i386", "i686-linux-gnu", "qemu-i386"),
    "ARM": ("arm64", "aarch64-linux-gnu", "qemu-aarch64"),
}


def built(name):
    program = BUILD / "tests" / name
    if not program.exists():
        pytest.skip("built without cmocka (libcmocka-dev)")
    return program


def module_files(program):
    """Those that the linker took for it."""
    symbols = run("readelf", "-sW", program, env=SYSTEM).stdout
    return sorted(set(re.findall(r"\bFILE\b.* (pcap-tcp\S*\.c)$", symbols,
                                 re.M)))


@pytest.mark.parametrize("name", NAMES)
def test_unit(name):
    program = built(name)
    env = {k: v for k, v in OURS.items() if k != "LD_PRELOAD"}
    result = run(program, env=env)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_has_its_file_and_not_libpcap(name):
    """The files that know libpcap are not among those that it takes."""
    files = module_files(built(name))
    # unit-peer-retry, too, is one of pcap-tcp-peer.c.
    assert any(name.startswith(file.replace("pcap-tcp", "unit")[:-2])
               for file in files)
    assert not {"pcap-tcp.c", "pcap-tcp-read.c",
                "pcap-tcp-linktype.c"} & set(files)
    assert "libpcap" not in run("readelf", "-dW", built(name),
                                env=SYSTEM).stdout


def undefined(*args):
    return {line.split()[0].split("@")[0]
            for line in run("nm", "-P", "-u", *args, env=SYSTEM).stdout
            .splitlines()}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_file_needs_neither_libpcap_nor_the_system(name, tmp_path):
    """An object with those of the module that it needs, and the C library."""
    if ASAN:
        pytest.skip("a sanitizer build takes more from the C library")
    objects = [path for path in (BUILD / "libpcap" / f"{name}_pic.o",
                                 BUILD / "libpcap" / f"{name}.o")
               if path.exists()]
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return (0); }\n")
    programs = [tmp_path / "without", tmp_path / "with"]
    for program, linked in zip(programs,
                               ([], [*objects,
                                     BUILD / "libpcap" / "pcap-tcp.a"])):
        result = run("gcc", "-o", program, empty, *linked, env=SYSTEM)
        assert result.returncode == 0, result.stderr
    assert f"{name}.c" in module_files(programs[1])
    assert {symbol for symbol in undefined(programs[1]) -
            undefined(programs[0]) if not NO_IO.fullmatch(symbol)} == set()


# There is no OpenSSL for these machines.
@pytest.mark.parametrize("name", [n for n in NAMES if n != "unit-tls"])
@pytest.mark.parametrize("host", ELSEWHERE)
def test_unit_elsewhere(name, host, tmp_path):
    architecture, triplet, qemu = ELSEWHERE[host]
    cmocka = os.environ.get("PCAP_TCP_CMOCKA")
    if not cmocka:
        pytest.skip("PCAP_TCP_CMOCKA is not set: tools/test runs this")
    need(f"{triplet}-gcc", qemu)
    usr = Path(cmocka) / architecture / "usr"
    library = next(usr.glob("lib/*/libcmocka.so.0"), None)
    if library is None:
        pytest.skip(f"the archive has no cmocka for {architecture}")
    # Another machine's filters are in another file.
    files = {file for taken in module_files(built(name))
             for file in (taken, *(p.name for p in SOURCE.glob(
                 taken.replace(".c", "-*.c"))))}
    # That of the build has OpenSSL.
    (tmp_path / "config.h").touch()
    program = tmp_path / name
    result = run(f"{triplet}-gcc", "-std=gnu99", "-g", "-O2", "-Wall",
                 "-Wextra", "-Wconversion", "-Werror",
                 "-I", tmp_path, "-I", usr / "include",
                 "-I", BUILD / "libpcap", "-I", SOURCE, "-o", program,
                 HERE / f"{name}.c", *[SOURCE / file for file in sorted(files)],
                 library, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    # qemu looks for the libraries in one folder.
    root = tmp_path / "root"
    shutil.copytree(f"/usr/{triplet}/lib", root / "lib", symlinks=True)
    shutil.copy(library, root / "lib")
    # Slow enough without more than usual: machine code of random filters,
    # translated one by one, takes minutes.
    result = run(qemu, "-L", root, "-U", "PCAP_TCP_LONG", "-E",
                 f"LD_LIBRARY_PATH={root}/lib", program, env=SYSTEM,
                 timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[  PASSED  ]" in result.stderr + result.stdout
