/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-socket.h - the bytes of TCP and Unix connections, made and accepted
 * without blocking.  Sockets are non-blocking and close-on-exec, with keepalive
 * probes that find a silent peer dead after about 3 * keepalive seconds; errors
 * are errno values.
 */
#ifndef pcap_tcp_socket_h
#define pcap_tcp_socket_h

#include "pcap-tcp-bytes.h"

struct addrinfo;

/*
 * Begins to connect.  Returns NULL on failure: EAGAIN if a Unix socket's
 * backlog is full.
 */
struct pcap_tcp_bytes *pcap_tcp_connect(const struct addrinfo *address,
    int keepalive);

/*
 * Returns 0 if connected, maybe to a peer that has closed the connection again,
 * EAGAIN if not yet, else why it failed.
 */
int	pcap_tcp_connect_result(struct pcap_tcp_bytes *b);

/*
 * Ends a connection by a reset, for all processes that have it: its peer
 * notices at once, even if it only writes.
 */
void	pcap_tcp_reset(int fd);

/*
 * Returns a listening socket, or -1.  The address [::] takes IPv4, too.
 */
int	pcap_tcp_listen(const struct addrinfo *address);

/*
 * Takes a connection from a listening socket, and the peer's HOST:PORT.
 * Returns NULL on failure: EAGAIN if there is none.
 */
struct pcap_tcp_bytes *pcap_tcp_accept(int fd, int keepalive, char *peer,
    size_t size);

#endif
