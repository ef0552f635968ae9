/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-stream.c - what one connection brings, and how it ends
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-stream.h"

#define MAX_EXTRA_BYTES	(256 * 1024 * 1024)

/*
 * rpcap's texts, all of one and the beginning of another: dumpcap asks its
 * users to report any other one, as a bug of Wireshark's.
 */
#define TERMINATED	"The other host terminated the connection."
#define DAMAGED		"Is the server properly installed? "

int
pcap_tcp_stream_init(struct pcap_tcp_stream *s,
    struct pcap_tcp_decoding *shared, const char *peer, size_t *extra_bytes)
{
	s->buffer = malloc(PCAP_TCP_HEADROOM + PCAP_TCP_BUFFER_SIZE);
	if (s->buffer == NULL)
		return (-1);
	s->capacity = PCAP_TCP_BUFFER_SIZE;
	s->peer = peer;
	s->extra_bytes = extra_bytes;
	pcap_tcp_decoder_init(&s->decoder, shared);
	pcap_tcp_stream_restart(s, NULL);
	return (0);
}

void
pcap_tcp_stream_free(struct pcap_tcp_stream *s)
{
	if (s->extra_bytes != NULL && s->buffer != NULL)
		*s->extra_bytes -= s->capacity - PCAP_TCP_BUFFER_SIZE;
	free(s->buffer);
}

void
pcap_tcp_stream_restart(struct pcap_tcp_stream *s,
    struct pcap_tcp_bytes *bytes)
{
	pcap_tcp_decoder_restart(&s->decoder);
	s->batch.next = s->batch.end = s->record;
	s->in.next = s->buffer + PCAP_TCP_HEADROOM;
	s->in.left = 0;
	s->in.needed = 1;
	s->bytes = bytes;
	s->records = 0;
}

static void
explain(struct pcap_tcp_stream *s, int error)
{
	const char *more = s->bytes == NULL ||
	    (error != EPROTO && error != ECONNABORTED) ? NULL :
	    pcap_tcp_bytes_error(s->bytes);

	if (more != NULL)
		snprintf(s->error, sizeof(s->error), "%.90s: %s", s->peer,
		    more);
	else if (error != 0)
		pcap_tcp_fmt_errno(s->error, sizeof(s->error), error, "%s",
		    s->peer);
	else
		snprintf(s->error, sizeof(s->error),
		    "%s closed the connection %s the stream header", s->peer,
		    s->in.left > 0 ? "within" : "before");
}

enum pcap_tcp_progress
pcap_tcp_stream_fail(struct pcap_tcp_stream *s, int error)
{
	int within = s->in.left > 0 || s->decoder.skip > 0;

	s->errnum = error != 0 ? error : ECONNRESET;
	if (!s->decoder.started) {
		explain(s, error);
		return (PCAP_TCP_UNREACHABLE);
	}
	if (error == 0 && !within) {
		snprintf(s->error, sizeof(s->error), "end of stream");
		s->errnum = 0;
		return (PCAP_TCP_END);
	}
	/* TLS that is cut off between two records is worth a word. */
	if (error == 0 || error == ECONNRESET ||
	    (error == ECONNABORTED && within))
		snprintf(s->error, sizeof(s->error), TERMINATED);
	else
		explain(s, error);
	return (PCAP_TCP_FAILED);
}

/*
 * The buffer doubles only when it is full of one record whose length was
 * checked, so that a peer gets no memory for a claim; it shrinks when that
 * record is through.  Anybody may be a sender: all of them together have a
 * limit.
 */
static int
resize_buffer(struct pcap_tcp_stream *s, size_t capacity)
{
	size_t extra_bytes = s->extra_bytes == NULL ? 0 :
	    *s->extra_bytes + capacity - s->capacity;
	u_char *buffer;

	if (capacity > s->capacity && extra_bytes > MAX_EXTRA_BYTES) {
		errno = ENOMEM;
		return (-1);
	}
	buffer = realloc(s->buffer, PCAP_TCP_HEADROOM + capacity);
	if (buffer == NULL)
		return (-1);
	if (s->extra_bytes != NULL)
		*s->extra_bytes = extra_bytes;
	s->buffer = buffer;
	s->in.next = s->buffer + PCAP_TCP_HEADROOM;
	s->capacity = capacity;
	return (0);
}

/* Makes room behind the bytes that were not decoded yet. */
static int
make_room(struct pcap_tcp_stream *s)
{
	u_char *front = s->buffer + PCAP_TCP_HEADROOM;

	if (s->in.next != front)
		memmove(front, s->in.next, s->in.left);
	s->in.next = front;
	if (s->in.left == s->capacity)
		return (resize_buffer(s, s->capacity * 2));
	if (s->in.left < PCAP_TCP_BUFFER_SIZE &&
	    s->in.needed <= PCAP_TCP_BUFFER_SIZE &&
	    s->capacity != PCAP_TCP_BUFFER_SIZE)
		(void)resize_buffer(s, PCAP_TCP_BUFFER_SIZE);
	return (0);
}

enum pcap_tcp_progress
pcap_tcp_stream_read(struct pcap_tcp_stream *s, size_t most)
{
	size_t room;
	ssize_t n;

	if (s->decoder.failed) {
		snprintf(s->error, sizeof(s->error), "%s%.*s: %s",
		    s->decoder.started ? DAMAGED : "",
		    s->decoder.started ? 55 : 90, s->peer, s->decoder.error);
		s->errnum = EPROTO;
		return (PCAP_TCP_FAILED);
	}
	if (make_room(s) == -1)
		return (pcap_tcp_stream_fail(s, ENOMEM));
	room = s->capacity - s->in.left;
	if (room > most)
		room = most;
	n = pcap_tcp_bytes_read(s->bytes, s->in.next + s->in.left, room);
	if (n > 0) {
		s->in.left += (size_t)n;
		s->arrived = s->decoder.shared->arrived;
		s->full = (size_t)n == room ||
		    pcap_tcp_bytes_pending(s->bytes);
		return (PCAP_TCP_PROGRESS);
	}
	if (n == 0)
		return (pcap_tcp_stream_fail(s, 0));
	if (errno == EINTR)
		return (PCAP_TCP_PROGRESS);
	return (errno == EAGAIN ? PCAP_TCP_WAIT :
	    pcap_tcp_stream_fail(s, errno));
}

int
pcap_tcp_stream_decode(struct pcap_tcp_stream *s, int until_start)
{
	size_t left = s->in.left;
	size_t n = pcap_tcp_decode(&s->decoder, &s->in, s->record,
	    until_start ? 0 : PCAP_TCP_BATCH), i;

	/* Nothing is read while a whole record is left. */
	if (s->decoder.shared->stamps_arrival) {
		for (i = 0; i < n; i++)
			s->record[i].h.ts = s->arrived;
	}
	s->batch.next = s->record;
	s->batch.end = s->record + n;
	s->records += n;
	return (s->in.left != left);
}
