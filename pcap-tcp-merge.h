/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-merge.h - several inputs' batches made into one, by time stamp: a
 * line of inputs, sorted by what is the next record's.  An input is a number.
 *
 * Pure: no I/O, no allocation; a merge belongs to one thread at a time.
 */
#ifndef pcap_tcp_merge_h
#define pcap_tcp_merge_h

#include <stdint.h>

#include "pcap-tcp-record.h"

#define PCAP_TCP_MAX_INPUTS	128
#define PCAP_TCP_MERGED		128

struct pcap_tcp_merge {
	int64_t per_second;	/* ticks of a record's time stamp */
	unsigned int front, n;	/* where the line is: those with a record */
	struct pcap_tcp_in_line {
		int64_t key;	/* ticks */
		unsigned int input;
	} line[2 * PCAP_TCP_MAX_INPUTS];
	struct pcap_tcp_merge_input {
		struct pcap_tcp_batch *batch;
		int64_t last;	/* key of the last record that was taken */
		size_t taken;	/* records, by the last take */
	} input[PCAP_TCP_MAX_INPUTS];
	int exhausted;		/* whose batch the last take ended; -1: none */
	struct pcap_tcp_record merged[PCAP_TCP_MERGED];
};

/* A record's time stamp, in ticks; it is the sender's, and may wrap around. */
static inline int64_t
pcap_tcp_merge_key(const struct pcap_tcp_merge *m,
    const struct pcap_tcp_record *r)
{
	return ((int64_t)((uint64_t)r->h.ts.tv_sec *
	    (uint64_t)m->per_second + (uint64_t)r->h.ts.tv_usec));
}

/* The batch, with a record at least, is kept; taking moves its next. */
void	pcap_tcp_merge_add(struct pcap_tcp_merge *m, unsigned int input,
    struct pcap_tcp_batch *batch);

/*
 * Takes records with keys up to limit, in order, from the inputs at this place
 * of the line and behind, until a batch is at its end.  The run is that of an
 * input if it is long, else a copy, and valid until the next take.
 */
void	pcap_tcp_merge_take(struct pcap_tcp_merge *m, unsigned int place,
    int64_t limit, struct pcap_tcp_batch *run);

#endif
