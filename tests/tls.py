"""What tests of TLS share: certificates, a server, and a command line."""

import socket
import ssl
import subprocess
import threading
import warnings

import pytest

from conftest import BUILD, LIMIT, SAMPLE, SYSTEM, Server, free_port, need
from pcapfile import numbered, pcap

HAS_TLS = "#define PCAP_TCP_TLS 1" in (BUILD / "libpcap/config.h").read_text()
TEN = pcap(numbered(10))

needs_tls = pytest.mark.skipif(not HAS_TLS, reason="built without OpenSSL 3")


def openssl(*arguments, **kw):
    subprocess.run(["openssl", *map(str, arguments)], check=True,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def new_key(folder, name):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-out", folder / f"{name}.key")
    return folder / f"{name}.key"


def authority(folder, name):
    openssl("req", "-x509", "-new", "-key", new_key(folder, name), "-days",
            "2", "-subj", f"/CN={name}", "-out", folder / f"{name}.pem")


def certificate(folder, name, ca, names, *when):
    key = new_key(folder, name)
    openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out",
            folder / f"{name}.csr")
    (folder / "names").write_text(f"subjectAltName={names}")
    # "openssl x509" would be simpler, but takes no dates before version 3.4,
    # and no negative days since 3.5.
    (folder / "index").touch()
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca=ours\n[ours]\ndatabase={folder}/index\n"
        f"new_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\n"
        "unique_subject=no\npolicy=any\n[any]\ncommonName=supplied\n")
    openssl("ca", "-batch", "-notext", "-config", folder / "ca.conf", "-in",
            folder / f"{name}.csr", "-cert", folder / f"{ca}.pem",
            "-keyfile", folder / f"{ca}.key", "-extfile", folder / "names",
            *(when or ["-days", "2"]), "-out", folder / f"{name}.pem")
    (folder / f"{name}.both").write_text(
        (folder / f"{name}.pem").read_text() + key.read_text())


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder of certificates: NAME.pem, NAME.key, NAME.both."""
    need("openssl")
    folder = tmp_path_factory.mktemp("pki")
    authority(folder, "ca")
    authority(folder, "other")
    certificate(folder, "server", "ca", "DNS:localhost,IP:127.0.0.1")
    certificate(folder, "elsewhere", "ca", "DNS:elsewhere.test")
    certificate(folder, "expired", "ca", "IP:127.0.0.1", "-startdate",
                "20200101000000Z", "-enddate", "20200102000000Z")
    certificate(folder, "client", "ca", "DNS:client")
    certificate(folder, "stranger", "other", "DNS:client")
    authority(folder, "selfsigned")
    openssl("genpkey", "-algorithm", "RSA", "-out", folder / "rsa.key")
    openssl("req", "-x509", "-new", "-key", folder / "rsa.key", "-days", "2",
            "-subj", "/CN=rsa", "-out", folder / "rsa.pem")
    openssl("pkey", "-in", folder / "server.key", "-aes128", "-passout",
            "pass:secret", "-out", folder / "locked.key")
    return folder


class TlsServer:
    """Serves one script a connection, as conftest's Server does."""

    def __init__(self, pki, *scripts, name="server", version=None, ca=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
        if version:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                self.context.minimum_version = ssl.TLSVersion.TLSv1
                self.context.maximum_version = version
        if ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(pki / f"{ca}.pem")
        self.names = []
        self.context.sni_callback = \
            lambda _sock, name, _ctx: self.names.append(name)
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.device = f"tls:127.0.0.1:{self.port},ca={pki}/ca.pem"
        self.gone = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._serve, args=(scripts,),
                                       daemon=True)
        self.thread.start()

    def _serve(self, scripts):
        for script in scripts:
            try:
                conn = self.listener.accept()[0]
                conn.settimeout(LIMIT)
                with self.context.wrap_socket(conn, server_side=True) as s:
                    for step in script:
                        self._step(s, step)
            except OSError:
                pass  # who does not trust us leaves
        self.listener.close()

    def _step(self, s, step):
        if step == "close_notify":
            s.settimeout(0.2)
            try:
                s.unwrap()
            except OSError:
                pass  # the peer just closes
        elif step == "go":
            self.gone.acquire(timeout=LIMIT)
        elif step == "rst":
            Server.reset_at_close(s)
        else:
            s.sendall(step)

    def go(self):
        self.gone.release()

    def stop(self):
        self.gone.release()
        self.listener.close()


@pytest.fixture
def tls_server(pki):
    servers = []

    def server(*scripts, **kw):
        servers.append(TlsServer(pki, *scripts, **kw))
        return servers[-1]

    yield server
    for s in servers:
        s.stop()


def shell(start, command, pki, **names):
    names.setdefault("port", free_port())
    program = start("bash", "-c", "exec " + command.format(
        sample=SAMPLE, pki=pki, **names), env=SYSTEM)
    program.port = names["port"]
    return program
