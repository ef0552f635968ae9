/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-socket.c - TCP and Unix connections
 */

#define _GNU_SOURCE	/* accept4() */

#include <errno.h>
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

struct socket_bytes {
	struct pcap_tcp_bytes bytes;	/* first */
	int was_reset;		/* SO_ERROR said so, and has forgotten it. */
};

/* read() and not recv(): some programs' sandboxes know only that. */
static ssize_t
socket_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	ssize_t n = read(b->fd, buf, size);

	if (n == 0 && ((struct socket_bytes *)b)->was_reset) {
		errno = ECONNRESET;
		return (-1);
	}
	return (n);
}

static void
socket_close(struct pcap_tcp_bytes *b)
{
	close(b->fd);
	free(b);
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

/* What fails is not worth a connection: a socket may be of another family. */
static void
set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* The bytes of a socket, which is theirs from now on, even on failure. */
static struct pcap_tcp_bytes *
new_bytes(int fd, int keepalive)
{
	static const struct pcap_tcp_bytes_ops ops = {
		.read = socket_read, .close = socket_close
	};
	struct socket_bytes *s = malloc(sizeof(*s));

	if (s == NULL) {
		(void)close_failed(fd);
		return (NULL);
	}
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
	s->was_reset = 0;
	s->bytes = (struct pcap_tcp_bytes){
		.ops = &ops, .fd = fd, .wanted = POLLIN, .established = 1
	};
	return (&s->bytes);
}

static int
open_socket(const struct addrinfo *address)
{
	return (socket(address->ai_family,
	    address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    address->ai_protocol));
}

struct pcap_tcp_bytes *
pcap_tcp_connect(const struct addrinfo *address, int keepalive)
{
	int fd = open_socket(address);

	if (fd != -1 && connect(fd, address->ai_addr,
	    address->ai_addrlen) == -1 && errno != EINPROGRESS)
		fd = close_failed(fd);
	return (fd == -1 ? NULL : new_bytes(fd, keepalive));
}

/*
 * A loopback port in the ephemeral range that nobody listens on can be
 * given to the connecting socket itself, and TCP then connects it to itself.
 * It would wait for a stream for ever and keep the server from its port.
 */
static int
is_connected_to_itself(int fd)
{
	struct sockaddr_storage own = { 0 }, peer = { 0 };
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

	return (getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
	    own_len == peer_len && memcmp(&own, &peer, own_len) == 0);
}

int
pcap_tcp_connect_result(struct pcap_tcp_bytes *b)
{
	struct pollfd pfd = { .fd = b->fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&pfd, 1, 0) <= 0)
		return (EAGAIN);
	if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return (errno);
	/* What came before a reset still counts. */
	((struct socket_bytes *)b)->was_reset = error == ECONNRESET;
	if (error == ECONNRESET || error == EPIPE)
		return (0);
	if (error == 0 && is_connected_to_itself(b->fd))
		return (ECONNREFUSED);
	return (error);
}

void
pcap_tcp_reset(int fd)
{
	const struct sockaddr address = { .sa_family = AF_UNSPEC };

	(void)connect(fd, &address, sizeof(address));
}

int
pcap_tcp_listen(const struct addrinfo *address)
{
	int fd = open_socket(address);

	if (fd == -1)
		return (-1);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (bind(fd, address->ai_addr, address->ai_addrlen) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		return (close_failed(fd));
	return (fd);
}

struct pcap_tcp_bytes *
pcap_tcp_accept(int fd, int keepalive, char *peer, size_t size)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	fd = accept4(fd, (struct sockaddr *)&address, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return (NULL);
	if (getnameinfo((struct sockaddr *)&address, len, host, sizeof(host),
	    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		pcap_tcp_print_peer(host, (unsigned int)atoi(port), peer, size);
	else
		snprintf(peer, size, "a sender");
	return (new_bytes(fd, keepalive));
}
