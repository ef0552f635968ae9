/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-tls.c - TLS over a socket, by OpenSSL 3
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <stdio.h>

#include "pcap-tcp-tls.h"

#ifdef PCAP_TCP_TLS

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/*
 * OpenSSL is loaded when it is needed, so that the many programs that never
 * open a TLS device are spared it.
 */
#define STRING(x)	#x
#define SONAME(version)	"libssl.so." STRING(version)

#define FUNCTIONS(F) \
	F(BIO_clear_flags) F(BIO_get_data) F(BIO_meth_new) \
	F(BIO_meth_set_ctrl) F(BIO_meth_set_read) F(BIO_meth_set_write) \
	F(BIO_new) F(BIO_set_data) F(BIO_set_flags) F(BIO_set_init) \
	F(ERR_clear_error) F(ERR_get_error) F(ERR_new) F(ERR_peek_error) \
	F(ERR_reason_error_string) F(ERR_set_error) F(SSL_ctrl) \
	F(SSL_CTX_ctrl) F(SSL_CTX_free) F(SSL_CTX_load_verify_file) \
	F(SSL_CTX_check_private_key) F(SSL_CTX_new) \
	F(SSL_CTX_set_client_CA_list) F(SSL_CTX_set_default_passwd_cb) \
	F(SSL_CTX_set_default_verify_paths) \
	F(SSL_CTX_set_num_tickets) F(SSL_CTX_set_options) \
	F(SSL_CTX_set_verify) F(SSL_CTX_use_certificate_chain_file) \
	F(SSL_CTX_use_PrivateKey_file) F(SSL_do_handshake) F(SSL_free) \
	F(SSL_get0_param) F(SSL_get_error) F(SSL_get_verify_result) \
	F(SSL_load_client_CA_file) F(SSL_new) F(SSL_pending) F(SSL_read) \
	F(SSL_set1_host) F(SSL_set_accept_state) F(SSL_set_bio) \
	F(SSL_set_connect_state) F(SSL_set_hostflags) F(TLS_client_method) \
	F(TLS_server_method) F(X509_verify_cert_error_string) \
	F(X509_VERIFY_PARAM_set1_ip_asc)

#define DECLARE(function)	__typeof__(&function) function;
static struct {
	FUNCTIONS(DECLARE)
} ssl;

struct pcap_tcp_tls_context {
	SSL_CTX *ctx;
	int listening;
	int verify_name;
};

struct pcap_tcp_tls {
	SSL *ssl;
	int fd;
	int established;	/* the handshake is done */
	int at_end;		/* the peer has closed fd */
	int drained;		/* fd had nothing more to read */
	int errnum;		/* of fd */
	short events;
	char error[PCAP_TCP_TLS_ERROR];
};

static BIO_METHOD *socket_method;

/*
 * OpenSSL's own socket BIO would raise SIGPIPE, which a program that only
 * reads packets does not expect.
 */
static int
socket_read(BIO *bio, char *buf, int size)
{
	struct pcap_tcp_tls *t = ssl.BIO_get_data(bio);
	ssize_t n;

	ssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	do {
		n = read(t->fd, buf, (size_t)size);
	} while (n == -1 && errno == EINTR);
	t->drained = n == -1 && errno == EAGAIN;
	if (t->drained)
		ssl.BIO_set_flags(bio,
		    BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
	else if (n == -1)
		t->errnum = errno;
	t->at_end = n == 0;
	return ((int)n);
}

static int
socket_write(BIO *bio, const char *buf, int size)
{
	struct pcap_tcp_tls *t = ssl.BIO_get_data(bio);
	ssize_t n;

	ssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	do {
		n = send(t->fd, buf, (size_t)size, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		ssl.BIO_set_flags(bio,
		    BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
	else if (n == -1 && errno == EPIPE)
		t->at_end = 1;
	else if (n == -1)
		t->errnum = errno;
	return ((int)n);
}

static long
socket_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct pcap_tcp_tls *t = ssl.BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return (t->at_end);
	return (command == BIO_CTRL_FLUSH);
}

/* Returns NULL, or what is missing. */
static const char *
load(void)
{
	void *library = dlopen(SONAME(OPENSSL_SHLIB_VERSION),
	    RTLD_NOW | RTLD_LOCAL);
	void *address;

	if (library == NULL)
		return (dlerror());
#define LOAD(function) \
	address = dlsym(library, #function); \
	if (address == NULL) \
		return (#function); \
	memcpy(&ssl.function, &address, sizeof(address));
	FUNCTIONS(LOAD)
	socket_method = ssl.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pcap-tcp");
	if (socket_method == NULL)
		return ("memory");
	ssl.BIO_meth_set_read(socket_method, socket_read);
	ssl.BIO_meth_set_write(socket_method, socket_write);
	ssl.BIO_meth_set_ctrl(socket_method, socket_ctrl);
	return (NULL);
}

/* Returns NULL, or what is missing: for now, maybe. */
static const char *
load_once(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int loaded;
	const char *missing = NULL;

	pthread_mutex_lock(&mutex);
	if (!loaded)
		missing = load();
	loaded = missing == NULL;
	pthread_mutex_unlock(&mutex);
	return (missing);
}

/*
 * The error queue is the thread's: it has to be empty for SSL_get_error(), but
 * what the program left in it is the program's and comes back.
 */
struct program_errors {
	unsigned int n;
	unsigned long code[16];		/* OpenSSL keeps no more */
};

static void
enter(struct program_errors *errors)
{
	unsigned long code;

	errors->n = 0;
	while ((code = ssl.ERR_get_error()) != 0 && errors->n < 16)
		errors->code[errors->n++] = code;
}

static void
leave(const struct program_errors *errors)
{
	unsigned int i;

	ssl.ERR_clear_error();
	for (i = 0; i < errors->n; i++) {
		ssl.ERR_new();
		ssl.ERR_set_error(ERR_GET_LIB(errors->code[i]),
		    ERR_GET_REASON(errors->code[i]), NULL);
	}
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

static const char *
last_reason(void)
{
	const char *reason = ssl.ERR_reason_error_string(ssl.ERR_peek_error());

	return (reason != NULL ? reason : "unknown error");
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
		    file, expected, last_reason());
	return (-1);
}

static int
load_own(SSL_CTX *ctx, const struct pcap_tcp_device *device, char *errbuf,
    size_t size)
{
	if (device->cert == NULL)
		return (0);
	if (ssl.SSL_CTX_use_certificate_chain_file(ctx, device->cert) != 1)
		return (refuse_file("cert", device->cert,
		    "a certificate in PEM", errbuf, size));
	ssl.ERR_clear_error();
	if (ssl.SSL_CTX_use_PrivateKey_file(ctx, device->key,
	    SSL_FILETYPE_PEM) != 1 &&
	    ERR_GET_REASON(ssl.ERR_peek_error()) != X509_R_KEY_VALUES_MISMATCH)
		return (refuse_file("key", device->key,
		    "a private key in PEM, without a passphrase", errbuf,
		    size));
	/* One of another type is kept beside the certificate. */
	if (ssl.SSL_CTX_check_private_key(ctx) == 1)
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
	ssl.SSL_CTX_set_verify(ctx, mode, NULL);
	if (device->ca == NULL) {
		if (ssl.SSL_CTX_set_default_verify_paths(ctx) == 1)
			return (0);
		snprintf(errbuf, size, "no trust store: ca= names one");
		return (-1);
	}
	if (ssl.SSL_CTX_load_verify_file(ctx, device->ca) != 1)
		return (refuse_file("ca", device->ca, "certificates in PEM",
		    errbuf, size));
	/* A client picks its certificate by this list. */
	if (listening)
		ssl.SSL_CTX_set_client_CA_list(ctx,
		    ssl.SSL_load_client_CA_file(device->ca));
	return (0);
}

struct pcap_tcp_tls_context *
pcap_tcp_tls_context_new(const struct pcap_tcp_device *device, int listening,
    char *errbuf, size_t size)
{
	const char *missing = load_once();
	struct pcap_tcp_tls_context *c;
	struct program_errors errors;
	int status = -1;

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
	enter(&errors);
	c->ctx = ssl.SSL_CTX_new(listening ? ssl.TLS_server_method() :
	    ssl.TLS_client_method());
	if (c->ctx == NULL)
		snprintf(errbuf, size, "OpenSSL: %s", last_reason());
	else {
		ssl.SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION,
		    TLS1_2_VERSION, NULL);
		ssl.SSL_CTX_set_options(c->ctx,
		    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
		/* A peer could keep a read busy with TLS's own messages. */
		ssl.SSL_CTX_ctrl(c->ctx, SSL_CTRL_CLEAR_MODE,
		    SSL_MODE_AUTO_RETRY, NULL);
		/* Nothing to resume: a stream starts anew. */
		ssl.SSL_CTX_ctrl(c->ctx, SSL_CTRL_SET_SESS_CACHE_MODE,
		    SSL_SESS_CACHE_OFF, NULL);
		ssl.SSL_CTX_set_num_tickets(c->ctx, 0);
		ssl.SSL_CTX_set_default_passwd_cb(c->ctx, no_passphrase);
		status = load_own(c->ctx, device, errbuf, size);
		if (status == 0)
			status = load_trusted(c->ctx, device, listening,
			    errbuf, size);
	}
	leave(&errors);
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
	ssl.SSL_CTX_free(c->ctx);
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
	if (!is_numeric && ssl.SSL_ctrl(s, SSL_CTRL_SET_TLSEXT_HOSTNAME,
	    TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host) != 1)
		return (0);
	if (!verify)
		return (1);
	if (is_numeric)
		return (ssl.X509_VERIFY_PARAM_set1_ip_asc(
		    ssl.SSL_get0_param(s), numeric));
	ssl.SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return (ssl.SSL_set1_host(s, host));
}

struct pcap_tcp_tls *
pcap_tcp_tls_new(struct pcap_tcp_tls_context *c, int fd, const char *host)
{
	struct pcap_tcp_tls *t = calloc(1, sizeof(*t));
	struct program_errors errors;
	BIO *bio = NULL;

	if (t == NULL)
		return (NULL);
	t->fd = fd;
	enter(&errors);
	t->ssl = ssl.SSL_new(c->ctx);
	if (t->ssl != NULL)
		bio = ssl.BIO_new(socket_method);
	if (bio != NULL) {
		ssl.BIO_set_data(bio, t);
		ssl.BIO_set_init(bio, 1);
		ssl.SSL_set_bio(t->ssl, bio, bio);
		if (c->listening)
			ssl.SSL_set_accept_state(t->ssl);
		else
			ssl.SSL_set_connect_state(t->ssl);
	}
	if (bio == NULL ||
	    (host != NULL && !set_host(t->ssl, host, c->verify_name))) {
		pcap_tcp_tls_free(t);
		t = NULL;
	}
	leave(&errors);
	return (t);
}

void
pcap_tcp_tls_free(struct pcap_tcp_tls *t)
{
	if (t == NULL)
		return;
	ssl.SSL_free(t->ssl);
	free(t);
}

/* The certificate of the peer: what is wrong, and what to do. */
static void
explain_certificate(struct pcap_tcp_tls *t)
{
	long result = ssl.SSL_get_verify_result(t->ssl);
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
	    ssl.X509_verify_cert_error_string(result), advice);
}

static void
explain(struct pcap_tcp_tls *t)
{
	switch (ERR_GET_REASON(ssl.ERR_peek_error())) {

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
		snprintf(t->error, sizeof(t->error), "TLS: %s", last_reason());
		break;
	}
}

/* What a call that returned status wants: -1 with errno, 0 at the end. */
static int
not_done(struct pcap_tcp_tls *t, int status)
{
	switch (ssl.SSL_get_error(t->ssl, status)) {

	case SSL_ERROR_WANT_READ:
		t->events = POLLIN;
		errno = t->drained ? EAGAIN : EINTR;
		return (-1);

	case SSL_ERROR_WANT_WRITE:
		t->events = POLLOUT;
		errno = EAGAIN;
		return (-1);

	case SSL_ERROR_ZERO_RETURN:
		errno = ECONNABORTED;
		return (0);

	default:
		if (t->errnum != 0) {
			errno = t->errnum;
			return (-1);
		}
		if (t->at_end && !t->established)
			snprintf(t->error, sizeof(t->error),
			    "closed within the TLS handshake");
		else
			explain(t);
		errno = t->at_end ? ECONNABORTED : EPROTO;
		return (-1);
	}
}

static int
call(struct pcap_tcp_tls *t, void *buf, size_t size)
{
	struct program_errors errors;
	int status, saved_errno;

	enter(&errors);
	t->drained = 0;
	status = buf == NULL ? ssl.SSL_do_handshake(t->ssl) :
	    ssl.SSL_read(t->ssl, buf, size > INT_MAX ? INT_MAX : (int)size);
	if (status <= 0)
		status = not_done(t, status);
	saved_errno = errno;
	leave(&errors);
	errno = saved_errno;
	return (status);
}

int
pcap_tcp_tls_handshake(struct pcap_tcp_tls *t)
{
	int status = call(t, NULL, 0);

	t->established = status == 1;
	if (status == 0)
		snprintf(t->error, sizeof(t->error),
		    "closed within the TLS handshake");
	return (t->established ? 0 : -1);
}

ssize_t
pcap_tcp_tls_read(struct pcap_tcp_tls *t, void *buf, size_t size)
{
	return (call(t, buf, size));
}

short
pcap_tcp_tls_events(const struct pcap_tcp_tls *t)
{
	return (t->events);
}

int
pcap_tcp_tls_pending(const struct pcap_tcp_tls *t)
{
	return (ssl.SSL_pending(t->ssl) > 0);
}

const char *
pcap_tcp_tls_error(const struct pcap_tcp_tls *t)
{
	return (t->error);
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
