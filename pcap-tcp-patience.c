/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-patience.c - which records are next, and who is waited for
 */

#include <string.h>

#include "pcap-tcp-patience.h"

#define SHARE		256	/* records of each, and who is ahead may go */
#define MAX_MISSED	5	/* then it is excused for 31 holds */
#define REST		16	/* holds between two waits for new inputs */

void
pcap_tcp_patience_init(struct pcap_tcp_patience *p, int hold,
    int64_t per_second)
{
	memset(p, 0, sizeof(*p));
	p->hold = hold;
	p->hold_ticks = hold * per_second / 1000;
	p->new_at = INT64_MIN / 2;
	p->floor = INT64_MIN;
	p->merge.per_second = per_second;
	p->merge.exhausted = -1;
}

void
pcap_tcp_patience_arrival(struct pcap_tcp_patience *p,
    const struct timespec *now, struct timeval *stamp)
{
	struct pcap_tcp_record r;
	int64_t key;

	r.h.ts.tv_sec = now->tv_sec;
	r.h.ts.tv_usec = (suseconds_t)(now->tv_nsec /
	    (1000000000 / p->merge.per_second));
	key = pcap_tcp_merge_key(&p->merge, &r);
	if (key > p->floor) {
		p->floor = key;
		*stamp = r.h.ts;
	}
}

/* By more than so many ticks?  No difference of time stamps overflows. */
static int
is_ahead(int64_t a, int64_t b, int64_t by)
{
	return (a > b && (uint64_t)a - (uint64_t)b > (uint64_t)by);
}

static int64_t
waited(const struct pcap_tcp_patience *p,
    const struct pcap_tcp_patience_input *in)
{
	return (p->now - in->since);
}

/*
 * New inputs count as one: whoever comes later than a hold after the first of
 * them is not waited for until it has been here for a while.
 */
static void
join(struct pcap_tcp_patience *p, unsigned int input)
{
	struct pcap_tcp_patience_input *in = &p->input[input];

	memset(in, 0, sizeof(*in));
	p->merge.input[input].last = INT64_MIN;
	if (p->now - p->new_at > REST * p->hold)
		p->new_at = p->now;
	in->read_at = p->new_at;
	if (p->now - p->new_at >= p->hold)
		in->excused_until = p->now + REST * p->hold;
	if (input >= p->ninputs)
		p->ninputs = input + 1;
}

/*
 * It was silent for longer than anybody waits.  The more often that happens,
 * the less it is waited for, until it has sent steadily for as long.
 */
static void
miss(struct pcap_tcp_patience *p, struct pcap_tcp_patience_input *in)
{
	if (in->read_at - in->excused_until > p->hold << in->missed)
		in->missed = 0;
	else if (in->missed < MAX_MISSED)
		in->missed++;
	in->excused_until = p->now + (p->hold << in->missed) - p->hold;
}

void
pcap_tcp_patience_read(struct pcap_tcp_patience *p, unsigned int input,
    struct pcap_tcp_batch *batch, int full)
{
	struct pcap_tcp_patience_input *in = &p->input[input];
	int64_t offset = (int64_t)(
	    (uint64_t)pcap_tcp_merge_key(&p->merge, batch->next) -
	    (uint64_t)p->now * (uint64_t)(p->merge.per_second / 1000));
	int at_once = in->state == PCAP_TCP_INPUT_AT_HAND;

	if (in->state == PCAP_TCP_INPUT_OUT)
		join(p, input);
	else if (!at_once && p->now - in->read_at >= p->hold)
		miss(p, in);
	/* This may have been in the socket for as long as that was overdue. */
	in->since = at_once && waited(p, in) >= p->hold ? in->read_at : p->now;
	in->read_at = p->now;
	/* A read by TLS does not show that there is more. */
	in->more = full || at_once;
	in->apart &= in->more;
	in->full = full;
	in->steady = !is_ahead(offset, in->offset, p->hold_ticks);
	in->offset = offset;
	in->state = PCAP_TCP_INPUT_AT_HAND;
	pcap_tcp_merge_add(&p->merge, input, batch);
}

void
pcap_tcp_patience_dry(struct pcap_tcp_patience *p, unsigned int input)
{
	if (p->input[input].state == PCAP_TCP_INPUT_OUT)
		join(p, input);
	p->input[input].state = PCAP_TCP_INPUT_DRY;
}

int64_t
pcap_tcp_patience_silence(const struct pcap_tcp_patience *p,
    unsigned int input)
{
	const struct pcap_tcp_patience_input *in = &p->input[input];

	return (in->state == PCAP_TCP_INPUT_DRY ? p->now - in->read_at : 0);
}

void
pcap_tcp_patience_out(struct pcap_tcp_patience *p, unsigned int input)
{
	p->input[input].state = PCAP_TCP_INPUT_OUT;
}

/* What may be taken now. */
struct verdict {
	unsigned int place;	/* from here on, */
	int64_t limit;		/* up to this key; */
	int64_t until;		/* or all is held back until this time */
};

/* How far all those with a record have come. */
static int64_t
least_last(const struct pcap_tcp_patience *p)
{
	const struct pcap_tcp_in_line *first = p->merge.line + p->merge.front;
	int64_t last, least = INT64_MAX;
	unsigned int i;

	for (i = 0; i < p->merge.n; i++) {
		last = p->merge.input[first[i].input].last;
		if (last < least)
			least = last;
	}
	return (least);
}

/*
 * Up to which key the dry inputs have nothing to say: an input's own records
 * are in order, and one that is behind all others is late anyway.
 */
static void
look_at_dry(const struct pcap_tcp_patience *p, struct verdict *v)
{
	const struct pcap_tcp_in_line *first = p->merge.line + p->merge.front;
	const struct pcap_tcp_patience_input *in;
	int64_t last, front = INT64_MAX;
	unsigned int i;

	for (i = 0; i < p->ninputs; i++) {
		in = &p->input[i];
		if (in->state != PCAP_TCP_INPUT_DRY ||
		    p->now - in->read_at >= p->hold ||
		    p->now < in->excused_until)
			continue;
		if (front == INT64_MAX)
			front = least_last(p);
		last = p->merge.input[i].last;
		if (last < p->floor)
			last = p->floor;
		if (in->since != 0 && is_ahead(front, last, p->hold_ticks))
			continue;
		if (last < v->limit)
			v->limit = last;
		if (last < first->key && in->read_at + p->hold > v->until)
			v->until = in->read_at + p->hold;
	}
}

/*
 * How far a record has to be ahead of others for its order with them to be
 * given up: by hold, and the longer it is overdue, the less.
 */
static int64_t
margin(const struct pcap_tcp_patience *p,
    const struct pcap_tcp_patience_input *in)
{
	int64_t left = 2 * p->hold - waited(p, in);

	return (left >= p->hold ? p->hold_ticks :
	    left <= 0 ? 0 : p->hold_ticks * left / p->hold);
}

/* There is a record at hand.  May it be taken? */
static int
judge(const struct pcap_tcp_patience *p, struct verdict *v)
{
	const struct pcap_tcp_in_line *first = p->merge.line + p->merge.front;
	const struct pcap_tcp_patience_input *in, *best = NULL,
	    *front = &p->input[first->input];
	int64_t first_due = INT64_MAX, key = 0;
	unsigned int i;
	int is_free;

	*v = (struct verdict){ 0, INT64_MAX, 0 };
	look_at_dry(p, v);
	for (i = 0; i < p->merge.n; i++) {
		in = &p->input[first[i].input];
		if (in->since + p->hold < first_due)
			first_due = in->since + p->hold;
		/* Two replays are no clocks that differ. */
		is_free = in->steady || front->steady;
		if (waited(p, in) < p->hold && !(in->apart && is_free))
			continue;
		if (is_ahead(first[i].key, first->key, margin(p, in)) &&
		    (is_free || p->delivered >= in->turn)) {
			if (best == NULL || in->turn < best->turn) {
				best = in;
				key = first[i].key;
			}
		} else if (first[i].key > v->limit && waited(p, in) >= p->hold)
			v->limit = first[i].key;
	}
	/* It is nobody's turn whose record was read after an overdue front. */
	if (best != NULL && waited(p, front) >= p->hold &&
	    front->since < best->since)
		best = NULL;
	if (best != NULL &&
	    (p->delivered >= best->turn || first->key > v->limit)) {
		while (is_ahead(key, first[v->place].key, margin(p, best)))
			v->place++;
		v->limit = INT64_MAX;
	} else if (first_due < v->until)
		v->until = first_due;
	return (first[v->place].key <= v->limit);
}

/*
 * Whose turn is when, after a take that n inputs were at hand for.  Who is in
 * order has no claim, unless it had nothing more to send and is overdue.
 */
static void
settle(struct pcap_tcp_patience *p, int in_order, unsigned int n,
    size_t taken)
{
	const uint64_t slack = PCAP_TCP_MERGED * n, before = p->delivered;
	struct pcap_tcp_patience_input *in;
	unsigned int i;

	p->delivered += taken;
	for (i = 0; i < p->ninputs; i++) {
		taken = p->merge.input[i].taken;
		if (taken == 0)
			continue;
		p->merge.input[i].taken = 0;
		in = &p->input[i];
		if (in_order) {
			if (in->full || margin(p, in) > 0)
				in->turn = p->delivered + SHARE * n;
			continue;
		}
		if (in->turn + slack < before || in->turn > before + slack)
			in->turn = before;
		in->turn += taken * n;
		in->apart |= in->more && waited(p, in) >= p->hold;
	}
}

int
pcap_tcp_patience_next(struct pcap_tcp_patience *p, struct pcap_tcp_batch *run)
{
	const unsigned int n = p->merge.n;
	struct verdict v;

	if (n == 0 || !judge(p, &v))
		return (0);
	pcap_tcp_merge_take(&p->merge, v.place, v.limit, run);
	settle(p, v.place == 0, n, (size_t)(run->end - run->next));
	return (1);
}

int64_t
pcap_tcp_patience_deadline(const struct pcap_tcp_patience *p)
{
	struct verdict v;

	if (p->merge.n == 0)
		return (INT64_MAX);
	return (judge(p, &v) ? 0 : v.until);
}
