/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-patience.c - up to which time records may go, and who is waited for
 */

#include <string.h>

#include "pcap-tcp-patience.h"

#define MANY_RECORDS	1024
#define MANY_HOLDS	5
#define MAX_MISSED	4	/* then: for 16 times as long as it was waited for */

void
pcap_tcp_patience_init(struct pcap_tcp_patience *p, int hold,
    int64_t per_second)
{
	memset(p, 0, sizeof(*p));
	p->hold = hold;
	p->hold_ticks = hold * per_second / 1000;
	p->starved = -1;
}

/* Time stamps are the senders', so nothing may depend on their being sane. */
static int64_t
add(int64_t a, int64_t b)
{
	return ((int64_t)((uint64_t)a + (uint64_t)b));
}

static int64_t
subtract(int64_t a, int64_t b)
{
	return ((int64_t)((uint64_t)a - (uint64_t)b));
}

void
pcap_tcp_patience_offer(struct pcap_tcp_patience *p, unsigned int input,
    int64_t ts)
{
	struct pcap_tcp_patience_input *in = &p->input[input];
	int64_t key = add(ts, in->shift);
	unsigned int i;

	if (in->state == PCAP_TCP_INPUT_AT_HAND) {
		i = pcap_tcp_merge_find(&p->merge, input);
		if (i == 0)
			p->front = p->merge.heap[0].key;
		pcap_tcp_merge_replace(&p->merge, i, key);
		if (p->starved == (int)input)
			p->starved = -1;
	} else {
		if (in->state == PCAP_TCP_INPUT_OUT)
			p->nstreams++;
		if (in->state == PCAP_TCP_INPUT_DRY) {
			p->ndry--;
			in->missed = 0;
		}
		in->state = PCAP_TCP_INPUT_AT_HAND;
		in->is_new = 0;
		pcap_tcp_merge_insert(&p->merge, input, key);
	}
	in->queued_at = p->delivered;
}

void
pcap_tcp_patience_read(struct pcap_tcp_patience *p, unsigned int input,
    int64_t ts)
{
	p->input[input].read_at = p->now;
	pcap_tcp_patience_offer(p, input, ts);
}

static void
take_out(struct pcap_tcp_patience *p, unsigned int input)
{
	struct pcap_tcp_patience_input *in = &p->input[input];
	unsigned int i;

	if (in->state == PCAP_TCP_INPUT_DRY)
		p->ndry--;
	else if (in->state == PCAP_TCP_INPUT_AT_HAND) {
		i = pcap_tcp_merge_find(&p->merge, input);
		if (i == 0)
			p->front = p->merge.heap[0].key;
		pcap_tcp_merge_remove(&p->merge, i);
	}
	if (p->starved == (int)input)
		p->starved = -1;
	in->state = PCAP_TCP_INPUT_OUT;
}

void
pcap_tcp_patience_dry(struct pcap_tcp_patience *p, unsigned int input)
{
	struct pcap_tcp_patience_input *in = &p->input[input];
	/* Evaluate before take_out(), which may set p->front. */
	int is_behind = in->state == PCAP_TCP_INPUT_AT_HAND &&
	    p->merge.heap[pcap_tcp_merge_find(&p->merge, input)].key <
	    subtract(p->front, p->hold_ticks);

	if (in->state == PCAP_TCP_INPUT_OUT) {
		in->read_at = p->now;
		in->is_new = 1;
		p->nstreams++;
	}
	take_out(p, input);
	in->state = PCAP_TCP_INPUT_LATE;
	if (is_behind || p->now < in->excused_until ||
	    (in->is_new && p->now < p->excused_until))
		return;
	in->state = PCAP_TCP_INPUT_DRY;
	p->ndry++;
	if (input >= p->ninputs)
		p->ninputs = input + 1;
}

void
pcap_tcp_patience_out(struct pcap_tcp_patience *p, unsigned int input)
{
	unsigned int i;

	if (p->input[input].state == PCAP_TCP_INPUT_OUT)
		return;
	take_out(p, input);
	p->nstreams--;
	/* The others may have been ahead of this one only. */
	for (i = 0; i < p->merge.n; i++)
		p->merge.heap[i].key = subtract(p->merge.heap[i].key,
		    p->input[p->merge.heap[i].input].shift);
	pcap_tcp_merge_sort(&p->merge);
	for (i = 0; i < PCAP_TCP_MAX_INPUTS; i++)
		p->input[i].shift = 0;
}

int64_t
pcap_tcp_patience_deadline(const struct pcap_tcp_patience *p)
{
	int64_t top, last = INT64_MIN;
	unsigned int i;

	if (p->merge.n == 0)
		return (INT64_MAX);
	if (p->ndry == 0)
		return (0);
	for (i = 0; i < p->ninputs; i++) {
		if (p->input[i].state == PCAP_TCP_INPUT_DRY &&
		    p->input[i].read_at > last)
			last = p->input[i].read_at;
	}
	top = p->input[p->merge.heap[0].input].read_at;
	return ((top < last ? top : last) + p->hold);
}

/* Backs off, so that fruitless waits cost a bounded share of the time. */
static void
excuse(struct pcap_tcp_patience *p, struct pcap_tcp_patience_input *in)
{
	in->excused_until = p->now + ((int64_t)p->hold << in->missed);
	if (in->missed < MAX_MISSED)
		in->missed++;
	if (in->is_new)
		p->excused_until = p->now + p->hold;
}

/* Nobody waits any longer for those that were not heard of for so long. */
static void
release(struct pcap_tcp_patience *p)
{
	unsigned int i;

	for (i = 0; i < p->ninputs; i++) {
		struct pcap_tcp_patience_input *in = &p->input[i];

		if (in->state != PCAP_TCP_INPUT_DRY ||
		    p->now < in->read_at + p->hold)
			continue;
		in->state = PCAP_TCP_INPUT_LATE;
		p->ndry--;
		if (p->held)
			excuse(p, in);
	}
}

int
pcap_tcp_patience_choose(struct pcap_tcp_patience *p, int64_t *limit)
{
	unsigned int input;
	int64_t second;

	if (p->merge.n == 0)
		return (-1);
	if (p->ndry > 0) {
		if (p->now < pcap_tcp_patience_deadline(p)) {
			p->held = 1;
			return (-1);
		}
		release(p);
	}
	p->held = 0;
	if (p->starved != -1) {
		input = (unsigned int)p->starved;
		*limit = subtract(add(p->front, p->hold_ticks),
		    p->input[input].shift);
		return (p->starved);
	}
	input = p->merge.heap[0].input;
	if (p->nstreams == 1) {
		*limit = INT64_MAX;
		return ((int)input);
	}
	*limit = add(p->merge.heap[0].key, p->hold_ticks);
	second = pcap_tcp_merge_second(&p->merge);
	if (second < *limit)
		*limit = second;
	*limit = subtract(*limit, p->input[input].shift);
	return ((int)input);
}

void
pcap_tcp_patience_unskew(struct pcap_tcp_patience *p)
{
	const int64_t ahead = add(p->front, p->hold_ticks);
	struct pcap_tcp_at_hand e;
	struct pcap_tcp_patience_input *in;
	unsigned int i;

	for (i = 0; i < p->merge.n; i++) {
		e = p->merge.heap[i];
		in = &p->input[e.input];
		if (p->now - in->read_at < p->hold ||
		    p->delivered - in->queued_at < MANY_RECORDS)
			continue;
		if (e.key >= ahead) {
			in->shift = add(in->shift, subtract(p->front, e.key));
			pcap_tcp_merge_replace(&p->merge, i, p->front);
		} else if (p->now - in->read_at >= MANY_HOLDS * p->hold)
			p->starved = (int)e.input;
	}
}
