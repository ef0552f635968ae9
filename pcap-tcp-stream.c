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

/*
 * rpcap's texts, all of one and the beginning of another: dumpcap asks its
 * users to report any other one, as a bug of Wireshark's.
 */
#define TERMINATED	"The other host terminated the connection."
#define DAMAGED		"Is the server properly installed? "

int
pcap_tcp_stream_init(struct pcap_tcp_stream *s,
    struct pcap_tcp_decoding *shared, const char *peer, size_t *bytes_left)
{
	s->buffer = malloc(PCAP_TCP_HEADROOM + PCAP_TCP_BUFFER_SIZE);
	if (s->buffer == NULL)
		return (-1);
	s->capacity = PCAP_TCP_BUFFER_SIZE;
	s->peer = peer;
	s->bytes_left = bytes_left;
	pcap_tcp_decoder_init(&s->decoder, shared);
	pcap_tcp_stream_restart(s, NULL);
	return (0);
}

void
pcap_tcp_stream_free(struct pcap_tcp_stream *s)
{
	if (s->bytes_left != NULL)
		*s->bytes_left += s->capacity - PCAP_TCP_BUFFER_SIZE;
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
 * record is through.  Returns NULL, or why there is no such buffer.
 */
static const char *
resize_buffer(struct pcap_tcp_stream *s, size_t capacity)
{
	u_char *buffer;

	if (s->bytes_left != NULL && capacity > s->capacity &&
	    capacity - s->capacity > *s->bytes_left)
		return ("the senders together have all that they may");
	buffer = realloc(s->buffer, PCAP_TCP_HEADROOM + capacity);
	if (buffer == NULL)
		return ("out of memory");
	if (s->bytes_left != NULL)
		*s->bytes_left -= capacity - s->capacity;
	s->buffer = buffer;
	s->in.next = s->buffer + PCAP_TCP_HEADROOM;
	s->capacity = capacity;
	return (NULL);
}

/* Makes room behind what was not decoded yet; returns NULL, or why not. */
static const char *
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
	return (NULL);
}

enum pcap_tcp_progress
pcap_tcp_stream_read(struct pcap_tcp_stream *s, size_t most)
{
	const char *why_not;
	size_t room;
	ssize_t n;

	if (s->decoder.failed) {
		snprintf(s->error, sizeof(s->error), "%s%.*s: %s",
		    s->decoder.started ? DAMAGED : "",
		    s->decoder.started ? 55 : 90, s->peer, s->decoder.error);
		s->errnum = EPROTO;
		return (PCAP_TCP_FAILED);
	}
	why_not = make_room(s);
	if (why_not != NULL) {
		snprintf(s->error, sizeof(s->error), "%.90s: no room for a "
		    "record of %zu bytes: %s", s->peer, s->in.needed, why_not);
		s->errnum = ENOMEM;
		return (PCAP_TCP_FAILED);
	}
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
