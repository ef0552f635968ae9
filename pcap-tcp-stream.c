/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-stream.c - one peer: its buffer, its records, and how its stream
 * ends
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-source-int.h"

#define MAX_EXTRA_BYTES	(256 * 1024 * 1024)

/* rpcap's text; dumpcap takes any other one for a bug of its own. */
#define TERMINATED	"The other host terminated the connection."

static void
explain_loss(struct pcap_tcp_source *s, int error)
{
	if (s->tls != NULL && (error == EPROTO || error == ECONNABORTED))
		snprintf(s->error, sizeof(s->error), "%.90s: %s", s->peer,
		    pcap_tcp_tls_error(s->tls));
	else if (error != 0)
		pcap_tcp_fmt_errno(s->error, sizeof(s->error), error, "%s",
		    s->peer);
	else
		snprintf(s->error, sizeof(s->error),
		    "%s closed the connection %s the stream header", s->peer,
		    s->left > 0 ? "within" : "before");
}

enum pcap_tcp_progress
pcap_tcp_source_lost(struct pcap_tcp_source *s, int error)
{
	int errnum;

	if (s->was_reset && (error == 0 || error == ECONNABORTED))
		error = ECONNRESET;
	errnum = error != 0 ? error : ECONNRESET;
	if (!s->decoder.started) {
		explain_loss(s, error);
		return (pcap_tcp_source_hang_up(s, PCAP_TCP_UNREACHABLE,
		    errnum));
	}
	if (error == 0 && s->left == 0) {
		snprintf(s->error, sizeof(s->error), "end of stream");
		return (pcap_tcp_source_hang_up(s, PCAP_TCP_END, 0));
	}
	/* TLS that is cut off between two records is worth a word. */
	if (error == 0 || error == ECONNRESET ||
	    (error == ECONNABORTED && s->left > 0))
		snprintf(s->error, sizeof(s->error), TERMINATED);
	else
		explain_loss(s, error);
	return (pcap_tcp_source_hang_up(s, PCAP_TCP_FAILED, errnum));
}

static enum pcap_tcp_progress
not_in_time(struct pcap_tcp_source *s)
{
	if (s->decoder.started) {
		snprintf(s->error, sizeof(s->error),
		    "%s sent no whole record within %d seconds", s->peer,
		    s->timeout);
		return (pcap_tcp_source_hang_up(s, PCAP_TCP_FAILED,
		    ETIMEDOUT));
	}
	snprintf(s->error, sizeof(s->error), "%s took the connection but "
	    "sent no pcap stream within %d seconds%s", s->peer, s->timeout,
	    s->tls_context == NULL && s->target != NULL &&
	    s->target->scheme == PCAP_TCP_SCHEME_TCP ?
	    " (a TLS server needs tls:)" : "");
	return (pcap_tcp_source_hang_up(s, PCAP_TCP_UNREACHABLE, ETIMEDOUT));
}

/*
 * The buffer doubles only when it is full of one record whose length was
 * checked, so that a peer gets no memory for a claim; it shrinks when that
 * record is through.  Anybody may be a sender: all of them together have a
 * limit.
 */
static int
resize_buffer(struct pcap_tcp_source *s, size_t capacity)
{
	size_t extra_bytes = *s->extra_bytes + capacity - s->capacity;
	u_char *buffer;

	if (s->target == NULL && capacity > s->capacity &&
	    extra_bytes > MAX_EXTRA_BYTES) {
		errno = ENOMEM;
		return (-1);
	}
	buffer = realloc(s->buffer, capacity);
	if (buffer == NULL)
		return (-1);
	if (s->target == NULL)
		*s->extra_bytes = extra_bytes;
	s->next = s->buffer = buffer;
	s->capacity = capacity;
	return (0);
}

/* Makes room behind the bytes that were not decoded yet. */
static int
make_room(struct pcap_tcp_source *s)
{
	if (s->next != s->buffer)
		memmove(s->buffer, s->next, s->left);
	s->next = s->buffer;
	/* Nor may a sender keep that memory for long. */
	if (s->target == NULL && s->needed > PCAP_TCP_BUFFER_SIZE &&
	    s->deadline == PCAP_TCP_NEVER) {
		s->deadline = pcap_tcp_source_end_of_attempt(s,
		    pcap_tcp_now());
		s->extension_left = 1;
	}
	if (s->left == s->capacity)
		return (resize_buffer(s, s->capacity * 2));
	if (s->left < PCAP_TCP_BUFFER_SIZE &&
	    s->needed <= PCAP_TCP_BUFFER_SIZE &&
	    s->capacity != PCAP_TCP_BUFFER_SIZE)
		return (resize_buffer(s, PCAP_TCP_BUFFER_SIZE));
	return (0);
}

static ssize_t
receive(struct pcap_tcp_source *s)
{
	u_char *end = s->next + s->left;
	size_t room = s->capacity - s->left;
	ssize_t n;

	if (s->tls != NULL)
		return (pcap_tcp_tls_read(s->tls, end, room));
	/* read() and not recv(): some programs' sandboxes know only that. */
	do {
		n = read(s->watch.fd, end, room);
	} while (n == -1 && errno == EINTR);
	return (n);
}

enum pcap_tcp_progress
pcap_tcp_source_read(struct pcap_tcp_source *s)
{
	ssize_t n;

	/* Blocks without an interface may come for ever. */
	if (!s->decoder.started && s->decoder.offset > 0 &&
	    pcap_tcp_now() >= s->deadline)
		return (not_in_time(s));
	if (make_room(s) == -1)
		return (pcap_tcp_source_lost(s, ENOMEM));
	n = receive(s);
	if (n > 0) {
		s->left += (size_t)n;
		return (PCAP_TCP_PROGRESS);
	}
	if (n == 0)
		return (pcap_tcp_source_lost(s, 0));
	if (errno == EINTR)
		return (PCAP_TCP_PROGRESS);
	if (errno != EAGAIN)
		return (pcap_tcp_source_lost(s, errno));
	if (s->tls != NULL)
		pcap_tcp_watch_change(&s->watch,
		    pcap_tcp_tls_events(s->tls));
	if (s->deadline == PCAP_TCP_NEVER || pcap_tcp_now() < s->deadline)
		return (PCAP_TCP_WAIT);
	/* The program may have been suspended; allow one more period. */
	if (s->extension_left) {
		s->extension_left = 0;
		s->deadline = pcap_tcp_source_end_of_attempt(s,
		    pcap_tcp_now());
		return (PCAP_TCP_WAIT);
	}
	return (not_in_time(s));
}

/* Fills record[] from *r on; returns what ended it, which is in *r. */
static enum pcap_tcp_decoded
decode_records(struct pcap_tcp_source *s, struct pcap_tcp_record **at)
{
	struct pcap_tcp_record *r = *at;
	enum pcap_tcp_decoded decoded = PCAP_TCP_RECORD;
	u_char *next = s->next;
	size_t left = s->left;

	for (; r != &s->record[PCAP_TCP_BATCH]; r++) {
		decoded = pcap_tcp_decode(&s->decoder, next, left, r);
		if (decoded != PCAP_TCP_RECORD)
			break;
		next += r->size;
		left -= r->size;
	}
	s->next = next;
	s->left = left;
	*at = r;
	return (decoded);
}

void
pcap_tcp_source_decode(struct pcap_tcp_source *s, int until_start)
{
	struct pcap_tcp_record *r = s->record;

	s->received = pcap_tcp_source_received(s);
	while (r == s->record && s->decoded == PCAP_TCP_MORE &&
	    s->left >= s->needed && !(until_start && s->decoder.started)) {
		s->swapped = s->decoder.swapped;
		switch (decode_records(s, &r)) {

		case PCAP_TCP_RECORD:
			s->needed = 1;
			break;

		case PCAP_TCP_SKIP:
			s->next += r->size;
			s->left -= r->size;
			s->needed = 1;
			if (s->decoder.started)
				s->deadline = PCAP_TCP_NEVER;
			break;

		case PCAP_TCP_MORE:
			s->needed = r->size;
			break;

		case PCAP_TCP_ERROR:
			s->decoded = PCAP_TCP_ERROR;
			break;
		}
	}
	if (r != s->record)
		s->deadline = PCAP_TCP_NEVER;
	s->head = s->record;
	s->end = r;
}
