/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-transport.h - name look-up and TCP connections that never block
 * longer than they are told.  Errors are errno values.
 */
#ifndef pcap_tcp_transport_h
#define pcap_tcp_transport_h

#include <stddef.h>
#include <stdint.h>

struct addrinfo;
struct sockaddr;

#define PCAP_TCP_NEVER	INT64_MAX	/* a time that does not come */

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t	pcap_tcp_now(void);

/*
 * Milliseconds that poll(2) has to wait from now until then: -1 for
 * PCAP_TCP_NEVER, 0 for a time that has passed.
 */
int	pcap_tcp_poll_timeout(int64_t then);

/*
 * Looks up the stream addresses of host, a name or a numeric address, with
 * a port in host byte order.  A name is given up at the time deadline, or
 * when wake_fd becomes readable.  Returns 0 and a list for freeaddrinfo(3),
 * or an EAI_ code, with errno set: ETIMEDOUT and EINTR under EAI_SYSTEM stand
 * for those two ends.
 */
int	pcap_tcp_resolve(const char *host, unsigned short port,
    int64_t deadline, int wake_fd, struct addrinfo **list);

/*
 * Begins to connect a non-blocking, close-on-exec socket with keepalive
 * probes that find a silent peer dead after about 3 * keepalive seconds.
 * Returns the socket or -1.
 */
int	pcap_tcp_connect(const struct addrinfo *address, int keepalive);

/* Returns 0 if connected, EINPROGRESS if not yet, else why it failed. */
int	pcap_tcp_connect_result(int fd);

/* The numeric address without its port. */
void	pcap_tcp_print_address(const struct addrinfo *address, char *text,
    size_t size);

#endif
