/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-patience.h - which records of several inputs are next: the order of
 * time stamps, as long as nobody has to wait for it.
 *
 * The oldest record at hand is next.  It waits for an input that has none and
 * may send an older one, until a hold has passed since that input was last
 * heard of, or since a record at hand was read, which is overdue then.  If that
 * one is ahead of the others by more than the hold, they take turns.
 *
 * Pure: no I/O, no allocation; a patience belongs to one thread at a time.
 */
#ifndef pcap_tcp_patience_h
#define pcap_tcp_patience_h

#include "pcap-tcp-merge.h"

struct pcap_tcp_patience {
	int64_t now;		/* ms: the caller keeps it up to date */
	int64_t hold;		/* ms that a record may wait */
	int64_t hold_ticks;	/* the same in the time stamps' unit */
	int64_t new_at;		/* ms: new inputs count as heard of then */
	int64_t floor;		/* What is read now has no smaller key. */
	uint64_t delivered;	/* records */
	unsigned int ninputs;	/* the highest one so far, and 1 */
	struct pcap_tcp_patience_input {
		enum {
			PCAP_TCP_INPUT_OUT,
			PCAP_TCP_INPUT_DRY,
			PCAP_TCP_INPUT_AT_HAND
		} state;
		int full;	/* The last read left something behind, */
		int more;	/* or may have. */
		int steady;	/* Its clock was no faster than ours. */
		int apart;	/* Its records need not wait for the others'. */
		int64_t since;	/* ms: they may be here; 0: none so far */
		int64_t read_at;	/* ms: they were read */
		int64_t offset;	/* of its time stamps from the clock, ticks */
		uint64_t turn;	/* delivered when it is its turn */
		int64_t excused_until;	/* ms: nobody waits for it before */
		unsigned int missed;	/* how often it was, in a row */
	} input[PCAP_TCP_MAX_INPUTS];
	struct pcap_tcp_merge merge;	/* those at hand */
};

/* hold: ms; a second has so many ticks. */
void	pcap_tcp_patience_init(struct pcap_tcp_patience *p, int hold,
    int64_t per_second);

/*
 * Makes a clock's time the time stamp of what arrives: one for a round of
 * reads, so that nobody has to be waited for, and never an earlier one,
 * whatever becomes of the clock.
 */
void	pcap_tcp_patience_arrival(struct pcap_tcp_patience *p,
    const struct timespec *now, struct timeval *stamp);

/*
 * The input has read something, and has a record.  full: that was as much as
 * it could read.  Other batches of the same read are added to the merge.
 */
void	pcap_tcp_patience_read(struct pcap_tcp_patience *p, unsigned int input,
    struct pcap_tcp_batch *batch, int full);

/* It has a stream, and there is nothing to read. */
void	pcap_tcp_patience_dry(struct pcap_tcp_patience *p, unsigned int input);

/* For how long, ms, it has had nothing to read; 0 if it is not dry. */
int64_t	pcap_tcp_patience_silence(const struct pcap_tcp_patience *p,
    unsigned int input);

/* The input, which has no record at hand, has no stream any more. */
void	pcap_tcp_patience_out(struct pcap_tcp_patience *p, unsigned int input);

/*
 * Takes the records that are next.  Returns 1, or 0 if there is none or it is
 * held back.
 */
int	pcap_tcp_patience_next(struct pcap_tcp_patience *p,
    struct pcap_tcp_batch *run);

/* From when on there is one to take: 0 for now, INT64_MAX for never. */
int64_t	pcap_tcp_patience_deadline(const struct pcap_tcp_patience *p);

#endif
