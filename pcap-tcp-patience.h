/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-patience.h - which of several inputs is next: the order of time
 * stamps, as long as nobody has to wait for it.
 *
 * An input is a number.  What it has at hand is told by the time stamp of
 * its next record.  An input that has run dry holds the others back, as what
 * comes may be older, but not for longer than hold since it was last heard
 * of, and no record for longer than hold since it was read.  If nothing came,
 * nobody waits for this input for as long, twice as long the next time, and so
 * on until it does come in time.  New inputs that were waited for in vain
 * count as one.  Nor does anybody wait for an input that is behind by more
 * than hold.
 *
 * Pure: no I/O, no allocation; a patience belongs to one thread at a time.
 */
#ifndef pcap_tcp_patience_h
#define pcap_tcp_patience_h

#include <stdint.h>

#include "pcap-tcp-merge.h"

struct pcap_tcp_patience {
	int64_t now;		/* ms, and */
	uint64_t delivered;	/* records: the caller keeps both up to date */
	int hold;		/* ms that an input may hold the others back */
	int64_t hold_ticks;	/* the same in the time stamps' unit */
	int held;		/* somebody is kept waiting */
	int64_t excused_until;	/* ms: nobody waits for a new input before */
	int starved;		/* an input that was kept waiting, or -1 */
	int64_t front;		/* key of the last input that was first */
	struct pcap_tcp_merge merge;	/* inputs with a record */
	unsigned int ndry;	/* inputs, */
	unsigned int nstreams;	/* and all that are not out */
	unsigned int ninputs;	/* the highest one so far, and 1 */
	struct pcap_tcp_patience_input {
		enum {
			PCAP_TCP_INPUT_OUT,
			PCAP_TCP_INPUT_DRY,	/* holds the others back */
			PCAP_TCP_INPUT_LATE,	/* no longer */
			PCAP_TCP_INPUT_AT_HAND
		} state;
		int is_new;		/* without a record so far */
		int64_t read_at;	/* when it was last heard of */
		int64_t excused_until;	/* ms: nobody waits for it before */
		unsigned int missed;	/* times that it was waited for in vain */
		uint64_t queued_at;	/* delivered when its record came */
		int64_t shift;		/* of its time stamps */
	} input[PCAP_TCP_MAX_INPUTS];
};

/* hold: ms; a second has so many ticks. */
void	pcap_tcp_patience_init(struct pcap_tcp_patience *p, int hold,
    int64_t per_second);

/* The input has read something: a record is at hand. */
void	pcap_tcp_patience_read(struct pcap_tcp_patience *p, unsigned int input,
    int64_t ts);

/* The input's next record of the same read. */
void	pcap_tcp_patience_offer(struct pcap_tcp_patience *p, unsigned int input,
    int64_t ts);

/* The input has no record at hand, or a stream without one yet. */
void	pcap_tcp_patience_dry(struct pcap_tcp_patience *p, unsigned int input);

/* The input has no stream any more. */
void	pcap_tcp_patience_out(struct pcap_tcp_patience *p, unsigned int input);

/*
 * The input whose record is next, or -1 if there is none or it is held back.
 * *limit: its records up to this time stamp come before the others', as far
 * as these are at hand; after the hold, it is time to look.
 */
int	pcap_tcp_patience_choose(struct pcap_tcp_patience *p, int64_t *limit);

/* From when on there is one to choose: 0 for now, INT64_MAX for never. */
int64_t	pcap_tcp_patience_deadline(const struct pcap_tcp_patience *p);

/*
 * Looks for inputs that many records of others went before, for as long as an
 * input may hold the others back.  One whose clock is ahead by more than that
 * is in step with the others from now on, until an input leaves; one that is
 * kept waiting without being ahead may go.
 */
void	pcap_tcp_patience_unskew(struct pcap_tcp_patience *p);

#endif
