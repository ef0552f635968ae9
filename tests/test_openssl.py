"""OpenSSL is loaded late, into programs that may have it, or another one."""

import pytest

from conftest import BUILD, READER, SYSTEM, cause, run
from tls import HAS_TLS, TEN, needs_tls, pki, tls_server  # noqa: F401


@needs_tls
def test_openssl_is_loaded_for_tls_only(serve, tls_server, start):
    def loads(device):
        reader = start(READER, "-p", "-m", "next", device)
        reader.wait_for("^P", 1)
        maps = open(f"/proc/{reader.process.pid}/maps").read()
        return "libssl" in maps

    assert not loads(serve([TEN, "hold"]).device)
    server = tls_server([TEN, "go"])
    assert loads(server.device)
    server.go()


USES_OPENSSL_ITSELF = r"""
import ctypes, ssl, sys
crypto = ctypes.CDLL("libcrypto.so.3")
crypto.ERR_peek_error.restype = ctypes.c_ulong
pcap = ctypes.CDLL("libpcap.so.0.8")
pcap.pcap_open_live.restype = ctypes.c_void_p
context = ssl.create_default_context(cafile=sys.argv[2])

def raise_error(reason):
    crypto.ERR_new()
    crypto.ERR_set_error(2, reason, None)

def capture(device, status):
    errbuf = ctypes.create_string_buffer(256)
    handle = pcap.pcap_open_live(device.encode(), 65535, 1, 100, errbuf)
    assert (handle is not None) == status, errbuf.value
    header, data = ctypes.c_void_p(), ctypes.c_void_p()
    while handle and pcap.pcap_next_ex(ctypes.c_void_p(handle),
                                       ctypes.byref(header),
                                       ctypes.byref(data)) >= 0:
        pass

raise_error(101)
mine = crypto.ERR_peek_error()
raise_error(102)
last = crypto.ERR_peek_last_error()
capture(sys.argv[1], True)
capture(sys.argv[1], False)
assert crypto.ERR_peek_error() == mine, "the program's errors are gone"
assert crypto.ERR_peek_last_error() == last, "there are errors of ours"
crypto.ERR_clear_error()
assert context.cert_store_stats()["x509_ca"] == 1
print("fine")
"""


@needs_tls
def test_a_program_that_uses_openssl_itself(tls_server, pki):
    server = tls_server([TEN, "close_notify"])
    result = run("/usr/bin/python3", "-c", USES_OPENSSL_ITSELF,
                 server.device, pki / "ca.pem")
    assert result.stdout == "fine\n", result.stderr


HAS_ANOTHER_OPENSSL = r"""
#include <pcap/pcap.h>
#include <stdio.h>

void ERR_clear_error(void) { puts("mine"); }

int
main(int argc, char **argv)
{
	char errbuf[PCAP_ERRBUF_SIZE];

	(void)argc;
	if (pcap_open_live(argv[1], 65535, 1, 100, errbuf) == NULL)
		printf("%s\n", errbuf);
	return (0);
}
"""


@needs_tls
@pytest.mark.parametrize("export", [True, False])
def test_a_program_with_an_openssl_inside(tls_server, tmp_path, export):
    """libssl's calls would end in it, if it exports its functions."""
    source, program = tmp_path / "inside.c", tmp_path / "inside"
    source.write_text(HAS_ANOTHER_OPENSSL)
    built = run("cc", *(["-rdynamic"] if export else []), "-I",
                BUILD / "libpcap", "-o", program, source, "-L", BUILD / "lib",
                "-lpcap", env=SYSTEM)
    assert built.returncode == 0, built.stderr
    result = run(program, tls_server([TEN, "close_notify"]).device)
    assert "mine" not in result.stdout
    assert ("the program has another one inside" in result.stdout) == export


def test_without_openssl_tls_says_so(tmp_path):
    """Where the library is missing, or the build had no headers."""
    if HAS_TLS:
        fake = tmp_path / "libssl.so.3"
        fake.write_text("no library")
        env = dict(SYSTEM, LD_LIBRARY_PATH=f"{tmp_path}:{BUILD}/lib")
        result = run(READER, "tls:127.0.0.1:1", env=env)
        if "TLS needs OpenSSL" not in result.stderr:
            pytest.skip("the linker finds the system's OpenSSL all the same")
        assert "install libssl3" in result.stderr
    else:
        assert "was built without OpenSSL 3" in cause("tls:127.0.0.1:1")
