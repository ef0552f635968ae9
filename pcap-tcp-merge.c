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

/* Up to which key the records of the input at this place are next. */
static int64_t
is_next_until(const struct pcap_tcp_merge *m, unsigned int place, int64_t limit)
{
	const struct pcap_tcp_in_line *p = m->line + m->front + place;

	return (place + 1 < m->n && p[1].key < limit ? p[1].key : limit);
}

/* Of the input at this place r is next, with this key, or nothing. */
static void
move_on(struct pcap_tcp_merge *m, unsigned int place,
    struct pcap_tcp_record *r, int64_t key)
{
	const unsigned int input = m->line[m->front + place].input;
	struct pcap_tcp_batch *batch = m->input[input].batch;

	remove_at(m, place);
	batch->next = r;
	if (r == batch->end)
		m->exhausted = (int)input;
	else
		insert(m, input, key);
}

/* Makes the records of one input the run, if many of them are next. */
static int
take_as_they_are(struct pcap_tcp_merge *m, unsigned int place, int64_t limit,
    struct pcap_tcp_batch *run)
{
	struct pcap_tcp_merge_input *in =
	    &m->input[m->line[m->front + place].input];
	const int64_t until = is_next_until(m, place, limit);
	struct pcap_tcp_record *r = in->batch->next;
	size_t left = (size_t)(in->batch->end - r), n = 0;

	while (n < left && n < PCAP_TCP_MERGED &&
	    pcap_tcp_merge_key(m, r + n) <= until)
		n++;
	if (n < LONG_RUN)
		return (0);
	run->next = r;
	run->end = r + n;
	in->last = pcap_tcp_merge_key(m, r + n - 1);
	in->taken += n;
	move_on(m, place, r + n,
	    n < left ? pcap_tcp_merge_key(m, r + n) : 0);
	return (1);
}

void
pcap_tcp_merge_take(struct pcap_tcp_merge *m, unsigned int place,
    int64_t limit, struct pcap_tcp_batch *run)
{
	struct pcap_tcp_record *out = m->merged, *r, *end;
	const struct pcap_tcp_record *full = out + PCAP_TCP_MERGED;
	struct pcap_tcp_merge_input *in;
	int64_t key, until;

	if (place < m->n && m->exhausted == -1 &&
	    take_as_they_are(m, place, limit, run))
		return;
	while (out != full && place < m->n && m->exhausted == -1) {
		key = m->line[m->front + place].key;
		if (key > limit)
			break;
		until = is_next_until(m, place, limit);
		in = &m->input[m->line[m->front + place].input];
		r = in->batch->next;
		end = in->batch->end;
		do {
			in->last = key;
			in->taken++;
			*out++ = *r++;
		} while (r != end && (key = pcap_tcp_merge_key(m, r)) <= until &&
		    out != full);
		move_on(m, place, r, key);
	}
	run->next = m->merged;
	run->end = out;
}
