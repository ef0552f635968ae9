/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-feed.c - all that feeds a device, merged into one stream
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-feed.h"

#define MAX_ACCEPTS	16	/* at once */
#define MAX_UNLOOKED	10	/* ms without a look at the other sources, */
#define MAX_SINCE_CLOCK	64	/* records without one at the clock */

/* With one source there is nothing to choose between. */
static int
is_single(const struct pcap_tcp_feed *f)
{
	return (f->ndialed == 1 && f->listeners == NULL);
}

void
pcap_tcp_feed_close(struct pcap_tcp_feed *f)
{
	unsigned int i;

	for (i = 0; i < f->nslots; i++) {
		if (f->source[i] != NULL)
			pcap_tcp_source_free(f->source[i]);
		f->source[i] = NULL;
	}
	f->current = NULL;
	f->next = f->stop = NULL;
	f->ndialed = f->nslots = 0;
	pcap_tcp_listener_close(f->listeners);
	f->listeners = NULL;
	pcap_tcp_tls_context_free(f->dialing_tls);
	pcap_tcp_tls_context_free(f->listening_tls);
	f->dialing_tls = f->listening_tls = NULL;
}

/*
 * The order of the streams.
 */

void
pcap_tcp_feed_offer(struct pcap_tcp_feed *f, unsigned int i)
{
	struct pcap_tcp_source *s = f->source[i];

	pcap_tcp_source_decode(s, f->opening);
	if (f->opening)
		return;
	if (pcap_tcp_source_has_record(s))
		pcap_tcp_merge_read(&f->merge, i,
		    pcap_tcp_source_time(s, s->head));
	else if (s->decoder.started &&
	    f->merge.input[i].state == PCAP_TCP_INPUT_OUT)
		pcap_tcp_merge_dry(&f->merge, i);
	/* It is back. */
	if (f->unreported_fault == s && s->decoder.started)
		f->unreported_fault = NULL;
}

/* Takes what was read of the run from its source. */
static void
finish_run(struct pcap_tcp_feed *f)
{
	struct pcap_tcp_source *s = f->current;

	f->merge.delivered += (uint64_t)(f->next - s->head);
	f->since_clock += f->next - s->head;
	s->head = f->next;
	f->current = NULL;
	f->next = f->stop = NULL;
	if (!pcap_tcp_source_has_record(s))
		pcap_tcp_source_decode(s, 0);
	if (pcap_tcp_source_has_record(s))
		pcap_tcp_merge_offer(&f->merge, f->current_input,
		    pcap_tcp_source_time(s, s->head));
	else {
		/* It may have more that was not read yet. */
		f->merge.now = pcap_tcp_now();
		pcap_tcp_merge_dry(&f->merge, f->current_input);
		f->must_advance = 1;
	}
}

/* Where the records of a source end that come before the others'. */
static const struct pcap_tcp_record *
end_of_run(const struct pcap_tcp_source *s, int64_t limit)
{
	const struct pcap_tcp_record *r = s->head + 1;

	if (limit == INT64_MAX)
		return (s->end);
	while (r != s->end && pcap_tcp_source_time(s, r) <= limit)
		r++;
	return (r);
}

int
pcap_tcp_feed_choose(struct pcap_tcp_feed *f)
{
	int64_t limit;
	int i;

	if (f->current != NULL)
		finish_run(f);
	if (!is_single(f) &&
	    (f->merge.ndry > 0 || f->since_clock >= MAX_SINCE_CLOCK)) {
		f->since_clock = 0;
		f->merge.now = pcap_tcp_now();
		if (f->merge.now - f->looked_at >= MAX_UNLOOKED)
			f->must_advance = 1;
	}
	if (f->must_advance)
		return (0);
	i = pcap_tcp_merge_first(&f->merge, &limit);
	if (i == -1)
		return (0);
	f->current_input = (unsigned int)i;
	f->current = f->source[i];
	f->swapped = f->current->swapped;
	f->next = f->current->head;
	f->stop = end_of_run(f->current, limit);
	return (1);
}

/*
 * Going on with each source.
 */

void
pcap_tcp_feed_drop(struct pcap_tcp_feed *f, unsigned int i)
{
	struct pcap_tcp_source *s = f->source[i];

	f->received += pcap_tcp_source_received(s);
	f->dropped += s->decoder.dropped;
	f->if_dropped += s->decoder.if_dropped;
	pcap_tcp_source_free(s);
	f->source[i] = NULL;
	f->nsenders--;
}

const struct pcap_tcp_source *
pcap_tcp_feed_first_stream(const struct pcap_tcp_feed *f)
{
	unsigned int i;

	for (i = 0; i < f->nslots; i++) {
		if (f->source[i] != NULL && f->source[i]->decoder.started)
			return (f->source[i]);
	}
	return (NULL);
}

/*
 * Why a source has no stream, with its name where that isn't in the text
 * already and there are others.
 */
static void
say(const struct pcap_tcp_feed *f, const struct pcap_tcp_source *s,
    char *errbuf)
{
	if (f->ndialed > 1 &&
	    strstr(s->error, s->peer) == NULL)
		snprintf(errbuf, PCAP_ERRBUF_SIZE, "%.90s: %.160s", s->peer,
		    s->error);
	else
		memcpy(errbuf, s->error, PCAP_ERRBUF_SIZE);
}

/* The last of the streams is over; each end and fault is told once. */
static enum pcap_tcp_progress
sum_up(struct pcap_tcp_feed *f)
{
	if (f->unreported_fault == NULL) {
		snprintf(f->errbuf, PCAP_ERRBUF_SIZE, "end of stream");
		return (PCAP_TCP_END);
	}
	memcpy(f->errbuf, f->fault, PCAP_ERRBUF_SIZE);
	f->unreported_fault = NULL;
	return (PCAP_TCP_FAILED);
}

/* A source has no stream any more, or could not get one. */
static enum pcap_tcp_progress
lost(struct pcap_tcp_feed *f, unsigned int i, enum pcap_tcp_progress why)
{
	struct pcap_tcp_source *s = f->source[i];

	pcap_tcp_merge_out(&f->merge, i);
	if (pcap_tcp_feed_is_sender(f, i)) {
		memcpy(f->fault, s->error, sizeof(f->fault));
		pcap_tcp_feed_drop(f, i);
		return (PCAP_TCP_PROGRESS);
	}
	/* After the only attempt, that is a fault, too. */
	if (why == PCAP_TCP_UNREACHABLE && !f->opening &&
	    s->deadline == PCAP_TCP_NEVER)
		why = PCAP_TCP_FAILED;
	if (why == PCAP_TCP_FAILED && f->unreported_fault == NULL) {
		f->unreported_fault = s;
		say(f, s, f->fault);
	}
	if (f->opening || why == PCAP_TCP_UNREACHABLE ||
	    f->listeners != NULL || pcap_tcp_feed_first_stream(f) != NULL)
		return (PCAP_TCP_PROGRESS);
	return (sum_up(f));
}

static enum pcap_tcp_progress
advance_one(struct pcap_tcp_feed *f, unsigned int i)
{
	struct pcap_tcp_source *s = f->source[i];
	enum pcap_tcp_progress progress = pcap_tcp_source_advance(s);

	if (progress == PCAP_TCP_PROGRESS)
		pcap_tcp_feed_offer(f, i);
	else if (progress != PCAP_TCP_WAIT)
		progress = lost(f, i, progress);
	return (progress);
}

/* A free slot for a sender; f->nslots if there is none below. */
static unsigned int
find_slot(const struct pcap_tcp_feed *f)
{
	unsigned int i = f->ndialed;

	while (i < f->nslots && f->source[i] != NULL)
		i++;
	return (i);
}

static int
accept_sender(struct pcap_tcp_feed *f, struct pcap_tcp_listener *l)
{
	struct pcap_tcp_source *s;
	char peer[128];
	unsigned int i;
	int fd;

	/* Leave excess senders in the backlog. */
	if (f->nsenders == PCAP_TCP_MAX_SENDERS) {
		pcap_tcp_listener_pause(l);
		return (0);
	}
	fd = pcap_tcp_listener_accept(l, f->common.device->keepalive, peer,
	    sizeof(peer));
	if (fd == -1)
		return (0);
	s = pcap_tcp_source_accept(&f->common, fd, peer,
	    pcap_tcp_is_tls(l->address->scheme) ? f->listening_tls : NULL);
	if (s == NULL)
		return (1);
	s->decoder.dlt = f->dlt;
	i = find_slot(f);
	if (i == f->nslots)
		f->nslots++;
	f->source[i] = s;
	f->nsenders++;
	return (1);
}

/* Is there no record of this source without reading from it? */
static int
needs_read(const struct pcap_tcp_feed *f, const struct pcap_tcp_source *s)
{
	return (s != NULL && !pcap_tcp_source_has_record(s) &&
	    !(f->opening && s->decoder.started));
}

/* When there is something to do without an event. */
static int64_t
next_deadline(const struct pcap_tcp_feed *f)
{
	const struct pcap_tcp_listener *l;
	int64_t deadline = pcap_tcp_merge_deadline(&f->merge);
	unsigned int i;

	for (i = 0; i < f->nslots; i++) {
		if (needs_read(f, f->source[i]) &&
		    f->source[i]->deadline < deadline)
			deadline = f->source[i]->deadline;
	}
	for (l = f->listeners; l != NULL; l = l->next) {
		if (pcap_tcp_listener_deadline(l) < deadline)
			deadline = pcap_tcp_listener_deadline(l);
	}
	if (f->opening && f->grace_end < deadline)
		deadline = f->grace_end;
	if (f->opening && f->give_up < deadline)
		deadline = f->give_up;
	return (deadline);
}

/* Whose descriptors matter now; returns how many. */
static size_t
list_watches(struct pcap_tcp_feed *f, struct pcap_tcp_watch **watches)
{
	struct pcap_tcp_listener *l;
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < f->nslots; i++) {
		if (needs_read(f, f->source[i]))
			watches[n++] = &f->source[i]->watch;
	}
	for (l = f->listeners; l != NULL; l = l->next) {
		if (l->paused_until == 0)
			watches[n++] = &l->watch;
	}
	return (n);
}

/* Has those go on that their deadline calls, or what they have already. */
static int
take_deadlines(struct pcap_tcp_feed *f, int64_t now)
{
	struct pcap_tcp_listener *l;
	struct pcap_tcp_source *s;
	unsigned int i;
	int due = now >= pcap_tcp_merge_deadline(&f->merge);

	for (i = 0; i < f->nslots; i++) {
		s = f->source[i];
		if (!needs_read(f, s) ||
		    (now < s->deadline && !pcap_tcp_source_pending(s)))
			continue;
		s->watch.waiting = 0;
		due = 1;
	}
	for (l = f->listeners; l != NULL; l = l->next)
		pcap_tcp_listener_resume(l, now);
	return (due);
}

int
pcap_tcp_feed_wait(struct pcap_tcp_feed *f, int stop_fd, int64_t then)
{
	struct pcap_tcp_watch *watches[PCAP_TCP_MAX_INPUTS +
	    PCAP_TCP_MAX_LISTENERS];
	int64_t deadline = next_deadline(f);
	int events;

	if (then < deadline)
		deadline = then;
	events = pcap_tcp_events_wait(f->common.events, watches,
	    list_watches(f, watches), stop_fd, deadline);
	if (events == -1) {
		/* As EINVAL, when RLIMIT_NOFILE is made small. */
		pcap_tcp_fmt_errno(f->errbuf, PCAP_ERRBUF_SIZE, errno, "poll");
		return (-1);
	}
	f->polled = 1;
	if (take_deadlines(f, pcap_tcp_now()))
		events |= PCAP_TCP_EVENT_WATCH;
	return (events);
}

/* Has one source data, so that the others have to be asked, too? */
static int
has_more(const struct pcap_tcp_feed *f)
{
	unsigned int i;

	for (i = 0; i < f->nslots; i++) {
		if (needs_read(f, f->source[i]) && !f->source[i]->watch.waiting)
			return (1);
	}
	return (0);
}

enum pcap_tcp_progress
pcap_tcp_feed_advance(struct pcap_tcp_feed *f)
{
	enum pcap_tcp_progress one, all = PCAP_TCP_WAIT;
	struct pcap_tcp_listener *l;
	int64_t limit;
	unsigned int i;

	f->must_advance = 0;
	if (is_single(f))
		return (needs_read(f, f->source[0]) ? advance_one(f, 0) :
		    PCAP_TCP_WAIT);
	/* Or those that always have data would keep the others waiting. */
	if (!f->polled && (has_more(f) || f->merge.n > 0))
		(void)pcap_tcp_feed_wait(f, -1, 0);
	f->polled = 0;
	f->looked_at = f->merge.now = pcap_tcp_now();
	pcap_tcp_merge_unskew(&f->merge);
	for (i = 0; i < f->nslots; i++) {
		if (!needs_read(f, f->source[i]) ||
		    f->source[i]->watch.waiting)
			continue;
		one = advance_one(f, i);
		if (one == PCAP_TCP_END || one == PCAP_TCP_FAILED)
			return (one);
		if (one == PCAP_TCP_PROGRESS)
			all = PCAP_TCP_PROGRESS;
	}
	for (l = f->listeners; l != NULL; l = l->next) {
		for (i = 0; !l->watch.waiting && i < MAX_ACCEPTS; i++) {
			if (accept_sender(f, l))
				all = PCAP_TCP_PROGRESS;
			else
				l->watch.waiting = 1;
		}
	}
	/* The one that had run dry has nothing more: the next one, then? */
	if (pcap_tcp_merge_first(&f->merge, &limit) != -1)
		all = PCAP_TCP_PROGRESS;
	return (all);
}

int
pcap_tcp_feed_ready(struct pcap_tcp_feed *f, int64_t *deadline)
{
	struct pcap_tcp_source *s;
	int64_t limit;
	unsigned int i;

	if (pcap_tcp_merge_first(&f->merge, &limit) != -1)
		return (1);
	for (i = 0; i < f->nslots; i++) {
		s = f->source[i];
		if (s == NULL)
			continue;
		/* One that is held back has nothing to say. */
		pcap_tcp_watch_enable(&s->watch, needs_read(f, s));
		if (needs_read(f, s) && pcap_tcp_source_pending(s))
			return (1);
	}
	*deadline = next_deadline(f);
	return (0);
}

void
pcap_tcp_feed_stats(const struct pcap_tcp_feed *f, struct pcap_stat *ps)
{
	uint64_t received = f->received, dropped = f->dropped;
	uint64_t if_dropped = f->if_dropped;
	const struct pcap_tcp_source *s;
	unsigned int i;

	for (i = 0; i < f->nslots; i++) {
		s = f->source[i];
		if (s == NULL)
			continue;
		received += pcap_tcp_source_received(s);
		dropped += s->decoder.dropped;
		if_dropped += s->decoder.if_dropped;
	}
	if (f->current != NULL)
		received += (uint64_t)(f->next - f->current->head);
	ps->ps_recv = (u_int)received;
	ps->ps_drop = (u_int)dropped;
	ps->ps_ifdrop = (u_int)if_dropped;
}
