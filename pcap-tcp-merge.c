/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-merge.c - which of several inputs is next: a heap of those that
 * have a record at hand
 */

#include <string.h>

#include "pcap-tcp-merge.h"

#define MANY_RECORDS	1024
#define MANY_HOLDS	5
#define MAX_MISSED	4	/* then: for 16 times as long as it was waited for */

void
pcap_tcp_merge_init(struct pcap_tcp_merge *m, int hold, int64_t per_second)
{
	memset(m, 0, sizeof(*m));
	m->hold = hold;
	m->hold_ticks = hold * per_second / 1000;
	m->starved = -1;
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

/* Equal time stamps: always the same one first. */
static int
before(const struct pcap_tcp_at_hand *a, const struct pcap_tcp_at_hand *b)
{
	return (a->key < b->key || (a->key == b->key && a->input < b->input));
}

static void
sift_up(struct pcap_tcp_merge *m, unsigned int i, struct pcap_tcp_at_hand e)
{
	for (; i > 0 && before(&e, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = e;
}

static void
sift_down(struct pcap_tcp_merge *m, unsigned int i, struct pcap_tcp_at_hand e)
{
	unsigned int child;

	for (; (child = 2 * i + 1) < m->n; i = child) {
		if (child + 1 < m->n &&
		    before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!before(&m->heap[child], &e))
			break;
		m->heap[i] = m->heap[child];
	}
	m->heap[i] = e;
}

static void
replace(struct pcap_tcp_merge *m, unsigned int i, struct pcap_tcp_at_hand e)
{
	if (before(&e, &m->heap[i]))
		sift_up(m, i, e);
	else
		sift_down(m, i, e);
}

static unsigned int
find(const struct pcap_tcp_merge *m, unsigned int input)
{
	unsigned int i;

	for (i = 0; m->heap[i].input != input; i++)
		;
	return (i);
}

void
pcap_tcp_merge_offer(struct pcap_tcp_merge *m, unsigned int input, int64_t ts)
{
	struct pcap_tcp_input *in = &m->input[input];
	struct pcap_tcp_at_hand e = { add(ts, in->shift), input };
	unsigned int i;

	if (in->state == PCAP_TCP_INPUT_AT_HAND) {
		i = find(m, input);
		if (i == 0)
			m->front = m->heap[0].key;
		replace(m, i, e);
		if (m->starved == (int)input)
			m->starved = -1;
	} else {
		if (in->state == PCAP_TCP_INPUT_OUT)
			m->nstreams++;
		if (in->state == PCAP_TCP_INPUT_DRY) {
			m->ndry--;
			in->missed = 0;
		}
		in->state = PCAP_TCP_INPUT_AT_HAND;
		in->is_new = 0;
		sift_up(m, m->n++, e);
	}
	in->queued_at = m->delivered;
}

void
pcap_tcp_merge_read(struct pcap_tcp_merge *m, unsigned int input, int64_t ts)
{
	m->input[input].read_at = m->now;
	pcap_tcp_merge_offer(m, input, ts);
}

static void
take_out(struct pcap_tcp_merge *m, unsigned int input)
{
	struct pcap_tcp_input *in = &m->input[input];
	unsigned int i;

	if (in->state == PCAP_TCP_INPUT_DRY)
		m->ndry--;
	else if (in->state == PCAP_TCP_INPUT_AT_HAND) {
		i = find(m, input);
		if (i == 0)
			m->front = m->heap[0].key;
		m->n--;
		if (i != m->n)
			replace(m, i, m->heap[m->n]);
	}
	if (m->starved == (int)input)
		m->starved = -1;
	in->state = PCAP_TCP_INPUT_OUT;
}

void
pcap_tcp_merge_dry(struct pcap_tcp_merge *m, unsigned int input)
{
	struct pcap_tcp_input *in = &m->input[input];
	/* Evaluate before take_out(), which may set m->front. */
	int is_behind = in->state == PCAP_TCP_INPUT_AT_HAND &&
	    m->heap[find(m, input)].key < subtract(m->front, m->hold_ticks);

	if (in->state == PCAP_TCP_INPUT_OUT) {
		in->read_at = m->now;
		in->is_new = 1;
		m->nstreams++;
	}
	take_out(m, input);
	in->state = PCAP_TCP_INPUT_LATE;
	if (is_behind || m->now < in->excused_until ||
	    (in->is_new && m->now < m->excused_until))
		return;
	in->state = PCAP_TCP_INPUT_DRY;
	m->ndry++;
	if (input >= m->ninputs)
		m->ninputs = input + 1;
}

void
pcap_tcp_merge_out(struct pcap_tcp_merge *m, unsigned int input)
{
	unsigned int i;

	if (m->input[input].state == PCAP_TCP_INPUT_OUT)
		return;
	take_out(m, input);
	m->nstreams--;
	/* The others may have been ahead of this one only. */
	for (i = 0; i < m->n; i++)
		m->heap[i].key = subtract(m->heap[i].key,
		    m->input[m->heap[i].input].shift);
	for (i = m->n / 2; i-- > 0; )
		sift_down(m, i, m->heap[i]);
	for (i = 0; i < PCAP_TCP_MAX_INPUTS; i++)
		m->input[i].shift = 0;
}

int64_t
pcap_tcp_merge_deadline(const struct pcap_tcp_merge *m)
{
	int64_t top, last = INT64_MIN;
	unsigned int i;

	if (m->n == 0 || m->ndry == 0)
		return (INT64_MAX);
	for (i = 0; i < m->ninputs; i++) {
		if (m->input[i].state == PCAP_TCP_INPUT_DRY &&
		    m->input[i].read_at > last)
			last = m->input[i].read_at;
	}
	top = m->input[m->heap[0].input].read_at;
	return ((top < last ? top : last) + m->hold);
}

/* Backs off, so that fruitless waits cost a bounded share of the time. */
static void
excuse(struct pcap_tcp_merge *m, struct pcap_tcp_input *in)
{
	in->excused_until = m->now + ((int64_t)m->hold << in->missed);
	if (in->missed < MAX_MISSED)
		in->missed++;
	if (in->is_new)
		m->excused_until = m->now + m->hold;
}

/* Nobody waits any longer for those that were not heard of for so long. */
static void
release(struct pcap_tcp_merge *m)
{
	unsigned int i;

	for (i = 0; i < m->ninputs; i++) {
		struct pcap_tcp_input *in = &m->input[i];

		if (in->state != PCAP_TCP_INPUT_DRY ||
		    m->now < in->read_at + m->hold)
			continue;
		in->state = PCAP_TCP_INPUT_LATE;
		m->ndry--;
		if (m->held)
			excuse(m, in);
	}
}

int
pcap_tcp_merge_first(struct pcap_tcp_merge *m, int64_t *limit)
{
	unsigned int input, i;

	if (m->n == 0)
		return (-1);
	if (m->ndry > 0) {
		if (m->now < pcap_tcp_merge_deadline(m)) {
			m->held = 1;
			return (-1);
		}
		release(m);
	}
	m->held = 0;
	if (m->starved != -1) {
		input = (unsigned int)m->starved;
		*limit = subtract(add(m->front, m->hold_ticks),
		    m->input[input].shift);
		return (m->starved);
	}
	input = m->heap[0].input;
	if (m->nstreams == 1) {
		*limit = INT64_MAX;
		return ((int)input);
	}
	*limit = add(m->heap[0].key, m->hold_ticks);
	for (i = 1; i < 3 && i < m->n; i++) {
		if (m->heap[i].key < *limit)
			*limit = m->heap[i].key;
	}
	*limit = subtract(*limit, m->input[input].shift);
	return ((int)input);
}

void
pcap_tcp_merge_unskew(struct pcap_tcp_merge *m)
{
	const int64_t ahead = add(m->front, m->hold_ticks);
	struct pcap_tcp_at_hand e;
	struct pcap_tcp_input *in;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		e = m->heap[i];
		in = &m->input[e.input];
		if (m->now - in->read_at < m->hold ||
		    m->delivered - in->queued_at < MANY_RECORDS)
			continue;
		if (e.key >= ahead) {
			in->shift = add(in->shift, subtract(m->front, e.key));
			e.key = m->front;
			replace(m, i, e);
		} else if (m->now - in->read_at >= MANY_HOLDS * m->hold)
			m->starved = (int)e.input;
	}
}
