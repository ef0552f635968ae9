/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-source.h - one peer, that the device connects to or that connected
 * to it: its connection, its buffer and its decoder.
 *
 * Nothing here blocks.  A source waits for its watch, and for its deadline.
 */
#ifndef pcap_tcp_source_h
#define pcap_tcp_source_h

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

#include "pcap-tcp-decoder.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-events.h"
#include "pcap-tcp-lookup.h"
#include "pcap-tcp-tls.h"

/*
 * Large enough that a read costs nothing per packet, small enough to stay in
 * the second-level cache from read() to the callback.
 */
#define PCAP_TCP_BUFFER_SIZE	(256 * 1024)

/* Records that are decoded at a time, for the same reasons. */
#define PCAP_TCP_BATCH		128

enum pcap_tcp_progress {
	PCAP_TCP_WAIT,		/* nothing to do before an event or deadline */
	PCAP_TCP_PROGRESS,	/* look again for a record, then come back */
	PCAP_TCP_UNREACHABLE,	/* no stream could be had this time */
	PCAP_TCP_END,		/* the stream ended between two records */
	PCAP_TCP_FAILED		/* the stream ended within one */
};

struct pcap_tcp_source {
	/* The next record, and where those that were decoded end. */
	const struct pcap_tcp_record *head, *end;
	/* What is behind them: PCAP_TCP_MORE or _ERROR. */
	enum pcap_tcp_decoded decoded;
	int swapped;		/* the decoder was, when it decoded them */

	u_char *next;		/* in the buffer: not decoded yet, */
	size_t left;		/* so many bytes */
	size_t needed;		/* of them to decode more */
	struct pcap_tcp_decoder decoder;
	u_char *buffer;
	size_t capacity;
	int64_t per_second;	/* ticks of a record's time stamp */
	uint64_t received;	/* records before the decoded ones */
	uint64_t received_before;	/* the last attempt to connect */

	enum {
		PCAP_TCP_DOWN,		/* next attempt at the deadline */
		PCAP_TCP_RESOLVING,	/* given up at the deadline, */
		PCAP_TCP_CONNECTING,	/* and so are these */
		PCAP_TCP_IN_HANDSHAKE,
		PCAP_TCP_CONNECTED	/* until the header is here, too */
	} state;
	int64_t deadline;	/* pcap_tcp_now() time */
	int extension_left;	/* the deadline may be put off once */
	struct pcap_tcp_watch watch;	/* of a socket, or of a look-up */
	size_t *extra_bytes;	/* of all senders of the device */
	int was_reset;		/* the socket said so before it was read */

	const struct pcap_tcp_device *device;
	const struct pcap_tcp_address *target;	/* NULL: it came to us */
	struct pcap_tcp_lookup *lookup;
	struct addrinfo *addresses, *address;
	struct pcap_tcp_tls_context *tls_context;	/* NULL: no TLS */
	struct pcap_tcp_tls *tls;
	int64_t attempt_end;	/* 0 between two attempts */
	int64_t give_up;	/* no attempt goes on for longer */
	int timeout;		/* seconds for an attempt, 0 = no limit */
	int backoff;		/* delay after the next failure, ms */

	char peer[128];		/* HOST:PORT for errors, a long host cut */
	char error[PCAP_ERRBUF_SIZE];	/* why the last stream ended, */
	int errnum;		/* or none could be had */
	int failed_errno;	/* of the first address tried, */
	int failed_alike;	/* is it that of all of them? */
	char failed[PCAP_ERRBUF_SIZE];	/* each with its address */

	struct pcap_tcp_record record[PCAP_TCP_BATCH];
};

/* What the sources of a device have in common. */
struct pcap_tcp_common {
	const struct pcap_tcp_device *device;
	int precision;		/* PCAP_TSTAMP_PRECISION_ */
	const struct pcap_tcp_events *events;
	size_t *extra_bytes;	/* memory beyond the standard buffers */
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

/* Is there a record at head? */
static inline int
pcap_tcp_source_has_record(const struct pcap_tcp_source *s)
{
	return (s->head != s->end);
}

/* Can more be had although its descriptor does not say so? */
static inline int
pcap_tcp_source_pending(const struct pcap_tcp_source *s)
{
	return (s->decoded == PCAP_TCP_ERROR ||
	    (s->tls != NULL && pcap_tcp_tls_pending(s->tls)));
}

/* Records that were taken from all its streams. */
static inline uint64_t
pcap_tcp_source_received(const struct pcap_tcp_source *s)
{
	return (s->received + (uint64_t)(s->head - s->record));
}

/* Ticks of a time stamp of this PCAP_TSTAMP_PRECISION_. */
static inline int64_t
pcap_tcp_per_second(int precision)
{
	return (precision == PCAP_TSTAMP_PRECISION_NANO ? 1000000000 : 1000000);
}

/* A record's time stamp, in ticks. */
static inline int64_t
pcap_tcp_source_time(const struct pcap_tcp_source *s,
    const struct pcap_tcp_record *r)
{
	return ((int64_t)((uint64_t)r->h.ts.tv_sec *
	    (uint64_t)s->per_second + (uint64_t)r->h.ts.tv_usec));
}

/*
 * Decodes records, when those that were decoded before have been taken; up to
 * the header that starts the stream and no further if until_start.
 */
void	pcap_tcp_source_decode(struct pcap_tcp_source *s, int until_start);

#endif
