/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-openssl.h - OpenSSL 3's functions, loaded when they are needed, so
 * that the many programs that never open a TLS device are spared them.
 */
#ifndef pcap_tcp_openssl_h
#define pcap_tcp_openssl_h

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define PCAP_TCP_OPENSSL_FUNCTIONS(F) \
	F(ASN1_TIME_to_tm) F(BIO_clear_flags) F(BIO_get_data) F(BIO_meth_free) \
	F(BIO_meth_new) F(BIO_meth_set_ctrl) F(BIO_meth_set_write) \
	F(BIO_new) F(BIO_set_data) F(BIO_set_flags) F(BIO_set_init) \
	F(ERR_clear_error) F(ERR_get_error) F(ERR_new) F(ERR_peek_error) \
	F(ERR_reason_error_string) F(ERR_set_error) \
	F(SSL_client_hello_get0_ext) F(SSL_ctrl) \
	F(SSL_CTX_check_private_key) F(SSL_CTX_ctrl) F(SSL_CTX_free) \
	F(SSL_CTX_load_verify_file) F(SSL_CTX_new) F(SSL_CTX_set_cipher_list) \
	F(SSL_CTX_set_client_CA_list) F(SSL_CTX_set_client_hello_cb) \
	F(SSL_CTX_set_default_passwd_cb_userdata) \
	F(SSL_CTX_set_default_verify_paths) F(SSL_CTX_set_num_tickets) \
	F(SSL_CTX_set_options) F(SSL_CTX_set_verify) \
	F(SSL_CTX_use_certificate_chain_file) F(SSL_CTX_use_PrivateKey_file) \
	F(SSL_free) F(SSL_get0_param) F(SSL_get1_peer_certificate) \
	F(SSL_get_error) F(SSL_get_verify_result) F(SSL_get_version) \
	F(SSL_is_init_finished) \
	F(SSL_load_client_CA_file) F(SSL_new) F(SSL_pending) F(SSL_read) \
	F(SSL_set0_wbio) F(SSL_set1_host) F(SSL_set_accept_state) \
	F(SSL_set_connect_state) F(SSL_set_hostflags) F(SSL_set_rfd) \
	F(TLS_method) F(X509_free) F(X509_get0_notAfter) \
	F(X509_get_subject_name) F(X509_NAME_oneline) \
	F(X509_verify_cert_error_string) F(X509_VERIFY_PARAM_set1_ip_asc)

#define PCAP_TCP_OPENSSL_DECLARE(function)	__typeof__(&function) function;
struct pcap_tcp_openssl {
	PCAP_TCP_OPENSSL_FUNCTIONS(PCAP_TCP_OPENSSL_DECLARE)
};

/* Filled in by pcap_tcp_openssl_load(). */
extern struct pcap_tcp_openssl pcap_tcp_openssl;

/*
 * Loads OpenSSL, once for all; safe in any thread.  Returns NULL, or what is
 * missing, for now maybe.
 */
const char *pcap_tcp_openssl_load(void);

/* The text of the oldest error in the queue. */
const char *pcap_tcp_openssl_reason(void);

/*
 * The error queue is the thread's: it has to be empty for SSL_get_error(), but
 * what the program left in it is the program's and comes back.
 */
struct pcap_tcp_openssl_errors {
	unsigned int n;
	unsigned long code[16];		/* OpenSSL keeps no more. */
};

void	pcap_tcp_openssl_enter(struct pcap_tcp_openssl_errors *errors);
void	pcap_tcp_openssl_leave(const struct pcap_tcp_openssl_errors *errors);

#endif
