/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-bytes.h - where the bytes of a stream come from: a connection, or
 * TLS over one.  Each kind has its own table of operations.
 */
#ifndef pcap_tcp_bytes_h
#define pcap_tcp_bytes_h

#include <sys/types.h>

#include "pcap-tcp-status.h"

struct pcap_tcp_bytes {
	const struct pcap_tcp_bytes_ops *ops;
	int fd;			/* to wait for; -1: none */
	short wanted;		/* after EAGAIN: POLLIN or POLLOUT */
	int established;	/* 0: within a handshake, before any byte */
};

struct pcap_tcp_bytes_ops {
	/*
	 * As read(2) of a non-blocking socket.  EINTR: there may be more at
	 * once, without an event.  ECONNABORTED: the connection ended in a way
	 * that the end of a stream does not.
	 */
	ssize_t	(*read)(struct pcap_tcp_bytes *b, void *buf, size_t size);

	/*
	 * Can the next read be had although the descriptor does not say so?
	 * NULL: never.
	 */
	int	(*pending)(const struct pcap_tcp_bytes *b);

	/*
	 * What errno does not say about a failed read, or NULL, here as there:
	 * it says all.
	 */
	const char *(*error)(const struct pcap_tcp_bytes *b);

	/* What TLS says of the connection.  NULL: there is none. */
	void	(*describe)(const struct pcap_tcp_bytes *b,
	    struct pcap_tcp_security *security);

	/* Closes the descriptor, and releases the whole. */
	void	(*close)(struct pcap_tcp_bytes *b);
};

static inline ssize_t
pcap_tcp_bytes_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	return (b->ops->read(b, buf, size));
}

static inline int
pcap_tcp_bytes_pending(const struct pcap_tcp_bytes *b)
{
	return (b->ops->pending != NULL && b->ops->pending(b));
}

static inline const char *
pcap_tcp_bytes_error(const struct pcap_tcp_bytes *b)
{
	return (b->ops->error != NULL ? b->ops->error(b) : NULL);
}

static inline void
pcap_tcp_bytes_describe(const struct pcap_tcp_bytes *b,
    struct pcap_tcp_security *security)
{
	if (b->ops->describe != NULL)
		b->ops->describe(b, security);
}

static inline void
pcap_tcp_bytes_close(struct pcap_tcp_bytes *b)
{
	b->ops->close(b);
}

#endif
