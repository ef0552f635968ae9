"""pcap-tcp-run, with real programs that are set up as people have them."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import ASAN, BUILD, SAMPLE, SYSTEM, in_namespace, need, run
from test_build import SYSTEM_LIBRARY

WRAPPER = BUILD / "pcap-tcp-run"
LIBRARY = BUILD / "lib" / "libpcap.so.0.8"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
PACKAGE = "install the package that pcap-tcp's 'make deb' makes"

pytestmark = [
    pytest.mark.skipif(ASAN, reason="a sanitizer build has to be loaded "
                                    "first"),
    pytest.mark.skipif(not SYSTEM_LIBRARY,
                       reason="no program has libpcap.so.0.8 here")]


def wrapped(*command, before=(), env=SYSTEM):
    return run(*before, WRAPPER, *command, env=env)


def refusal(result, status=126):
    """What it said, in the one line that it may say."""
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith("pcap-tcp-run: ")
    assert result.stderr.count("\n") == 1
    return result.stderr[len("pcap-tcp-run: "):-1]


@pytest.fixture
def folder(tmp_path):
    """One that an ordinary user may enter, with the build."""
    path = tmp_path
    while path != Path(tempfile.gettempdir()):
        path.chmod(0o755)
        path = path.parent
    return tmp_path


@pytest.fixture
def copy(folder):
    """copy(PROGRAM): one's own, which may be given privileges."""
    def copier(name):
        need(name)
        path = folder / name
        shutil.copy(shutil.which(name, path="/usr/bin:/usr/sbin"), path)
        return path

    return copier


@pytest.fixture
def nobody(folder):
    """Words before a command that make it an ordinary user's."""
    need("setpriv")
    if os.getuid() != 0:
        pytest.skip("needs root, to give a program privileges")
    result = run(*NOBODY, WRAPPER, "--help", env=SYSTEM)
    if result.returncode != 0:
        pytest.skip("an ordinary user cannot read the build")
    return NOBODY


def capable(program):
    need("setcap")
    subprocess.run(["setcap", "cap_net_raw=eip", program], check=True,
                   env=dict(SYSTEM, PATH=os.environ["PATH"] + ":/usr/sbin"))
    return program


def script(folder, *lines):
    path = folder / "script"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def compiled(folder, text, *options, compiler="gcc"):
    (folder / "x.c").write_text(text)
    subprocess.run([compiler, "-o", folder / "x", folder / "x.c", *options],
                   check=True)
    return folder / "x"


def test_reads_a_device(serve):
    result = wrapped("tcpdump", "-n", "-tt", "-i",
                     serve([SAMPLE.read_bytes()]).device)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == run(
        "tcpdump", "-n", "-tt", "-r", SAMPLE, env=SYSTEM).stdout.strip()


def test_arguments_and_status_go_through(folder):
    path = script(folder, "#!/bin/sh", 'printf "<%s>" "$0" "$@"; exit 7')
    result = wrapped(path, "", "a  b", "*", "--check", "'")
    assert result.returncode == 7
    assert result.stdout == f"<{path}><><a  b><*><--check><'>"


def test_the_library_path_of_before_is_kept(folder):
    path = script(folder, "#!/bin/sh", "echo $LD_LIBRARY_PATH")
    result = wrapped(path, env=dict(SYSTEM, LD_LIBRARY_PATH="/x"))
    assert result.stdout == f"{BUILD}/lib:/x\n"


@pytest.mark.parametrize("words", [
    ["-p", "-i", "127.0.0.1:7201"], ["-i127.0.0.1:7201"],
    ["--interface", "127.0.0.1:7201"], ["--pcap=127.0.0.1:7201", "-l", "x"]])
def test_a_device_without_its_scheme(folder, words):
    path = script(folder, "#!/bin/sh", 'echo "$@"')
    result = wrapped(path, *words)
    assert result.stdout.split() == words
    assert result.stderr == (
        "pcap-tcp-run: 127.0.0.1:7201 has no scheme: a PCAP-over-IP device is "
        "tcp:127.0.0.1:7201\n")


@pytest.mark.parametrize("device,hints", [
    ("localhost:1", 1), ("a.example.com:1", 1), ("[::1]:1", 1), ("eth0:1", 0),
    ("tcp:127.0.0.1:1", 0), ("127.0.0.1", 0), ("a.b:c", 0),
    ("tcp://127.0.0.1:1", 0), ("pcap::[::1]:1", 0), ("-n", 0), ("", 0)])
def test_what_looks_like_host_and_port(folder, device, hints):
    result = wrapped(script(folder, "#!/bin/sh"), "-i", device)
    assert result.stderr.count("has no scheme") == hints


def test_usage_and_no_such_program():
    assert refusal(wrapped(), 125).startswith("usage: ")
    assert refusal(wrapped("--frob", "tcpdump"), 125).startswith("usage: ")
    assert refusal(wrapped("no-such"), 127) == "there is no program no-such"
    assert refusal(wrapped("/etc")) == "/etc: Permission denied"


def test_a_file_that_may_not_be_run(folder):
    path = script(folder, "#!/bin/sh").rename(folder / "no-such")
    path.chmod(0o644)
    for name in (path, path.name):
        said = wrapped(name, env=dict(SYSTEM, PATH=f"{folder}:/bin"))
        assert refusal(said) == f"{name}: Permission denied"


def test_check():
    result = wrapped("--check", "tcpdump")
    assert result.returncode == 0, result.stderr
    first, second, *devices = result.stdout.splitlines()
    assert first == f"{shutil.which('tcpdump')} gets {LIBRARY}"
    version = (BUILD / "libpcap" / "VERSION").read_text().strip()
    assert second.startswith(f"libpcap version {version}")
    assert second.endswith(", with tcp: devices")
    assert [d for d in devices if d.startswith("  lo")]


def test_options_together():
    for options in ("--check", "--"), ("--force", "--check"):
        result = wrapped(*options, "tcpdump")
        assert result.stdout.startswith(shutil.which("tcpdump") + " gets ")


@pytest.mark.parametrize("lost", ["lib/libpcap.so", "run/probe"])
def test_the_library_has_gone(folder, lost):
    for name in ("lib", "run"):
        shutil.copytree(BUILD / name, folder / name, symlinks=True)
    path = folder / "pcap-tcp-run"
    path.write_text(WRAPPER.read_text().replace(str(BUILD), str(folder)))
    path.chmod(0o755)
    command = [path, "sh", "-c", "echo hi"]
    assert run(*command, env=SYSTEM).stdout == "hi\n"
    (folder / lost).unlink()
    assert refusal(run(*command, env=SYSTEM)) == (
        f"{folder}/{lost} is not there or may not be read: install pcap-tcp "
        "again, readable for all")


def test_the_library_may_not_be_read(folder, nobody):
    result = run("unshare", "-m", "sh", "-ec", 'mount -t tmpfs -o mode=700 '
                 'none "$1"; shift; exec "$@"', "sh", BUILD / "lib", *nobody,
                 WRAPPER, "tcpdump", "-D", env=SYSTEM)
    assert refusal(result).startswith(f"{BUILD}/lib/libpcap.so is not there")


def test_setuid(copy, nobody):
    program = copy("tcpdump")
    program.chmod(0o4755)
    said = refusal(wrapped(program, "-D", before=nobody))
    assert said == (f"{program} is setuid, so the library path is ignored: "
                    f"run it as root, or {PACKAGE}")
    # As root's, it gains nothing.
    assert wrapped(program, "--version").returncode == 0
    program.chmod(0o2755)
    said = refusal(wrapped(program, "-D", before=nobody))
    assert said.startswith(f"{program} is setgid, ")


def test_sudo(nobody):
    need("sudo")
    said = refusal(wrapped("sudo", "tcpdump", before=nobody))
    assert said.endswith("put pcap-tcp-run behind it")


def test_file_capabilities(copy, nobody):
    program = capable(copy("dumpcap"))
    said = refusal(wrapped(program, "-D", before=nobody))
    assert said.startswith(f"{program} has file capabilities, so the library "
                           "path is ignored: run it as root, or ")
    result = wrapped("--check", program, before=nobody)
    assert result.returncode == 1
    assert ", without tcp: devices\n" in result.stdout
    assert " gets /" in result.stdout and str(BUILD) not in result.stdout
    assert wrapped("--check", program).returncode == 0


def test_tshark_by_a_dumpcap_with_capabilities(copy, nobody):
    tshark, dumpcap = copy("tshark"), capable(copy("dumpcap"))
    said = refusal(wrapped(tshark, "-D", before=nobody))
    assert said.startswith(f"{dumpcap} has file capabilities")


def test_file_capabilities_and_the_systems_library_has_the_device(
        copy, nobody, serve):
    """As after installing the package: nothing to refuse."""
    program = capable(copy("dumpcap"))
    server = serve([SAMPLE.read_bytes()])
    result = run("unshare", "-m", "sh", "-ec",
                 'mount --bind "$1" "$2"; shift 2; exec "$@"', "sh", LIBRARY,
                 os.path.realpath(SYSTEM_LIBRARY), *nobody, WRAPPER, program,
                 "-q", "-P", "-i", server.device, "-w", "/dev/null",
                 env=SYSTEM)
    assert result.returncode == 0, result.stderr
    assert "Packets captured: " in result.stderr


def test_static(folder):
    program = compiled(folder, "int main(void) { return 0; }", "-static")
    assert refusal(wrapped(program)) == \
        f"{program} is statically linked: build it with the shared libpcap"


@pytest.mark.parametrize("compiler", ["s390x-linux-gnu-gcc",
                                      "i686-linux-gnu-gcc"])
def test_another_machine(folder, compiler):
    need(compiler)
    program = compiled(folder, "int main(void) { return 0; }",
                       compiler=compiler)
    assert refusal(wrapped(program)) == (
        f"{program} is for another kind of machine than pcap-tcp's library: "
        "build that for it, too")


def test_a_program_that_may_not_be_read(copy, nobody):
    program = copy("tcpdump")
    program.chmod(0o711)
    assert refusal(wrapped(program, "-D", before=nobody)) == \
        f"{program} may not be read"
    program.chmod(0o4711)
    assert refusal(wrapped(program, "-D", before=nobody)).startswith(
        f"{program} is setuid, so the library path is ignored: ")


def test_no_libpcap_inside():
    said = refusal(wrapped("timeout", "9", "tcpdump"))
    assert said.startswith(f"{shutil.which('timeout')} has no libpcap inside "
                           "(ldd shows none): put pcap-tcp-run before ")
    result = wrapped("--check", "timeout")
    assert (result.returncode, result.stdout) == (1, "")
    result = wrapped("--force", "timeout", "9", "tcpdump", "--version")
    assert result.returncode == 0


def test_a_library_path_of_its_own(folder):
    """An old-style RPATH goes before LD_LIBRARY_PATH."""
    own = folder / "own"
    own.mkdir()
    shutil.copy(SYSTEM_LIBRARY, own / "libpcap.so.0.8")
    program = compiled(
        folder, "const char *pcap_lib_version(void);\n"
        "int main(void) { return !pcap_lib_version(); }",
        own / "libpcap.so.0.8", f"-Wl,-rpath,{own},--disable-new-dtags")
    assert refusal(wrapped(program)) == (
        f"{program} gets {own}/libpcap.so.0.8 by a library path of its own: "
        "take that away (patchelf --remove-rpath)")


PYTHON = ["import ctypes",
          "pcap = ctypes.CDLL('libpcap.so.0.8')",
          "pcap.pcap_lib_version.restype = ctypes.c_char_p",
          "net, err = (ctypes.c_uint * 2)(), ctypes.create_string_buffer(256)",
          "print(pcap.pcap_lookupnet(b'tcp:h:1', net, ctypes.byref(net, 4), "
          "err))"]


@pytest.mark.parametrize("first", [
    "#!/usr/bin/python3", "#! /usr/bin/env python3", "#!/usr/bin/python3 -I",
    "#!/usr/bin/env -S A=b python3 -I", "#!/usr/bin/env -S -u FOO python3",
    "#!/usr/bin/env -vS-C  / -uX --unset=Y A=b python3", "#!/usr/bin/env -S\t"
    "-C /tmp -u B python3 -I"])
def test_script(folder, first):
    path = script(folder, first, *PYTHON)
    assert run(path, env=SYSTEM).stdout == "-1\n"
    result = wrapped(path)
    assert (result.returncode, result.stdout) == (0, "0\n"), result.stderr


def test_interpreter_by_its_name(folder):
    result = wrapped("python3", script(folder, "", *PYTHON))
    assert (result.returncode, result.stdout) == (0, "0\n"), result.stderr
    result = wrapped("--check", "python3")
    assert result.returncode == 0
    assert f" gets {BUILD}/lib/libpcap.so if it loads" in result.stdout


def test_script_without_a_first_line(folder):
    path = script(folder, 'exec tcpdump "$@"')
    result = wrapped(path, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    path.write_text("")
    assert wrapped(path).returncode == 0


@pytest.mark.parametrize("first", ["#!{0}", "#!/usr/bin/env {0}",
                                   "#!/usr/bin/env -S -u X {0}"])
def test_script_of_itself(folder, first):
    path = script(folder, first.format(folder / "script"))
    assert refusal(wrapped(path)) == \
        f"{path} is a script of a script, without end"


def test_script_whose_env_has_no_library_path(folder):
    path = script(folder, "#!/usr/bin/env -S -u X -i python3")
    assert refusal(wrapped(path)) == \
        f"{path} is a script whose env -i takes the library path away"


def test_script_of_a_script(folder):
    inner = script(folder, "#!/bin/sh", 'shift; exec tcpdump "$@"')
    inner = inner.rename(folder / "inner")
    result = wrapped(script(folder, f"#!{inner}"), "--version")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("first,interpreter", [
    ("#!/no/such -x", "/no/such"), ("#!/usr/bin/env no-such", "no-such"),
    ("#!/bin/sh\r", "/bin/sh\\r"), ("#!/usr/bin/env x\r", "x\\r"),
    # env runs such a line for ever: it has one word, the name to unset.
    ("#!/usr/bin/env -u FOO python3", "-u FOO python3")])
def test_script_whose_interpreter_is_not_there(folder, first, interpreter):
    path = script(folder, first)
    assert refusal(wrapped(path)) == (
        f"{path} is a script whose interpreter is not there: {interpreter}")


def test_script_whose_interpreter_cannot_take_it(folder, copy, nobody):
    python = capable(copy("python3"))
    said = refusal(wrapped(script(folder, f"#!{python}", *PYTHON),
                           before=nobody))
    assert said.startswith(f"{python} has file capabilities")


# AppArmor is not in every kernel: these are its files, as Debian 12 and
# Ubuntu have them, in a mount namespace.
APPARMOR = """
mount -t tmpfs none /sys
mkdir -p /sys/module/apparmor/parameters /sys/kernel/security/apparmor
echo {0} > /sys/module/apparmor/parameters/enabled
"""
PROFILES = """
printf '%s\\n' '/usr/bin/man (enforce)' '{0}' \
    > /sys/kernel/security/apparmor/profiles
"""
ETC = """
mount -t tmpfs none /etc/apparmor.d
echo 'profile tcpdump /usr/bin/tcpdump { }' > /etc/apparmor.d/usr.bin.tcpdump
"""


def under_apparmor(*setting):
    if not os.path.isdir("/etc/apparmor.d") and ETC in setting:
        pytest.skip("there is no /etc/apparmor.d here")
    return in_namespace(APPARMOR.format(setting[0]), *setting[1:],
                        f"exec {WRAPPER} /usr/bin/tcpdump --version")


@pytest.mark.parametrize("setting", [
    ("Y", PROFILES.format("tcpdump (enforce)")),
    ("Y", PROFILES.format("/usr/bin/tcpdump (enforce)")),
    ("Y", ETC)], ids=["by name", "by path", "not readable"])
def test_apparmor_in_force(setting):
    assert refusal(under_apparmor(*setting)) == (
        "AppArmor lets /usr/bin/tcpdump load libraries from /usr/lib only: "
        f"configure with --libdir=/usr/lib, or {PACKAGE}")


@pytest.mark.parametrize("setting", [
    ("N", PROFILES.format("tcpdump (enforce)")),
    ("Y", PROFILES.format("tcpdump (complain)")),
    ("Y", PROFILES.format("")),
    ("Y", ETC, "mkdir /etc/apparmor.d/disable",
     "touch /etc/apparmor.d/disable/usr.bin.tcpdump")],
    ids=["off", "complains", "no profile", "disabled"])
def test_apparmor_not_in_force(setting):
    result = under_apparmor(*setting)
    assert result.returncode == 0, result.stderr
