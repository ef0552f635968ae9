/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-source.h - one peer, that the device connects to or that connected
 * to it: its connection, its buffer and its decoder.
 *
 * Nothing here blocks.  What a source waits for is what its fd says in its
 * epoll set, and its deadline.
 */
#ifndef pcap_tcp_source_h
#define pcap_tcp_source_h

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

#include "pcap-tcp-decoder.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-lookup.h"
#include "pcap-tcp-tls.h"
#include "pcap-tcp-transport.h"

/*
 * Large enough that a read costs nothing per packet, small enough to stay in
 * the second-level cache from read() to the callback.
 */
#define PCAP_TCP_BUFFER_SIZE	(256 * 1024)

enum pcap_tcp_progress {
	PCAP_TCP_WAIT,		/* nothing to do before an event or deadline */
	PCAP_TCP_PROGRESS,	/* look again for a record, then come back */
	PCAP_TCP_UNREACHABLE,	/* no stream could be had this time */
	PCAP_TCP_END,		/* the stream ended between two records */
	PCAP_TCP_FAILED		/* the stream ended within one */
};

struct pcap_tcp_source {
	/* The next record, where decoded says PCAP_TCP_RECORD. */
	enum pcap_tcp_decoded decoded;
	struct pcap_tcp_record head;

	u_char *next;		/* in the buffer: not decoded yet, */
	size_t left;		/* so many bytes */
	struct pcap_tcp_decoder decoder;
	u_char *buffer;
	size_t capacity;
	int64_t per_second;	/* ticks of a record's time stamp */
	uint64_t received;	/* records, of all connections */
	uint64_t received_before;	/* the last attempt to connect */

	enum {
		PCAP_TCP_DOWN,		/* next attempt at the deadline */
		PCAP_TCP_RESOLVING,	/* given up at the deadline, */
		PCAP_TCP_CONNECTING,	/* and so are these */
		PCAP_TCP_IN_HANDSHAKE,
		PCAP_TCP_CONNECTED	/* until the header is here, too */
	} state;
	int64_t deadline;	/* pcap_tcp_now() time */
	int waiting;		/* the last step said PCAP_TCP_WAIT */
	int fd;			/* a socket or a look-up's */
	short events;		/* to wait for: POLLIN or POLLOUT */
	short watched;		/* those in the epoll set */
	int epoll_fd;
	size_t *grown;		/* the device's senders', together */
	int was_reset;		/* fd told so before it was read */

	const struct pcap_tcp_device *device;
	const struct pcap_tcp_address *target;	/* NULL: it came to us */
	struct pcap_tcp_lookup *lookup;
	struct addrinfo *addresses, *address;
	struct pcap_tcp_tls_context *tls_context;	/* NULL: no TLS */
	struct pcap_tcp_tls *tls;
	int64_t attempt_end;	/* 0 between two attempts */
	int64_t give_up;	/* no attempt goes on for longer */
	int timeout;		/* seconds for an attempt, 0 = no limit */
	int backoff;		/* ms until the next attempt but one */

	char peer[128];		/* HOST:PORT for errors, a long host cut */
	char error[PCAP_ERRBUF_SIZE];	/* why the last stream ended, */
	int errnum;		/* or none could be had */
	int failed_errno;	/* of the first address tried, */
	int failed_alike;	/* is it that of all of them? */
	char failed[PCAP_ERRBUF_SIZE];	/* each with its address */
};

/* What the sources of a device have in common. */
struct pcap_tcp_common {
	const struct pcap_tcp_device *device;
	int precision;		/* PCAP_TSTAMP_PRECISION_ */
	int epoll_fd;
	size_t *grown;		/* bytes that senders have for long records */
};

/*
 * A source that connects to target, which is one of the device's, with TLS if
 * tls_context says so.  Returns NULL if out of memory.
 */
struct pcap_tcp_source *pcap_tcp_source_dial(
    const struct pcap_tcp_common *common,
    const struct pcap_tcp_address *target,
    struct pcap_tcp_tls_context *tls_context);

/*
 * A source that connected to us: a socket, which becomes the source's, and
 * its peer's name.  Returns NULL with the socket closed.
 */
struct pcap_tcp_source *pcap_tcp_source_accept(
    const struct pcap_tcp_common *common, int fd, const char *peer,
    struct pcap_tcp_tls_context *tls_context);

void	pcap_tcp_source_free(struct pcap_tcp_source *s);

/*
 * Goes on with connecting or reading, by at most one read.  After
 * UNREACHABLE, END and FAILED, error and errnum say why, the connection is
 * closed, and a new attempt is due at the deadline.
 */
enum pcap_tcp_progress pcap_tcp_source_advance(struct pcap_tcp_source *s);

/* Has the epoll set look for what the source waits for, or for nothing. */
void	pcap_tcp_source_watch(struct pcap_tcp_source *s, int on);

/* Can more be had although its fd does not say so? */
static inline int
pcap_tcp_source_pending(const struct pcap_tcp_source *s)
{
	return (s->decoded == PCAP_TCP_ERROR ||
	    (s->tls != NULL && pcap_tcp_tls_pending(s->tls)));
}

/* Ticks of a time stamp of this PCAP_TSTAMP_PRECISION_. */
static inline int64_t
pcap_tcp_per_second(int precision)
{
	return (precision == PCAP_TSTAMP_PRECISION_NANO ? 1000000000 : 1000000);
}

/* The time stamp of the record in head, in ticks. */
static inline int64_t
pcap_tcp_source_time(const struct pcap_tcp_source *s)
{
	return ((int64_t)((uint64_t)s->head.h.ts.tv_sec *
	    (uint64_t)s->per_second + (uint64_t)s->head.h.ts.tv_usec));
}

/* What is in head is done with. */
static inline void
pcap_tcp_source_skip(struct pcap_tcp_source *s)
{
	s->next += s->head.size;
	s->left -= s->head.size;
	s->head.size = 1;
	s->decoded = PCAP_TCP_MORE;
}

/* Takes the record in head from the stream. */
static inline void
pcap_tcp_source_pop(struct pcap_tcp_source *s)
{
	pcap_tcp_source_skip(s);
	s->received++;
}

static inline void
pcap_tcp_source_decode_one(struct pcap_tcp_source *s)
{
	s->decoded = pcap_tcp_decode(&s->decoder, s->next, s->left, &s->head);
	if (s->decoded != PCAP_TCP_SKIP)
		return;
	pcap_tcp_source_skip(s);
	if (s->decoder.started)
		s->deadline = PCAP_TCP_NEVER;
}

static inline int
pcap_tcp_source_can_decode(const struct pcap_tcp_source *s)
{
	return (s->decoded == PCAP_TCP_MORE && s->left >= s->head.size);
}

/*
 * Is there a whole record in the buffer?  PCAP_TCP_RECORD: it is in head,
 * and its data stays valid until pcap_tcp_source_advance().  PCAP_TCP_MORE:
 * advance.  PCAP_TCP_ERROR: so will the next pcap_tcp_source_advance() say.
 */
static inline enum pcap_tcp_decoded
pcap_tcp_source_peek(struct pcap_tcp_source *s)
{
	while (pcap_tcp_source_can_decode(s))
		pcap_tcp_source_decode_one(s);
	return (s->decoded);
}

/* Decodes up to the header that starts the stream, and no further. */
static inline void
pcap_tcp_source_decode_start(struct pcap_tcp_source *s)
{
	while (!s->decoder.started && pcap_tcp_source_can_decode(s))
		pcap_tcp_source_decode_one(s);
}

#endif
