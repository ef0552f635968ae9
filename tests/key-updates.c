/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * key-updates PORT - a TLS client that sends what it finds on its standard
 * input until the first 'K', and then nothing but TLS 1.3 key updates
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

int
main(int argc, char **argv)
{
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), c;
	char byte;

	if (argc != 2)
		return (2);
	signal(SIGPIPE, SIG_IGN);
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		return (1);
	while ((c = getchar()) != EOF && c != 'K') {
		byte = (char)c;
		if (SSL_write(ssl, &byte, 1) != 1)
			return (1);
	}
	puts("K");
	fflush(stdout);
	while (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
	    SSL_do_handshake(ssl) == 1)
		;
	return (0);
}
