/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-stream.h - what one connection brings: bytes, a buffer, and a
 * decoder that makes records of them.
 *
 * Nothing here blocks, and nothing is closed: a stream that is over says so,
 * and why.
 */
#ifndef pcap_tcp_stream_h
#define pcap_tcp_stream_h

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

#include "pcap-tcp-bytes.h"
#include "pcap-tcp-decoder.h"

/*
 * Large enough that a read costs nothing per packet, small enough to stay in
 * the second-level cache from read() to the callback.
 */
#define PCAP_TCP_BUFFER_SIZE	(512 * 1024)

/*
 * A stage may write in front of a packet.  The record's header is there, which
 * in a Simple Packet Block is shorter than what is written.
 */
#define PCAP_TCP_HEADROOM	16

/* Records that are decoded at a time, for the same reasons. */
#define PCAP_TCP_BATCH		128

/* How far a step brought a stream, a peer, or a device. */
enum pcap_tcp_progress {
	PCAP_TCP_WAIT,		/* nothing to do before an event or deadline */
	PCAP_TCP_PROGRESS,	/* look again for a record, then come back */
	PCAP_TCP_UNREACHABLE,	/* no stream could be had this time */
	PCAP_TCP_END,		/* the stream ended between two records */
	PCAP_TCP_FAILED		/* the stream ended within one */
};

struct pcap_tcp_stream {
	struct pcap_tcp_batch batch;	/* decoded and not taken yet */
	struct pcap_tcp_input in;
	struct pcap_tcp_decoder decoder;
	struct pcap_tcp_bytes *bytes;	/* NULL: none yet; the peer's */
	uint64_t records;		/* decoded since the stream began */
	int full;			/* The last read left some behind. */
	struct timeval arrived;		/* the shared one at that read */
	u_char *buffer;			/* headroom, and */
	size_t capacity;		/* so many bytes */
	/* What is left beyond the standard buffers; NULL: no limit. */
	size_t *bytes_left;
	const char *peer;		/* its name, for errors */
	int errnum;			/* why the stream is over, and */
	char error[PCAP_ERRBUF_SIZE];	/* what the user is told of that */
	struct pcap_tcp_record record[PCAP_TCP_BATCH];
};

/*
 * shared, peer and bytes_left are kept, not copied.  Returns 0, or -1 if out of
 * memory.
 */
int	pcap_tcp_stream_init(struct pcap_tcp_stream *s,
    struct pcap_tcp_decoding *shared, const char *peer, size_t *bytes_left);
void	pcap_tcp_stream_free(struct pcap_tcp_stream *s);

/* Starts another stream: no state of one outlives its connection. */
void	pcap_tcp_stream_restart(struct pcap_tcp_stream *s,
    struct pcap_tcp_bytes *bytes);

/*
 * Reads once into the buffer, as far as there is room, at most so much.
 * Records that were decoded are gone.  After UNREACHABLE, END and FAILED, error
 * and errnum say why.
 */
enum pcap_tcp_progress pcap_tcp_stream_read(struct pcap_tcp_stream *s,
    size_t most);

/*
 * Decodes records, when those that were decoded before have been taken; up to
 * the header that starts the stream and no further if until_start.  Returns
 * 1 if that took any bytes.
 */
int	pcap_tcp_stream_decode(struct pcap_tcp_stream *s, int until_start);

/* The stream is over because of an errno value that no read returned. */
enum pcap_tcp_progress pcap_tcp_stream_fail(struct pcap_tcp_stream *s,
    int error);

/* Is there a record? */
static inline int
pcap_tcp_stream_has_record(const struct pcap_tcp_stream *s)
{
	return (s->batch.next != s->batch.end);
}

/* Is the next record longer than the standard buffer? */
static inline int
pcap_tcp_stream_is_stretched(const struct pcap_tcp_stream *s)
{
	return (s->in.needed > PCAP_TCP_BUFFER_SIZE);
}

/* Can the next step be made although the descriptor does not say so? */
static inline int
pcap_tcp_stream_pending(const struct pcap_tcp_stream *s)
{
	return (s->decoder.failed ||
	    (s->bytes != NULL && pcap_tcp_bytes_pending(s->bytes)));
}

#endif
