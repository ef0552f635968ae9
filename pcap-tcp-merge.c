/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-merge.c - several inputs' batches made into one, by time stamp
 */

#include <string.h>

#include "pcap-tcp-merge.h"

#define LONG_RUN	16	/* records that are not worth a copy */

/* From the back: where inputs take turns, that is its place. */
static void
insert(struct pcap_tcp_merge *m, unsigned int input, int64_t key)
{
	struct pcap_tcp_in_line *p;

	if (m->front + m->n == 2 * PCAP_TCP_MAX_INPUTS) {
		memmove(m->line, m->line + m->front, m->n * sizeof(*p));
		m->front = 0;
	}
	p = m->line + m->front + m->n++;
	for (; p != m->line + m->front && p[-1].key > key; p--)
		p[0] = p[-1];
	p->key = key;
	p->input = input;
}

static void
remove_at(struct pcap_tcp_merge *m, unsigned int place)
{
	struct pcap_tcp_in_line *p = m->line + m->front + place;

	m->n--;
	if (place == 0)
		m->front++;
	else
		memmove(p, p + 1, (m->n - place) * sizeof(*p));
}

void
pcap_tcp_merge_add(struct pcap_tcp_merge *m, unsigned int input,
    struct pcap_tcp_batch *batch)
{
	m->input[input].batch = batch;
	insert(m, input, pcap_tcp_merge_key(m, batch->next));
}

void
pcap_tcp_merge_take(struct pcap_tcp_merge *m, unsigned int place,
    int64_t limit, struct pcap_tcp_batch *run)
{
	struct pcap_tcp_record *r, *stop;
	struct pcap_tcp_in_line *p;
	struct pcap_tcp_merge_input *in;
	int64_t key, until;
	size_t room = PCAP_TCP_MERGED, count;
	unsigned int input;

	run->next = run->end = m->merged;
	while (room > 0 && place < m->n && m->exhausted == -1) {
		p = m->line + m->front + place;
		key = p->key;
		if (key > limit)
			break;
		until = place + 1 < m->n && p[1].key < limit ? p[1].key : limit;
		input = p->input;
		in = &m->input[input];
		r = in->batch->next;
		stop = (size_t)(in->batch->end - r) < room ? in->batch->end :
		    r + room;
		do {
			in->last = key;
			r++;
		} while (r != in->batch->end &&
		    (key = pcap_tcp_merge_key(m, r)) <= until && r != stop);
		count = (size_t)(r - in->batch->next);
		room -= count;
		if (count >= LONG_RUN && run->end == m->merged) {
			/* That one as it is, and then no other. */
			run->next = in->batch->next;
			run->end = r;
			room = 0;
		} else {
			memcpy(run->end, in->batch->next, count * sizeof(*r));
			run->end += count;
		}
		in->taken += count;
		in->batch->next = r;
		remove_at(m, place);
		if (r == in->batch->end)
			m->exhausted = (int)input;
		else
			insert(m, input, key);
	}
}
