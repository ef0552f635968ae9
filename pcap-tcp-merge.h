/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-merge.h - which of several inputs has the oldest record: a heap.
 * An input is a number; its key is a time.
 *
 * Pure: no I/O, no allocation; a merge belongs to one thread at a time.
 */
#ifndef pcap_tcp_merge_h
#define pcap_tcp_merge_h

#include <stdint.h>

#define PCAP_TCP_MAX_INPUTS	128

struct pcap_tcp_at_hand {
	int64_t key;
	unsigned int input;
};

struct pcap_tcp_merge {
	unsigned int n;		/* inputs in the heap; the first is heap[0] */
	struct pcap_tcp_at_hand heap[PCAP_TCP_MAX_INPUTS];
};

/* Where in the heap an input is, which has to be in it. */
unsigned int pcap_tcp_merge_find(const struct pcap_tcp_merge *m,
    unsigned int input);

void	pcap_tcp_merge_insert(struct pcap_tcp_merge *m, unsigned int input,
    int64_t key);

/* Gives the input at place i another key, or takes it out. */
void	pcap_tcp_merge_replace(struct pcap_tcp_merge *m, unsigned int i,
    int64_t key);
void	pcap_tcp_merge_remove(struct pcap_tcp_merge *m, unsigned int i);

/* Sorts anew, when keys were changed in place. */
void	pcap_tcp_merge_sort(struct pcap_tcp_merge *m);

/* The key that is next after heap[0]'s, INT64_MAX if there is none. */
int64_t	pcap_tcp_merge_second(const struct pcap_tcp_merge *m);

#endif
