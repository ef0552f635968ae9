/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-tls.h - the far end of TLS, for fuzz-handle: OpenSSL between two pieces
 * of memory, so that the input says when bytes go over the connection, and how
 * many.  Random numbers are always the same ones.
 */

#define OPENSSL_SUPPRESS_DEPRECATED	/* RAND_METHOD */

#include <sys/mman.h>
#include <sys/socket.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* PEM files that have no name: a certificate, which trusts itself, and key. */
static char certificate_file[32], key_file[32];

static SSL_CTX *client_context, *server_context;
static uint64_t random_state;

static int
next_random(unsigned char *buf, int size)
{
	int i;

	for (i = 0; i < size; i++) {
		random_state = random_state * 6364136223846793005U + 1;
		buf[i] = (unsigned char)(random_state >> 56);
	}
	return (1);
}

static int
next_random_status(void)
{
	return (1);
}

static FILE *
new_file(char name[32])
{
	int fd = memfd_create("pem", 0);

	check(fd != -1);
	snprintf(name, 32, "/proc/self/fd/%d", fd);
	return (fdopen(fd, "w"));
}

static X509 *
new_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL,
	    NID_subject_alt_name, "IP:127.0.0.1");

	check(X509_set_version(x, 2) && X509_set_pubkey(x, key) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -86400) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), 10 * 86400) != NULL &&
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)"fuzz", -1, -1, 0) &&
	    X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	    X509_add_ext(x, names, -1) && X509_sign(x, key, NULL) > 0);
	X509_EXTENSION_free(names);
	return (x);
}

static SSL_CTX *
new_context(const SSL_METHOD *method, X509 *certificate, EVP_PKEY *key)
{
	SSL_CTX *c = SSL_CTX_new(method);

	check(c != NULL && SSL_CTX_use_certificate(c, certificate) == 1 &&
	    SSL_CTX_use_PrivateKey(c, key) == 1);
	SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return (c);
}

static void
set_up_tls(void)
{
	static const RAND_METHOD same = { NULL, next_random, NULL, NULL,
	    next_random, next_random_status };
	EVP_PKEY *key;
	X509 *certificate;
	FILE *f;

	/* Not the system's trust store, which takes long to read. */
	setenv("SSL_CERT_FILE", "/dev/null", 1);
	RAND_set_rand_method(&same);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	check(key != NULL);
	certificate = new_certificate(key);
	f = new_file(certificate_file);
	check(PEM_write_X509(f, certificate) && fflush(f) == 0);
	f = new_file(key_file);
	check(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) &&
	    fflush(f) == 0);
	client_context = new_context(TLS_client_method(), certificate, key);
	server_context = new_context(TLS_server_method(), certificate, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static SSL *
new_tls(int is_server, int version)
{
	SSL *ssl = SSL_new(is_server ? server_context : client_context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	check(ssl != NULL && in != NULL && out != NULL);
	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(ssl, in, out);
	SSL_set_max_proto_version(ssl, version);
	if (is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return (ssl);
}

/* Takes what has come, and sends what that asks for: so many bytes of it. */
static void
exchange(SSL *ssl, int fd, size_t most)
{
	char buf[16384];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		BIO_write(SSL_get_rbio(ssl), buf, (int)n);
	while (SSL_read(ssl, buf, sizeof(buf)) > 0)
		;
	while (most > 0 && (n = BIO_read(SSL_get_wbio(ssl), buf,
	    (int)(most < sizeof(buf) ? most : sizeof(buf)))) > 0) {
		(void)send(fd, buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
		most -= (size_t)n;
	}
	ERR_clear_error();
}

/* What TLS may say besides data. */
static void
say(SSL *ssl, unsigned int what)
{
	if (what == 0)
		(void)SSL_shutdown(ssl);
	else if (SSL_key_update(ssl, what == 1 ? SSL_KEY_UPDATE_REQUESTED :
	    SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
		(void)SSL_do_handshake(ssl);
}
