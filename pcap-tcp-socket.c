/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-socket.c - TCP and Unix connections
 */

#define _GNU_SOURCE	/* accept4() */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-socket.h"

static void
set_keepalive(int fd, int seconds)
{
	const int on = 1, probes = 2;

	/* A peer that can't be probed is no reason not to read from it. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds,
	    sizeof(seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds,
	    sizeof(seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes,
	    sizeof(probes));
}

static int
open_socket(const struct addrinfo *address)
{
	return (socket(address->ai_family,
	    address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    address->ai_protocol));
}

/* Returns -1 with errno as it is. */
static int
close_failed(int fd)
{
	int saved_errno = errno;

	close(fd);
	errno = saved_errno;
	return (-1);
}

int
pcap_tcp_connect(const struct addrinfo *address, int keepalive)
{
	int fd = open_socket(address);

	if (fd == -1)
		return (-1);
	if (address->ai_family != AF_UNIX)
		set_keepalive(fd, keepalive);
	if (connect(fd, address->ai_addr, address->ai_addrlen) == -1 &&
	    errno != EINPROGRESS && errno != EINTR)
		return (close_failed(fd));
	return (fd);
}

/*
 * A loopback port in the ephemeral range that nobody listens on can be
 * given to the connecting socket itself, and TCP then connects it to itself.
 * It would wait for a stream for ever and keep the server from its port.
 */
static int
is_connected_to_itself(int fd)
{
	struct sockaddr_storage own, peer;
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

	memset(&own, 0, sizeof(own));
	memset(&peer, 0, sizeof(peer));
	if (getsockname(fd, (struct sockaddr *)&own, &own_len) == -1 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) == -1)
		return (0);
	return (own_len == peer_len && memcmp(&own, &peer, own_len) == 0);
}

int
pcap_tcp_connect_result(int fd)
{
	struct pollfd pfd;
	socklen_t len;
	int error = 0;

	pfd.fd = fd;
	pfd.events = POLLOUT;
	if (poll(&pfd, 1, 0) <= 0)
		return (EINPROGRESS);
	len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return (errno);
	if (error == 0 && is_connected_to_itself(fd))
		return (ECONNREFUSED);
	return (error);
}

int
pcap_tcp_listen(const struct addrinfo *address)
{
	const int on = 1, off = 0;
	int fd = open_socket(address);

	if (fd == -1)
		return (-1);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
		    sizeof(off));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		return (close_failed(fd));
	return (fd);
}

int
pcap_tcp_accept(int fd, int keepalive, char *peer, size_t size)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1], port[sizeof("65535")];

	fd = accept4(fd, (struct sockaddr *)&address, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return (-1);
	set_keepalive(fd, keepalive);
	if (getnameinfo((struct sockaddr *)&address, len, host, sizeof(host),
	    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		pcap_tcp_print_peer(host, (unsigned int)atoi(port), peer, size);
	else
		snprintf(peer, size, "a sender");
	return (fd);
}

struct socket_bytes {
	struct pcap_tcp_bytes bytes;	/* first */
	int was_reset;
};

/* read() and not recv(): some programs' sandboxes know only that. */
static ssize_t
socket_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	ssize_t n;

	do {
		n = read(b->fd, buf, size);
	} while (n == -1 && errno == EINTR);
	if (n == 0 && ((struct socket_bytes *)b)->was_reset) {
		errno = ECONNRESET;
		return (-1);
	}
	return (n);
}

static int
socket_pending(const struct pcap_tcp_bytes *b)
{
	(void)b;
	return (0);
}

static const char *
socket_error(const struct pcap_tcp_bytes *b)
{
	(void)b;
	return (NULL);
}

static void
socket_close(struct pcap_tcp_bytes *b)
{
	close(b->fd);
	free(b);
}

struct pcap_tcp_bytes *
pcap_tcp_socket_bytes(int fd, int was_reset)
{
	static const struct pcap_tcp_bytes_ops ops = {
		socket_read, socket_pending, socket_error, socket_close
	};
	struct socket_bytes *s = malloc(sizeof(*s));

	if (s == NULL) {
		(void)close_failed(fd);
		return (NULL);
	}
	s->bytes.ops = &ops;
	s->bytes.fd = fd;
	s->bytes.wanted = POLLIN;
	s->bytes.established = 1;
	s->was_reset = was_reset;
	return (&s->bytes);
}
