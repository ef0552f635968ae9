/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-address.c - addresses, and errno's text
 */

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "pcap-tcp-address.h"

int
pcap_tcp_numeric_address(const char *host, unsigned short port,
    struct addrinfo **list)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
	};
	char service[sizeof("65535")];

	snprintf(service, sizeof(service), "%u", port);
	return (getaddrinfo(host, service, &hints, list));
}

struct addrinfo *
pcap_tcp_unix_address(const char *path)
{
	struct {
		struct addrinfo info;
		struct sockaddr_un address;
	} *a;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return (NULL);
	a->address.sun_family = AF_UNIX;
	snprintf(a->address.sun_path, sizeof(a->address.sun_path), "%s", path);
	a->info.ai_family = AF_UNIX;
	a->info.ai_socktype = SOCK_STREAM;
	a->info.ai_addr = (struct sockaddr *)&a->address;
	a->info.ai_addrlen = sizeof(a->address);
	return (&a->info);
}

void
pcap_tcp_free_addresses(struct addrinfo *list)
{
	if (list != NULL && list->ai_family == AF_UNIX)
		free(list);
	else if (list != NULL)
		freeaddrinfo(list);
}

void
pcap_tcp_print_address(const struct addrinfo *address, char *text,
    size_t size)
{
	if (getnameinfo(address->ai_addr, address->ai_addrlen, text,
	    (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(text, size, "?");
}

void
pcap_tcp_print_peer(const char *host, unsigned int port, char *text,
    size_t size)
{
	snprintf(text, size, strchr(host, ':') != NULL ? "[%.100s]:%u" :
	    "%.100s:%u", host, port);
}

void
pcap_tcp_fmt_errno(char *text, size_t size, int error, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, size, fmt, ap);
	va_end(ap);
	n = strlen(text);
	/* glibc (2.32 and up) and musl have a strerror() for threads. */
	snprintf(text + n, size - n, ": %s", strerror(error));
}
