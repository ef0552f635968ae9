/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-source.h - one peer: its connection, its buffer and its decoder.
 *
 * Nothing here blocks but pcap_tcp_source_open(), which looks the name up.
 * What a source waits for is in the epoll set that it was given, and in its
 * deadline.
 */
#ifndef pcap_tcp_source_h
#define pcap_tcp_source_h

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

#include "pcap-tcp-decoder.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-transport.h"

struct addrinfo;

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
	uint64_t received;	/* records, of all connections */
	uint64_t received_before;	/* the last attempt to connect */

	enum {
		PCAP_TCP_DOWN,		/* next attempt at the deadline */
		PCAP_TCP_CONNECTING,	/* given up at the deadline */
		PCAP_TCP_CONNECTED	/* until the header is here, likewise */
	} state;
	int64_t deadline;	/* pcap_tcp_now() time */
	int fd;
	int was_reset;		/* fd told so before it was read */
	int epoll_fd;

	struct addrinfo *addresses, *address;
	int64_t attempt_end;	/* 0 between two attempts */
	int timeout;		/* seconds for an attempt, 0 = no limit */
	int keepalive;		/* seconds */
	int coming_back;	/* at all */
	int backoff;		/* ms until the next attempt but one */

	char peer[128];		/* HOST:PORT for errors, a long host cut */
	char *errbuf;		/* PCAP_ERRBUF_SIZE, the caller's */
	int failed_errno;	/* of the first address tried, */
	int failed_alike;	/* is it that of all of them? */
	char failed[PCAP_ERRBUF_SIZE];	/* each with its address */
};

/*
 * Sets up a source for an address of the device and looks its name up; ends
 * early if wake_fd becomes readable.  Errors go to errbuf (PCAP_ERRBUF_SIZE
 * bytes), here and later.  Returns 0, or -1 with errno set.  In both cases
 * pcap_tcp_source_close() releases what it holds.
 */
int	pcap_tcp_source_open(struct pcap_tcp_source *s,
    const struct pcap_tcp_device *device,
    const struct pcap_tcp_address *address, int precision, int epoll_fd,
    int wake_fd, char *errbuf);
void	pcap_tcp_source_close(struct pcap_tcp_source *s);

/*
 * Goes on with connecting or reading, by at most one read(2).  After
 * UNREACHABLE, END and FAILED, errbuf and errno say why, the connection is
 * closed, and a new attempt is due at the deadline.
 */
enum pcap_tcp_progress pcap_tcp_source_advance(struct pcap_tcp_source *s);

/* Takes what is in head from the stream. */
static inline void
pcap_tcp_source_pop(struct pcap_tcp_source *s)
{
	s->next += s->head.size;
	s->left -= s->head.size;
	s->head.size = 1;
	s->decoded = PCAP_TCP_MORE;
}

static inline void
pcap_tcp_source_decode_one(struct pcap_tcp_source *s)
{
	s->decoded = pcap_tcp_decode(&s->decoder, s->next, s->left, &s->head);
	if (s->decoded != PCAP_TCP_SKIP)
		return;
	pcap_tcp_source_pop(s);
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
