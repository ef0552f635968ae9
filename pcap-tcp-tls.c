/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-tls.c - TLS over a connection, by OpenSSL 3
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <stdio.h>

#include "pcap-tcp-tls.h"

#ifdef PCAP_TCP_TLS

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcap-tcp-openssl.h"

struct pcap_tcp_tls_context {
	SSL_CTX *ctx;
	BIO_METHOD *method;	/* how TLS reads the connection */
	int listening;
	int verify_name;
};

struct tls_bytes {
	struct pcap_tcp_bytes bytes;	/* first */
	struct pcap_tcp_bytes *connection;
	SSL *ssl;
	int at_end;		/* The peer has closed the connection. */
	int drained;		/* The connection had nothing more to read. */
	int errnum;		/* of the connection, 0: none */
	char error[160];
};

static const struct pcap_tcp_openssl *const ssl = &pcap_tcp_openssl;

/*
 * OpenSSL's own socket BIO would raise SIGPIPE, which a program that only
 * reads packets does not expect.
 */
static int
read_connection(BIO *bio, char *buf, int size)
{
	struct tls_bytes *t = ssl->BIO_get_data(bio);
	ssize_t n;

	ssl->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	n = pcap_tcp_bytes_read(t->connection, buf, (size_t)size);
	t->drained = n == -1 && errno == EAGAIN;
	if (t->drained)
		ssl->BIO_set_flags(bio,
		    BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
	else if (n == -1)
		t->errnum = errno;
	t->at_end = n == 0;
	return ((int)n);
}

static int
write_connection(BIO *bio, const char *buf, int size)
{
	struct tls_bytes *t = ssl->BIO_get_data(bio);
	ssize_t n;
	char c;

	ssl->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	do {
		n = send(t->bytes.fd, buf, (size_t)size, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		ssl->BIO_set_flags(bio,
		    BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
	else if (n == -1 && errno == EPIPE &&
	    pcap_tcp_bytes_read(t->connection, &c, 1) != -1)
		t->at_end = 1;
	else if (n == -1)
		/* After EPIPE, the read's: was the connection reset? */
		t->errnum = errno;
	return ((int)n);
}

static long
control_connection(BIO *bio, int command, long number, void *pointer)
{
	const struct tls_bytes *t = ssl->BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return (t->at_end);
	return (command == BIO_CTRL_FLUSH);
}

/* A key that wants a passphrase is refused: there is nobody to ask. */
static int
no_passphrase(char *buf, int size, int writing, void *user)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)user;
	return (-1);
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
	ssl->ERR_clear_error();
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
	int mode = SSL_VERIFY_PEER;

	if (!device->verify || (listening && device->ca == NULL))
		return (0);
	if (listening)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	ssl->SSL_CTX_set_verify(ctx, mode, NULL);
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
set_up_context(struct pcap_tcp_tls_context *c,
    const struct pcap_tcp_device *device, char *errbuf, size_t size)
{
	c->method = ssl->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pcap-tcp");
	c->ctx = ssl->SSL_CTX_new(c->listening ? ssl->TLS_server_method() :
	    ssl->TLS_client_method());
	if (c->method == NULL || c->ctx == NULL) {
		snprintf(errbuf, size, "OpenSSL: %s",
		    pcap_tcp_openssl_reason());
		return (-1);
	}
	ssl->BIO_meth_set_read(c->method, read_connection);
	ssl->BIO_meth_set_write(c->method, write_connection);
	ssl->BIO_meth_set_ctrl(c->method, control_connection);
	ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION,
	    TLS1_2_VERSION, NULL);
	ssl->SSL_CTX_set_options(c->ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	/* A peer could keep a read busy with TLS's own messages. */
	ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_CLEAR_MODE, SSL_MODE_AUTO_RETRY,
	    NULL);
	/* Nothing to resume: a stream starts anew. */
	ssl->SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_SESS_CACHE_MODE,
	    SSL_SESS_CACHE_OFF, NULL);
	ssl->SSL_CTX_set_num_tickets(c->ctx, 0);
	ssl->SSL_CTX_set_default_passwd_cb(c->ctx, no_passphrase);
	if (load_own(c->ctx, device, errbuf, size) == -1)
		return (-1);
	return (load_trusted(c->ctx, device, c->listening, errbuf, size));
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
	c->listening = listening;
	c->verify_name = device->verify;
	pcap_tcp_openssl_enter(&errors);
	status = set_up_context(c, device, errbuf, size);
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

static int
set_host(SSL *s, const char *host, int verify)
{
	char numeric[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t length = strcspn(host, "%");
	int is_numeric;

	/* A zone is ours, the certificate has none. */
	snprintf(numeric, sizeof(numeric), "%.*s",
	    length < sizeof(numeric) ? (int)length : 0, host);
	is_numeric = inet_pton(AF_INET, numeric, &address) == 1 ||
	    inet_pton(AF_INET6, numeric, &address) == 1;
	/* RFC 6066, 3: no numeric addresses in a server name. */
	if (!is_numeric && ssl->SSL_ctrl(s, SSL_CTRL_SET_TLSEXT_HOSTNAME,
	    TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host) != 1)
		return (0);
	if (!verify)
		return (1);
	if (is_numeric)
		return (ssl->X509_VERIFY_PARAM_set1_ip_asc(
		    ssl->SSL_get0_param(s), numeric));
	ssl->SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return (ssl->SSL_set1_host(s, host));
}

/* The certificate of the peer: what is wrong, and what to do. */
static void
explain_certificate(struct tls_bytes *t)
{
	long result = ssl->SSL_get_verify_result(t->ssl);
	const char *advice;

	switch (result) {

	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		advice = " (servername= gives the name to expect)";
		break;

	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		advice = " (ca= names the certificates to trust)";
		break;

	default:
		advice = "";
		break;
	}
	snprintf(t->error, sizeof(t->error),
	    "certificate verification failed: %s%s",
	    ssl->X509_verify_cert_error_string(result), advice);
}

static void
explain(struct tls_bytes *t)
{
	switch (ERR_GET_REASON(ssl->ERR_peek_error())) {

	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		explain_certificate(t);
		break;

	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_BAD_RECORD_TYPE:
		snprintf(t->error, sizeof(t->error),
		    "this is not TLS (without it, the device is tcp:)");
		break;

	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		snprintf(t->error, sizeof(t->error),
		    "TLS was cut off: closed without close_notify");
		break;

	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		snprintf(t->error, sizeof(t->error),
		    "the sender has no TLS certificate, which ca= asks for");
		break;

	case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED:
		snprintf(t->error, sizeof(t->error),
		    "the server requires a client certificate (cert=, key=)");
		break;

	default:
		snprintf(t->error, sizeof(t->error), "TLS: %s", pcap_tcp_openssl_reason());
		break;
	}
}

/* What a call that returned status wants: -1 with errno, 0 at the end. */
static int
not_done(struct tls_bytes *t, int status)
{
	switch (ssl->SSL_get_error(t->ssl, status)) {

	case SSL_ERROR_WANT_READ:
		t->bytes.wanted = POLLIN;
		errno = t->drained ? EAGAIN : EINTR;
		return (-1);

	case SSL_ERROR_WANT_WRITE:
		t->bytes.wanted = POLLOUT;
		errno = EAGAIN;
		return (-1);

	case SSL_ERROR_ZERO_RETURN:
		if (t->bytes.established)
			return (0);
		t->at_end = 1;
		/* FALLTHROUGH */

	default:
		if (t->errnum != 0) {
			errno = t->errnum;
			return (-1);
		}
		if (t->at_end && !t->bytes.established)
			snprintf(t->error, sizeof(t->error),
			    "closed within the TLS handshake");
		else
			explain(t);
		errno = t->at_end ? ECONNABORTED : EPROTO;
		return (-1);
	}
}

static ssize_t
tls_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	struct tls_bytes *t = (struct tls_bytes *)b;
	struct pcap_tcp_openssl_errors errors;
	int status, saved_errno;

	pcap_tcp_openssl_enter(&errors);
	t->drained = 0;
	if (b->established)
		status = ssl->SSL_read(t->ssl, buf,
		    size > INT_MAX ? INT_MAX : (int)size);
	else
		status = ssl->SSL_do_handshake(t->ssl);
	if (status <= 0)
		status = not_done(t, status);
	else if (!b->established) {
		b->established = 1;
		b->wanted = POLLIN;
		errno = EINTR;
		status = -1;
	}
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
	BIO *bio = NULL;

	t->ssl = ssl->SSL_new(c->ctx);
	if (t->ssl != NULL)
		bio = ssl->BIO_new(c->method);
	if (bio == NULL)
		return (-1);
	ssl->BIO_set_data(bio, t);
	ssl->BIO_set_init(bio, 1);
	ssl->SSL_set_bio(t->ssl, bio, bio);
	if (c->listening)
		ssl->SSL_set_accept_state(t->ssl);
	else
		ssl->SSL_set_connect_state(t->ssl);
	return (host == NULL || set_host(t->ssl, host, c->verify_name) ?
	    0 : -1);
}

struct pcap_tcp_bytes *
pcap_tcp_tls_bytes(struct pcap_tcp_tls_context *c,
    struct pcap_tcp_bytes *connection, const char *host)
{
	static const struct pcap_tcp_bytes_ops ops = {
		tls_read, tls_pending, tls_error, tls_close
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
pcap_tcp_tls_context_new(const struct pcap_tcp_device *device, int listening,
    char *errbuf, size_t size)
{
	(void)device;
	(void)listening;
	snprintf(errbuf, size, "this libpcap was built without OpenSSL 3, "
	    "which TLS needs");
	return (NULL);
}

#endif
