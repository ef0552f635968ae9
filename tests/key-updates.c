/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * key-updates PORT [quiet] - a TLS client that sends what it finds on its
 * standard input until the first 'K', all at once, with a TLS 1.3 key update for
 * each 'U'; then nothing but key updates, or nothing at all
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

/* Returns 1, or what TLS says. */
static int
update_key(SSL *ssl)
{
	return (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ?
	    SSL_do_handshake(ssl) : 0);
}

static void
cork(int fd, int on)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

int
main(int argc, char **argv)
{
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), c;
	char byte;

	if (argc < 2)
		return (2);
	signal(SIGPIPE, SIG_IGN);
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		return (1);
	cork(fd, 1);
	while ((c = getchar()) != EOF && c != 'K') {
		byte = (char)c;
		if ((c == 'U' ? update_key(ssl) :
		    SSL_write(ssl, &byte, 1)) != 1)
			return (1);
	}
	cork(fd, 0);
	puts("K");
	fflush(stdout);
	if (argc > 2)
		return (SSL_read(ssl, &byte, 1) > 0);
	while (update_key(ssl) == 1)
		;
	return (0);
}
