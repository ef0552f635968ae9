/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-feed.h - all that feeds a device: the sources that it connects to
 * and the senders that connect to it, merged into one stream.
 *
 * The trouble of one source leaves the others alone: an end or a fault is
 * told when no source has a stream any more, and never if senders may still
 * come.
 */
#ifndef pcap_tcp_feed_h
#define pcap_tcp_feed_h

#include "pcap-tcp-device.h"
#include "pcap-tcp-listener.h"
#include "pcap-tcp-merge.h"
#include "pcap-tcp-source.h"

#define PCAP_TCP_MAX_SENDERS	64
/* Loopback takes two of them. */
#define PCAP_TCP_MAX_LISTENERS	(2 * PCAP_TCP_MAX_SOURCES)

struct pcap_tcp_feed {
	/* [next, stop) is the current run. */
	const struct pcap_tcp_record *next, *stop;
	int swapped;		/* the byte order of its stream is */
	struct pcap_tcp_source *current;	/* NULL: next == stop */
	unsigned int current_input;
	int must_advance;	/* read the sockets before choosing again */
	int64_t looked_at;	/* when pcap_tcp_feed_advance() was called */
	ptrdiff_t since_clock;	/* records since the clock was read */
	struct pcap_tcp_merge merge;

	/* Those that we connect to, then senders; NULL: a free slot. */
	struct pcap_tcp_source *source[PCAP_TCP_MAX_INPUTS];
	unsigned int ndialed;
	unsigned int nslots;	/* high-water mark of source[] */
	unsigned int nsenders;
	const struct pcap_tcp_source *unreported_fault;	/* of this one */
	char fault[PCAP_ERRBUF_SIZE];	/* or the last sender's */
	struct pcap_tcp_listener *listeners;
	struct pcap_tcp_tls_context *dialing_tls, *listening_tls;

	struct pcap_tcp_common common;
	size_t extra_bytes;	/* beyond the standard buffers, all senders */
	int dlt;		/* of the device, -1 if not known yet */
	int opening;		/* until pcap_tcp_feed_start() */
	int64_t grace_end;	/* opening waits no longer for the rest, */
	int64_t give_up;	/* nor for any */
	int polled;		/* since the last pcap_tcp_feed_advance() */
	uint64_t received, dropped, if_dropped;	/* of senders that left */
	char *errbuf;		/* PCAP_ERRBUF_SIZE, the caller's */
};

/*
 * Opens listeners and starts to connect.  hold: ms that a source without a
 * record at hand may hold the others back.  dlt: the link type of all sources,
 * -1: that of the first stream.  Returns 0, or -1 with errno and errbuf; in
 * both cases pcap_tcp_feed_close() releases what it holds.
 */
int	pcap_tcp_feed_open(struct pcap_tcp_feed *f,
    const struct pcap_tcp_common *common, int hold, int dlt, char *errbuf);
void	pcap_tcp_feed_close(struct pcap_tcp_feed *f);

/*
 * Is there a stream, and may opening end?  1; 0: pcap_tcp_feed_advance() and
 * look again; -1 with errno and errbuf: there will be none.
 */
int	pcap_tcp_feed_opened(struct pcap_tcp_feed *f);

/* After that: what the sources have is for the program from now on. */
void	pcap_tcp_feed_start(struct pcap_tcp_feed *f);

/* One of the sources that have a stream; NULL if none has. */
const struct pcap_tcp_source *pcap_tcp_feed_first_stream(
    const struct pcap_tcp_feed *f);

/*
 * Goes on with each source that can, by a read at most.  END and FAILED, with
 * errbuf: that was the last stream.
 */
enum pcap_tcp_progress pcap_tcp_feed_advance(struct pcap_tcp_feed *f);

/*
 * Waits until pcap_tcp_feed_advance() makes sense (PCAP_TCP_EVENT_WATCH), for
 * the other events of pcap_tcp_events_wait(), or until then; not at all if
 * then is 0.  Returns what came, or -1 with errno and errbuf.
 */
int	pcap_tcp_feed_wait(struct pcap_tcp_feed *f, int stop_fd, int64_t then);

/*
 * Is there something to do that no watched descriptor signals?  1; or 0, and
 * the watches will signal the rest, but for what is due at *deadline.
 */
int	pcap_tcp_feed_ready(struct pcap_tcp_feed *f, int64_t *deadline);

void	pcap_tcp_feed_stats(const struct pcap_tcp_feed *f,
    struct pcap_stat *ps);

/*
 * For pcap-tcp-opening.c.
 */

static inline int
pcap_tcp_feed_is_sender(const struct pcap_tcp_feed *f, unsigned int i)
{
	return (i >= f->ndialed);
}

/* Tells the merge what a source has at hand. */
void	pcap_tcp_feed_offer(struct pcap_tcp_feed *f, unsigned int i);

/* A sender has left. */
void	pcap_tcp_feed_drop(struct pcap_tcp_feed *f, unsigned int i);

/*
 * For who reads.
 */

/* pcap_tcp_feed_has_next(), when it is another turn. */
int	pcap_tcp_feed_choose(struct pcap_tcp_feed *f);

/*
 * Is there a record?  If not: pcap_tcp_feed_advance().  It is taken by
 * f->next++, and its data stays valid until pcap_tcp_feed_advance().
 */
static inline int
pcap_tcp_feed_has_next(struct pcap_tcp_feed *f)
{
	return (f->next != f->stop || pcap_tcp_feed_choose(f));
}

#endif
