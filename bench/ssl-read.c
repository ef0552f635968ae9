/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * ssl-read PORT CA - a loop of SSL_read() and nothing else, over a connection
 * whose certificate is checked by the PEM file CA; says what bench/reader says
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "clock.h"

static void
fail(const char *what)
{
	fprintf(stderr, "ssl-read: %s\n", what);
	exit(1);
}

static SSL *
connect_to(uint16_t port, const char *ca)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SSL *ssl;

	if (ctx == NULL || SSL_CTX_load_verify_file(ctx, ca) != 1)
		fail("cannot read the certificates");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		fail("cannot connect");
	ssl = SSL_new(ctx);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		fail("no TLS");
	return (ssl);
}

int
main(int argc, char **argv)
{
	static char buffer[256 * 1024];
	int64_t began = nanoseconds();
	double cpu = cpu_seconds();
	SSL *ssl;

	if (argc != 3)
		fail("usage: ssl-read PORT CA");
	ssl = connect_to((uint16_t)atoi(argv[1]), argv[2]);
	while (SSL_read(ssl, buffer, sizeof(buffer)) > 0)
		;
	if (SSL_get_shutdown(ssl) != SSL_RECEIVED_SHUTDOWN)
		fail("TLS was cut off");
	printf("0 %.6f %.6f\n", (double)(nanoseconds() - began) / 1e9,
	    cpu_seconds() - cpu);
	return (0);
}
