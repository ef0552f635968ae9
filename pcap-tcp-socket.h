/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-socket.h - TCP and Unix connections, made and accepted without
 * blocking.  Sockets are non-blocking and close-on-exec; errors are errno
 * values.
 */
#ifndef pcap_tcp_socket_h
#define pcap_tcp_socket_h

#include <stddef.h>

#include "pcap-tcp-bytes.h"

struct addrinfo;

/*
 * Begins to connect a socket with keepalive probes that find a silent peer
 * dead after about 3 * keepalive seconds.  Returns the socket or -1.
 */
int	pcap_tcp_connect(const struct addrinfo *address, int keepalive);

/*
 * Returns 0 if connected, EINPROGRESS if not yet, ECONNRESET or EPIPE if the
 * peer has closed the connection again, else why it failed.
 */
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

/*
 * The bytes that come from a connected socket, which is theirs from now on.
 * was_reset: pcap_tcp_connect_result() has taken the socket's ECONNRESET.
 * Returns NULL if out of memory; the socket is closed then.
 */
struct pcap_tcp_bytes *pcap_tcp_socket_bytes(int fd, int was_reset);

#endif
