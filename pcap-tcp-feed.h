/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-feed.h - all that feeds a device: the peers that it connects to
 * and the senders that connect to it, merged into one stream.
 *
 * The trouble of one peer leaves the others alone: an end or a fault is
 * reported when no peer has a stream any more, and never if senders may still
 * come.
 */
#ifndef pcap_tcp_feed_h
#define pcap_tcp_feed_h

#include <signal.h>

#include "pcap-tcp-patience.h"
#include "pcap-tcp-peers.h"

#if PCAP_TCP_MAX_PEERS > PCAP_TCP_MAX_INPUTS
#error "a peer needs an input of the merge"
#endif

struct pcap_tcp_feed {
	int must_advance;	/* Read the sockets before choosing again. */
	int has_advanced;	/* and nothing was handed out since */
	int64_t looked_at;	/* when all sockets were, last */
	struct pcap_tcp_patience patience;

	struct pcap_tcp_peers peers;
	const struct pcap_tcp_peer *unreported_fault;	/* of this one */
	char fault[PCAP_ERRBUF_SIZE];	/* or the last sender's */
	int has_begun;		/* by pcap_tcp_feed_begin() */
	int opened;		/* 1; -1: it was refused; 0: not yet */
	int is_open;		/* since pcap_tcp_feed_start() */
	int polled;		/* since the last pcap_tcp_feed_advance() */
	int64_t stalls_at;	/* when those who are silent were looked for */
	unsigned int turn;	/* the slot to begin with */
	unsigned int rounds_left;	/* before the next TLS handshake */
	uint64_t received;	/* records that were handed out */
};

/*
 * Sets up what a device consists of, without any connection.  common is
 * copied.  hold: ms that a peer without a record at hand may hold the others
 * back.  Returns 0, or -1 with errno and errbuf; in both cases
 * pcap_tcp_feed_close() releases what it holds.
 */
int	pcap_tcp_feed_open(struct pcap_tcp_feed *f,
    const struct pcap_tcp_common *common, int hold, char *errbuf);
void	pcap_tcp_feed_close(struct pcap_tcp_feed *f);

/*
 * Listens, and has pcap_tcp_feed_advance() connect.  To be called once.
 * Returns 0, or -1 with errno and errbuf.
 */
int	pcap_tcp_feed_begin(struct pcap_tcp_feed *f);

/* Instead of that: the device is one to which nothing will ever come. */
void	pcap_tcp_feed_stop(struct pcap_tcp_feed *f);

/*
 * Waits until the device is open, until stop_fd is readable (-1: none), or
 * until *stop.  Returns 0, or -1 with errno and errbuf.
 */
int	pcap_tcp_feed_await(struct pcap_tcp_feed *f, int stop_fd,
    const volatile sig_atomic_t *stop);

/*
 * When opened is no longer 0: what the peers have is for the program from now
 * on.
 */
void	pcap_tcp_feed_start(struct pcap_tcp_feed *f);

/*
 * Goes on with each peer that can, by a read at most.  END and FAILED, with
 * errbuf: that was the last stream, or, before the device was open, there will
 * be none; never with reconnect=yes.  To be called when pcap_tcp_feed_next()
 * had nothing.
 */
enum pcap_tcp_progress pcap_tcp_feed_advance(struct pcap_tcp_feed *f);

/*
 * Hands out the records that are next.  Their packets are valid until
 * pcap_tcp_feed_advance(), they themselves until the next call, which hands
 * out those behind them.  Returns 1, or 0 if there is none.
 */
int	pcap_tcp_feed_next(struct pcap_tcp_feed *f, struct pcap_tcp_batch *run);

/*
 * When a read can do something that no watched descriptor signals: 0 for now.
 */
int64_t	pcap_tcp_feed_deadline(const struct pcap_tcp_feed *f);

/* Has the descriptors of those watched that a read would go on with. */
void	pcap_tcp_feed_watch(struct pcap_tcp_feed *f);

/*
 * Waits until pcap_tcp_feed_advance() makes sense (PCAP_TCP_EVENT_WATCH), for
 * the other events of pcap_tcp_events_wait(), or until then; not at all if
 * then is 0.  Returns what came, or -1 with errno and errbuf.
 */
int	pcap_tcp_feed_wait(struct pcap_tcp_feed *f, int stop_fd, int64_t then);

#endif
