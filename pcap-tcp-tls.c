/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-tls.c - TLS over a connection, by OpenSSL 3
 */

#define _GNU_SOURCE	/* timegm() */

#include <config.h>

#include <stdio.h>

#include "pcap-tcp-tls.h"
#include "varattrs.h"

#ifdef PCAP_TCP_TLS

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-openssl.h"

struct pcap_tcp_tls_context {
	SSL_CTX *ctx;
	BIO_METHOD *method;	/* how TLS writes to the connection */
};

/*
 * A peer that sends one ClientHello again and again must not cost much CPU:
 * no finite fields, whose largest group takes 100 times as long as a curve.
 * OpenSSL before 3.5 does not know the first group.
 */
#define CURVES	"X25519:P-256:X448:P-384:P-521"
#define CIPHERS	"ECDHE+AESGCM:ECDHE+CHACHA20"	/* of TLS 1.2 */

/*
 * Bytes that OpenSSL makes objects of, which take up to 15 and 50 times as
 * many: a client's certificates, and the authorities that it would trust.
 */
#define MAX_CERTIFICATES	(32 * 1024)
#define MAX_AUTHORITIES		1024

struct tls_bytes {
	struct pcap_tcp_bytes bytes;	/* first */
	struct pcap_tcp_bytes *connection;
	SSL *ssl;
	char error[160];
};

static const struct pcap_tcp_openssl *const ssl = &pcap_tcp_openssl;

/*
 * OpenSSL's own socket BIO would raise SIGPIPE, which a program that only
 * reads packets does not expect.
 */
static int
write_connection(BIO *bio, const char *buf, int size)
{
	const struct pcap_tcp_bytes *connection = ssl->BIO_get_data(bio);
	ssize_t n = send(connection->fd, buf, (size_t)size, MSG_NOSIGNAL);

	ssl->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	if (n == -1 && errno == EAGAIN)
		ssl->BIO_set_flags(bio,
		    BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
	return ((int)n);
}

static long
control_connection(BIO *bio _U_, int command, long number _U_,
    void *pointer _U_)
{
	return (command == BIO_CTRL_FLUSH);
}

/* Says what is wrong with a PEM file; returns -1. */
static int
refuse_file(const char *option, const char *file, const char *expected,
    char *errbuf, size_t size)
{
	if (access(file, R_OK) == -1)
		snprintf(errbuf, size, "cannot read %s=%.100s: %s", option,
		    file, strerror(errno));
	else
		snprintf(errbuf, size, "%s=%.100s: expected %s (%s)", option,
		    file, expected, pcap_tcp_openssl_reason());
	return (-1);
}

static int
load_own(SSL_CTX *ctx, const struct pcap_tcp_device *device, char *errbuf,
    size_t size)
{
	if (device->cert == NULL)
		return (0);
	if (ssl->SSL_CTX_use_certificate_chain_file(ctx, device->cert) != 1)
		return (refuse_file("cert", device->cert,
		    "a certificate in PEM", errbuf, size));
	if (ssl->SSL_CTX_use_PrivateKey_file(ctx, device->key,
	    SSL_FILETYPE_PEM) != 1 &&
	    ERR_GET_REASON(ssl->ERR_peek_error()) != X509_R_KEY_VALUES_MISMATCH)
		return (refuse_file("key", device->key,
		    "a private key in PEM, without a passphrase", errbuf,
		    size));
	/* One of another type is kept beside the certificate. */
	if (ssl->SSL_CTX_check_private_key(ctx) == 1)
		return (0);
	snprintf(errbuf, size, "key=%.100s does not belong to cert=%.100s",
	    device->key, device->cert);
	return (-1);
}

static int
load_trusted(SSL_CTX *ctx, const struct pcap_tcp_device *device,
    int listening, char *errbuf, size_t size)
{
	if (!device->verify || (listening && device->ca == NULL))
		return (0);
	/* A server has a certificate in any case. */
	ssl->SSL_CTX_set_verify(ctx,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (device->ca == NULL) {
		if (ssl->SSL_CTX_set_default_verify_paths(ctx) == 1)
			return (0);
		snprintf(errbuf, size, "no trust store: ca= names one");
		return (-1);
	}
	if (ssl->SSL_CTX_load_verify_file(ctx, device->ca) != 1)
		return (refuse_file("ca", device->ca, "certificates in PEM",
		    errbuf, size));
	/* A client picks its certificate by this list. */
	if (listening)
		ssl->SSL_CTX_set_client_CA_list(ctx,
		    ssl->SSL_load_client_CA_file(device->ca));
	return (0);
}

static int
check_hello(SSL *s, int *alert, void *arg _U_)
{
	const unsigned char *authorities;
	size_t size;

	*alert = SSL_AD_DECODE_ERROR;
	return (ssl->SSL_client_hello_get0_ext(s,
	    TLSEXT_TYPE_certificate_authorities, &authorities, &size) == 1 &&
	    size > MAX_AUTHORITIES ? SSL_CLIENT_HELLO_ERROR :
	    SSL_CLIENT_HELLO_SUCCESS);
}

static int
set_up_context(struct pcap_tcp_tls_context *c,
    const struct pcap_tcp_device *device, int listening, char *errbuf,
    size_t size)
{
	static char no_passphrase[] = "";

	c->method = ssl->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pcap-tcp");
	c->ctx = ssl->SSL_CTX_new(ssl->TLS_method());
	if (c->method == NULL || c->ctx == NULL) {
		snprintf(errbuf, size, "OpenSSL: %s",
		    pcap_tcp_openssl_reason());
		return (-1);
	}
	ssl->BIO_meth_set_write(c->method, write_connection);
	ssl->BIO_meth_set_ctrl(c->method, control_connection);
	ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION,
	    TLS1_2_VERSION, NULL);
	if (ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_GROUPS_LIST, 0,
	    "X25519MLKEM768:" CURVES) != 1)
		ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_GROUPS_LIST, 0, CURVES);
	ssl->SSL_CTX_set_cipher_list(c->ctx, CIPHERS);
	ssl->SSL_CTX_set_options(c->ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	/* A peer could keep a read busy with TLS's own messages. */
	ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_CLEAR_MODE, SSL_MODE_AUTO_RETRY,
	    NULL);
	/* Nothing to resume: a stream starts anew. */
	ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_SESS_CACHE_MODE,
	    SSL_SESS_CACHE_OFF, NULL);
	ssl->SSL_CTX_set_num_tickets(c->ctx, 0);
	if (listening) {
		ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_MAX_CERT_LIST,
		    MAX_CERTIFICATES, NULL);
		ssl->SSL_CTX_set_client_hello_cb(c->ctx, check_hello, NULL);
	}
	/* There is nobody to ask for another one. */
	ssl->SSL_CTX_set_default_passwd_cb_userdata(c->ctx, no_passphrase);
	if (load_own(c->ctx, device, errbuf, size) == -1)
		return (-1);
	return (load_trusted(c->ctx, device, listening, errbuf, size));
}

struct pcap_tcp_tls_context *
pcap_tcp_tls_context_new(const struct pcap_tcp_device *device, int listening,
    char *errbuf, size_t size)
{
	const char *missing = pcap_tcp_openssl_load();
	struct pcap_tcp_tls_context *c;
	struct pcap_tcp_openssl_errors errors;
	int status;

	if (missing != NULL) {
		snprintf(errbuf, size, "TLS needs OpenSSL (install libssl%d): "
		    "%s", OPENSSL_SHLIB_VERSION, missing);
		return (NULL);
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		snprintf(errbuf, size, "out of memory");
		return (NULL);
	}
	pcap_tcp_openssl_enter(&errors);
	status = set_up_context(c, device, listening, errbuf, size);
	pcap_tcp_openssl_leave(&errors);
	if (status == 0)
		return (c);
	pcap_tcp_tls_context_free(c);
	return (NULL);
}

void
pcap_tcp_tls_context_free(struct pcap_tcp_tls_context *c)
{
	if (c == NULL)
		return;
	ssl->SSL_CTX_free(c->ctx);
	ssl->BIO_meth_free(c->method);
	free(c);
}

/* Whom we connect to.  Without verification, it is the server name only. */
static int
set_host(SSL *s, const char *host)
{
	char name[PCAP_TCP_MAX_HOST + 1];

	/* A zone is ours, the certificate has none. */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, "%"), host);
	/* RFC 6066, 3: no numeric addresses in a server name. */
	if (ssl->X509_VERIFY_PARAM_set1_ip_asc(ssl->SSL_get0_param(s),
	    name) == 1)
		return (1);
	ssl->SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return (ssl->SSL_set1_host(s, name) == 1 &&
	    ssl->SSL_ctrl(s, SSL_CTRL_SET_TLSEXT_HOSTNAME,
	    TLSEXT_NAMETYPE_host_name, name) == 1);
}

/* What to do about the certificate of the peer. */
static const char *
advice_on_certificate(long result)
{
	switch (result) {

	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return (" (servername= gives the name to expect)");

	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return (" (ca= names the certificates to trust)");

	default:
		return ("");
	}
}

static void
explain(struct tls_bytes *t)
{
	const char *what = "", *why, *advice = "";
	long result;

	switch (ERR_GET_REASON(ssl->ERR_peek_error())) {

	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		result = ssl->SSL_get_verify_result(t->ssl);
		what = "certificate verification failed: ";
		why = ssl->X509_verify_cert_error_string(result);
		advice = advice_on_certificate(result);
		break;

	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_BAD_RECORD_TYPE:
		why = "this is not TLS (without it, the device is tcp:)";
		break;

	case SSL_R_CALLBACK_FAILED:
		why = "the sender's ClientHello names too many authorities";
		break;

	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		why = "the sender has no TLS certificate, which ca= asks for";
		break;

	case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED:
		why = "the server requires a client certificate (cert=, key=)";
		break;

	default:
		what = "TLS: ";
		why = pcap_tcp_openssl_reason();
		break;
	}
	snprintf(t->error, sizeof(t->error), "%s%s%s", what, why, advice);
}

/* What a read that returned status wants: -1 with errno, 0 at the end. */
static int
not_done(struct tls_bytes *t, int status)
{
	int error = ssl->SSL_get_error(t->ssl, status);
	char c;

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		t->bytes.wanted = error == SSL_ERROR_WANT_READ ? POLLIN :
		    POLLOUT;
		/* It may also have read a message of TLS's own. */
		if (errno != EAGAIN)
			errno = EINTR;
		return (-1);
	}
	if (error == SSL_ERROR_ZERO_RETURN && t->bytes.established)
		return (0);
	/* After EPIPE, the read's errno: was the connection reset? */
	if (error == SSL_ERROR_SYSCALL && (errno != EPIPE ||
	    pcap_tcp_bytes_read(t->connection, &c, 1) == -1))
		return (-1);
	if (error == SSL_ERROR_SSL && ERR_GET_REASON(ssl->ERR_peek_error()) !=
	    SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		explain(t);
		errno = EPROTO;
		return (-1);
	}
	snprintf(t->error, sizeof(t->error), "%s", t->bytes.established ?
	    "TLS was cut off: closed without close_notify" :
	    "closed within the TLS handshake");
	errno = ECONNABORTED;
	return (-1);
}

static ssize_t
tls_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	struct tls_bytes *t = (struct tls_bytes *)b;
	struct pcap_tcp_openssl_errors errors;
	int status, saved_errno;

	pcap_tcp_openssl_enter(&errors);
	/* The first reads make the handshake. */
	status = ssl->SSL_read(t->ssl, buf, (int)(size <
	    SSL3_RT_MAX_PLAIN_LENGTH ? size : SSL3_RT_MAX_PLAIN_LENGTH));
	b->established |= ssl->SSL_is_init_finished(t->ssl);
	if (status <= 0)
		status = not_done(t, status);
	saved_errno = errno;
	pcap_tcp_openssl_leave(&errors);
	errno = saved_errno;
	return (status);
}

static int
tls_pending(const struct pcap_tcp_bytes *b)
{
	return (ssl->SSL_pending(((const struct tls_bytes *)b)->ssl) > 0);
}

static const char *
tls_error(const struct pcap_tcp_bytes *b)
{
	return (((const struct tls_bytes *)b)->error);
}

static void
tls_describe(const struct pcap_tcp_bytes *b,
    struct pcap_tcp_security *security)
{
	SSL *s = ((const struct tls_bytes *)b)->ssl;
	X509 *certificate = ssl->SSL_get1_peer_certificate(s);
	struct pcap_tcp_openssl_errors errors;
	struct tm tm;

	snprintf(security->version, sizeof(security->version), "%s",
	    ssl->SSL_get_version(s));
	if (certificate == NULL)
		return;
	pcap_tcp_openssl_enter(&errors);
	ssl->X509_NAME_oneline(ssl->X509_get_subject_name(certificate),
	    security->subject, sizeof(security->subject));
	if (ssl->ASN1_TIME_to_tm(ssl->X509_get0_notAfter(certificate),
	    &tm) == 1)
		security->valid_until = timegm(&tm);
	ssl->X509_free(certificate);
	pcap_tcp_openssl_leave(&errors);
}

static void
tls_close(struct pcap_tcp_bytes *b)
{
	struct tls_bytes *t = (struct tls_bytes *)b;

	ssl->SSL_free(t->ssl);
	pcap_tcp_bytes_close(t->connection);
	free(t);
}

/* Returns -1 if out of memory. */
static int
set_up(struct tls_bytes *t, const struct pcap_tcp_tls_context *c,
    const char *host)
{
	BIO *bio;

	t->ssl = ssl->SSL_new(c->ctx);
	if (t->ssl == NULL || ssl->SSL_set_rfd(t->ssl, t->bytes.fd) != 1)
		return (-1);
	bio = ssl->BIO_new(c->method);
	if (bio == NULL)
		return (-1);
	ssl->BIO_set_data(bio, t->connection);
	ssl->BIO_set_init(bio, 1);
	ssl->SSL_set0_wbio(t->ssl, bio);
	if (host == NULL) {
		ssl->SSL_set_accept_state(t->ssl);
		return (0);
	}
	/* The first word is ours. */
	t->bytes.wanted = POLLOUT;
	ssl->SSL_set_connect_state(t->ssl);
	return (set_host(t->ssl, host) ? 0 : -1);
}

struct pcap_tcp_bytes *
pcap_tcp_tls_bytes(struct pcap_tcp_tls_context *c,
    struct pcap_tcp_bytes *connection, const char *host)
{
	static const struct pcap_tcp_bytes_ops ops = {
		tls_read, tls_pending, tls_error, tls_describe, tls_close
	};
	struct tls_bytes *t = calloc(1, sizeof(*t));
	struct pcap_tcp_openssl_errors errors;
	int status;

	if (t == NULL) {
		pcap_tcp_bytes_close(connection);
		return (NULL);
	}
	t->bytes.ops = &ops;
	t->bytes.fd = connection->fd;
	t->bytes.wanted = POLLIN;
	t->connection = connection;
	pcap_tcp_openssl_enter(&errors);
	status = set_up(t, c, host);
	pcap_tcp_openssl_leave(&errors);
	if (status == 0)
		return (&t->bytes);
	tls_close(&t->bytes);
	return (NULL);
}

#else /* PCAP_TCP_TLS */

struct pcap_tcp_tls_context *
pcap_tcp_tls_context_new(const struct pcap_tcp_device *device _U_,
    int listening _U_, char *errbuf, size_t size)
{
	snprintf(errbuf, size, "this libpcap was built without OpenSSL 3, "
	    "which TLS needs");
	return (NULL);
}

#endif
