/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-merging.h - sources, their clocks, and a reader, in simulated time, for
 * the unit tests of the order of several inputs
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-patience.h"

#define HOLD	100000LL	/* us */
#define MS	1000LL
#define SECOND	1000000LL
#define HOUR	(3600 * SECOND)
#define BATCH	128
#define SOURCES	64

/* A record on its way. */
struct fact {
	unsigned int source;
	uint64_t number;	/* of its source's */
	int64_t ts;
	int64_t made;		/* us; when it was made, and read */
	int64_t read_at;
};

struct source {
	/* Set by a test; us. */
	int64_t gap;		/* between records; 0: as fast as they go */
	int64_t step;		/* of a replay's stamps; 0: a live clock */
	int64_t ahead;		/* its clock */
	int halves;		/* seconds that it runs in two */
	enum {
		LIVE, STILL, RANDOM, BACKWARDS, JUMPING, EXTREME
	} clock;
	int64_t latency, jitter;
	int64_t from, until;	/* when it can send */
	uint64_t count;		/* records; 0: no end */
	int64_t stall, stall_end;	/* What it makes comes at its end. */
	size_t most;		/* records that a read may take */
	int veiled;		/* It does not show that there is more. */

	/* Of the simulation. */
	int64_t next_made, next_here, next_ts;
	uint64_t made, delivered;
	struct fact *fact;
	struct pcap_tcp_record *record;
	size_t nread, at;
	struct pcap_tcp_batch batch;
	int64_t longest_wait;	/* since it was read, */
	int64_t longest_lag;	/* and made */
	int64_t lags;
};

struct world {
	struct source source[SOURCES];
	unsigned int n;
	int64_t now;		/* us */
	int64_t cost;		/* ns that the reader takes a record */
	int64_t debt;		/* of them */
	int64_t quiet_until;	/* nothing is measured before */
	int64_t pause, pause_end;	/* The reader is stopped. */
	int64_t held;		/* us that records were held back */
	struct pcap_tcp_patience patience;
	/* Of those whose clocks are right: */
	uint64_t wrongly;	/* before an older one that was at hand, */
	uint64_t late;		/* after a younger one, */
	int64_t last_late;	/* us; the last time, */
	int64_t newest;		/* and the youngest so far */
};

static uint64_t seed = 1;

static inline void
sow(uint64_t i)
{
	seed = (i + 1) * 0x9e3779b97f4a7c15ULL | 1;
}

static inline void
check(int holds)
{
	if (!holds)
		abort();
}

static inline int64_t
any(int64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (n <= 0 ? 0 : (int64_t)(seed % (uint64_t)n));
}

static inline int64_t
stamp(const struct source *s, int64_t at)
{
	switch (s->clock) {
	case STILL:
		return (s->ahead);
	case RANDOM:
		/* As a time_t of 32 bits has it. */
		return ((any(1LL << 32) - (1LL << 31)) * SECOND +
		    any(SECOND));
	case EXTREME:
		return (any(2) ? INT64_MIN : INT64_MAX);
	case BACKWARDS:
		return (s->ahead - at);
	case JUMPING:
		return (at + (at / SECOND % 2 ? s->ahead : -s->ahead));
	default:
		if (s->step > 0)
			return (s->ahead + (int64_t)s->made * s->step);
		return (1700000000 * SECOND + at * s->halves / 2 + s->ahead);
	}
}

static inline void
make(struct world *w, struct source *s)
{
	int64_t here;

	if (s->gap == 0) {
		s->next_made = w->now > s->from ? w->now : s->from;
		here = s->next_made;
	} else {
		s->next_made = s->made == 0 ? s->from + any(s->gap) :
		    s->next_made + s->gap / 2 + any(s->gap) + 1;
		here = s->next_made + s->latency + any(s->jitter);
	}
	if (here >= s->stall && here < s->stall_end)
		here = s->stall_end;
	if (here > s->next_here)
		s->next_here = here;
	s->next_ts = stamp(s, s->next_made);
	if ((s->until != 0 && s->next_made >= s->until) ||
	    (s->count != 0 && s->made == s->count))
		s->next_here = INT64_MAX;
	s->made++;
}

static inline void
set_up(struct world *w, unsigned int n)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->n = n;
	w->newest = INT64_MIN;
	for (i = 0; i < n; i++) {
		w->source[i].halves = 2;
		w->source[i].gap = 10 * MS;
		w->source[i].most = n > 1 && n < 16 ? 3276 / n : 204;
	}
	pcap_tcp_patience_init(&w->patience, (int)(HOLD / MS), SECOND);
}

/* They send steadily, each as often and as late as it may be, by good clocks. */
static inline void
set_right_clocks(struct world *w)
{
	struct source *s;

	for (s = w->source; s != w->source + w->n; s++) {
		s->gap = 100 + any(40 * MS);
		s->ahead = 10 * MS - any(20 * MS);
		s->latency = any(15 * MS);
		s->jitter = any(15 * MS);
	}
}

static inline void
begin(struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->n; i++) {
		struct source *s = &w->source[i];

		s->fact = calloc(s->most, sizeof(*s->fact));
		s->record = calloc(s->most, sizeof(*s->record));
		make(w, s);
	}
}

static inline void
finish(struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->n; i++) {
		free(w->source[i].fact);
		free(w->source[i].record);
	}
}

/* The next batch of what was read. */
static inline int
decode(struct source *s)
{
	size_t n = s->nread - s->at < BATCH ? s->nread - s->at : BATCH;

	s->batch.next = s->record + s->at;
	s->batch.end = s->batch.next + n;
	s->at += n;
	return (n > 0);
}

static inline int
read_source(struct world *w, unsigned int i)
{
	struct source *s = &w->source[i];
	struct fact *f;

	if (s->next_here > w->now)
		return (0);
	for (s->nread = s->at = 0; s->nread < s->most &&
	    s->next_here <= w->now; s->nread++) {
		f = &s->fact[s->nread];
		*f = (struct fact){ i, s->made, s->next_ts, s->next_made,
		    w->now };
		s->record[s->nread].data = (u_char *)(void *)f;
		/* Rounded down, as a negative time is. */
		s->record[s->nread].h.ts.tv_sec = (time_t)(f->ts / SECOND -
		    (f->ts % SECOND < 0));
		s->record[s->nread].h.ts.tv_usec = (suseconds_t)(f->ts -
		    f->ts / SECOND * SECOND + (f->ts % SECOND < 0) * SECOND);
		make(w, s);
	}
	decode(s);
	pcap_tcp_patience_read(&w->patience, i, &s->batch,
	    s->nread == s->most && !s->veiled);
	return (1);
}

static inline const struct fact *
fact_of(const struct pcap_tcp_record *r)
{
	return ((const struct fact *)(const void *)r->data);
}

static inline int
is_right(const struct source *s)
{
	return (s->clock == LIVE && s->halves == 2 && (s->step >= MS ||
	    (s->ahead < HOLD / 2 && s->ahead > -HOLD / 2)));
}

static inline void
deliver(struct world *w, const struct fact *f, int64_t taken_at)
{
	struct source *s = &w->source[f->source];
	const struct pcap_tcp_batch *b;
	int64_t wait = taken_at - f->read_at;
	int older = 0;
	unsigned int i;

	w->debt += w->cost;
	w->now += w->debt / 1000;
	w->debt %= 1000;
	check(f->number == ++s->delivered);
	if (w->now < w->quiet_until)
		return;
	if (wait > s->longest_wait)
		s->longest_wait = wait;
	if (w->now - f->made > s->longest_lag)
		s->longest_lag = w->now - f->made;
	s->lags += w->now - f->made;
	if (!is_right(s))
		return;
	for (i = 0; i < w->n; i++) {
		b = &w->source[i].batch;
		older |= is_right(&w->source[i]) && b->next != b->end &&
		    fact_of(b->next)->ts < f->ts;
	}
	w->wrongly += wait < HOLD - MS && older;
	if (f->ts < w->newest) {
		w->late++;
		w->last_late = w->now;
	} else
		w->newest = f->ts;
}

/* A step of the reader; returns 0 when the time has come. */
static inline int
step(struct world *w, int64_t end)
{
	struct pcap_tcp_patience *p = &w->patience;
	struct pcap_tcp_batch run;
	int64_t then, taken_at;
	unsigned int i;
	struct source *s;
	int again = 0;

	if (w->now >= w->pause && w->now < w->pause_end)
		w->now = w->pause_end;
	p->now = w->now / MS;
	if (p->merge.exhausted != -1) {
		i = (unsigned int)p->merge.exhausted;
		p->merge.exhausted = -1;
		if (decode(&w->source[i]))
			pcap_tcp_merge_add(&p->merge, i,
			    &w->source[i].batch);
		else
			again = 1;
	}
	if (again || p->merge.n < w->n) {
		for (i = 0; i < w->n; i++) {
			s = &w->source[i];
			if (s->batch.next != s->batch.end || w->now < s->from)
				continue;
			if (read_source(w, i))
				continue;
			if (s->until == 0 || w->now < s->until)
				pcap_tcp_patience_dry(p, i);
			else
				pcap_tcp_patience_out(p, i);
		}
	}
	taken_at = w->now;
	if (pcap_tcp_patience_next(p, &run)) {
		check(run.next < run.end);
		for (; run.next < run.end; run.next++)
			deliver(w, fact_of(run.next), taken_at);
		return (w->now < end);
	}
	then = pcap_tcp_patience_deadline(p);
	check(then > p->now);
	then = then == INT64_MAX ? end : then * MS;
	for (i = 0; i < w->n; i++) {
		if (p->input[i].state == PCAP_TCP_INPUT_AT_HAND)
			continue;
		if (w->source[i].from > w->now && w->source[i].from < then)
			then = w->source[i].from;
		if (w->source[i].next_here < then)
			then = w->source[i].next_here;
	}
	if (then <= w->now)
		then = w->now + 1;
	if (p->merge.n > 0)
		w->held += then - w->now;
	w->now = then;
	return (w->now < end);
}

static inline void
simulate(struct world *w, int64_t end)
{
	begin(w);
	while (step(w, end))
		;
	finish(w);
}
