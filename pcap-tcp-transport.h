/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-transport.h - TCP and Unix connections, made and accepted without
 * blocking.  Sockets are non-blocking and close-on-exec; errors are errno
 * values.
 */
#ifndef pcap_tcp_transport_h
#define pcap_tcp_transport_h

#include <stddef.h>
#include <stdint.h>

struct addrinfo;

#define PCAP_TCP_NEVER	INT64_MAX	/* a time that does not come */

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t	pcap_tcp_now(void);

/*
 * Milliseconds that poll(2) has to wait from now until then: -1 for
 * PCAP_TCP_NEVER, 0 for a time that has passed.
 */
int	pcap_tcp_poll_timeout(int64_t then);

/*
 * The address of a Unix socket.  Returns NULL with errno set.
 */
struct addrinfo *pcap_tcp_unix_address(const char *path);

/* Releases that, or a list of getaddrinfo(3)'s. */
void	pcap_tcp_free_addresses(struct addrinfo *list);

/*
 * Begins to connect a socket with keepalive probes that find a silent peer
 * dead after about 3 * keepalive seconds.  Returns the socket or -1.
 */
int	pcap_tcp_connect(const struct addrinfo *address, int keepalive);

/* Returns 0 if connected, EINPROGRESS if not yet, else why it failed. */
int	pcap_tcp_connect_result(int fd);

/*
 * Returns a listening socket, or -1.  The address [::] takes IPv4, too.
 */
int	pcap_tcp_listen(const struct addrinfo *address);

/*
 * Takes a connection from a listening socket, and the peer's HOST:PORT.
 * Returns a socket, or -1: EAGAIN if there is none.
 */
int	pcap_tcp_accept(int fd, int keepalive, char *peer, size_t size);

/* The numeric address without its port. */
void	pcap_tcp_print_address(const struct addrinfo *address, char *text,
    size_t size);

/* HOST:PORT, with brackets around an IPv6 address; cuts a long host. */
void	pcap_tcp_print_peer(const char *host, unsigned int port, char *text,
    size_t size);

#endif
