/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-feed.c - all that feeds a device, merged into one stream
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-feed.h"

#define MAX_UNLOOKED	2	/* ms without a look at the other peers */
#define MAX_SILENCE	500	/* ms of a peer while others have records */
#define MAX_ROUNDS	32	/* of reads without a handshake that is due */

/* What peers share in a round of reads, so that it stays in the cache. */
#define SHARED_READ	(256 * 1024)
#define MIN_READ	(16 * 1024)	/* and each has at least */

/* With one peer there is nothing to choose between. */
static int
is_single(const struct pcap_tcp_feed *f)
{
	return (f->peers.ndialed == 1 && f->peers.listeners == NULL);
}

int
pcap_tcp_feed_open(struct pcap_tcp_feed *f,
    const struct pcap_tcp_common *common, int hold, char *errbuf)
{
	memset(f, 0, sizeof(*f));
	pcap_tcp_patience_init(&f->patience, hold,
	    common->decoding.precision == PCAP_TSTAMP_PRECISION_NANO ?
	    1000000000 : 1000000);
	return (pcap_tcp_peers_open(&f->peers, common, errbuf));
}

void
pcap_tcp_feed_close(struct pcap_tcp_feed *f)
{
	f->patience.merge.exhausted = -1;
	pcap_tcp_peers_close(&f->peers);
}

/*
 * The order of the streams.
 */

/* A peer has read something: tells patience what it has at hand. */
static void
offer(struct pcap_tcp_feed *f, unsigned int i)
{
	struct pcap_tcp_peer *p = f->peers.peer[i];

	pcap_tcp_peer_decode(p, !f->is_open);
	if (!f->is_open)
		return;
	/* It is back. */
	if (f->unreported_fault == p && p->stream.decoder.started)
		f->unreported_fault = NULL;
	if (is_single(f))
		return;
	if (pcap_tcp_stream_has_record(&p->stream))
		pcap_tcp_patience_read(&f->patience, i, &p->stream.batch,
		    p->stream.full);
	else if (p->stream.decoder.started)
		pcap_tcp_patience_dry(&f->patience, i);
}

/* A batch was handed out to its end: what has its peer next? */
static void
finish_batch(struct pcap_tcp_feed *f)
{
	unsigned int i = (unsigned int)f->patience.merge.exhausted;
	struct pcap_tcp_peer *p = f->peers.peer[i];

	f->patience.merge.exhausted = -1;
	if (!pcap_tcp_stream_has_record(&p->stream))
		pcap_tcp_peer_decode(p, 0);
	if (is_single(f))
		return;
	if (pcap_tcp_stream_has_record(&p->stream))
		pcap_tcp_merge_add(&f->patience.merge, i, &p->stream.batch);
	else	/* It may have more that was not read yet. */
		f->must_advance = 1;
}

/* The batch of the only peer is the run. */
static int
next_of_single(struct pcap_tcp_feed *f, struct pcap_tcp_batch *run)
{
	struct pcap_tcp_batch *batch = &f->peers.peer[0]->stream.batch;

	*run = *batch;
	batch->next = batch->end;
	f->patience.merge.exhausted = run->next != run->end ? 0 : -1;
	return (run->next != run->end);
}

int
pcap_tcp_feed_next(struct pcap_tcp_feed *f, struct pcap_tcp_batch *run)
{
	int taken;

	if (f->patience.merge.exhausted != -1)
		finish_batch(f);
	if (is_single(f))
		taken = next_of_single(f, run);
	else {
		f->patience.now = pcap_tcp_now();
		/* On a slow machine, too, something has to go out. */
		if (!f->has_advanced &&
		    f->patience.now - f->looked_at >= MAX_UNLOOKED)
			f->must_advance = 1;
		taken = !f->must_advance &&
		    pcap_tcp_patience_next(&f->patience, run);
	}
	if (taken) {
		f->has_advanced = 0;
		f->received += (uint64_t)(run->end - run->next);
	}
	return (taken);
}

/*
 * Going on with each peer.
 */

/*
 * Why a peer has no stream, with its name where that isn't in the text
 * already and there are others.
 */
static void
note_fault(struct pcap_tcp_feed *f, const struct pcap_tcp_peer *p)
{
	if (f->unreported_fault != NULL)
		return;
	f->unreported_fault = p;
	if (f->peers.ndialed > 1 && strstr(p->error, p->name) == NULL)
		snprintf(f->fault, sizeof(f->fault), "%.90s: %.160s",
		    p->name, p->error);
	else
		memcpy(f->fault, p->error, sizeof(f->fault));
}

/*
 * The last of the streams is over.  That is told once, and if the program
 * reads on, the device is like an interface without traffic until packets
 * arrive again: most sensors read on, and would spin if they were told at each
 * call.
 */
static enum pcap_tcp_progress
sum_up(struct pcap_tcp_feed *f)
{
	if (f->peers.common.device->reconnect == PCAP_TCP_RECONNECT_YES) {
		f->unreported_fault = NULL;
		return (PCAP_TCP_PROGRESS);
	}
	if (f->unreported_fault == NULL) {
		snprintf(f->peers.errbuf, PCAP_ERRBUF_SIZE, "end of stream");
		return (PCAP_TCP_END);
	}
	memcpy(f->peers.errbuf, f->fault, PCAP_ERRBUF_SIZE);
	f->unreported_fault = NULL;
	return (PCAP_TCP_FAILED);
}

/* A peer has no stream any more, or could not get one. */
static enum pcap_tcp_progress
lost(struct pcap_tcp_feed *f, unsigned int i, enum pcap_tcp_progress why)
{
	struct pcap_tcp_peer *p = f->peers.peer[i];

	pcap_tcp_patience_out(&f->patience, i);
	if (p->is_sender) {
		memcpy(f->fault, p->error, sizeof(f->fault));
		pcap_tcp_peers_drop_sender(&f->peers, i);
		return (PCAP_TCP_PROGRESS);
	}
	/* After the only attempt, that is a fault, too. */
	if (why == PCAP_TCP_UNREACHABLE && f->is_open &&
	    p->state == PCAP_TCP_PEER_GONE)
		why = PCAP_TCP_FAILED;
	if (why == PCAP_TCP_FAILED)
		note_fault(f, p);
	if (!f->is_open || why == PCAP_TCP_UNREACHABLE ||
	    f->peers.listeners != NULL ||
	    pcap_tcp_peers_first_stream(&f->peers) != NULL)
		return (PCAP_TCP_PROGRESS);
	return (sum_up(f));
}

static enum pcap_tcp_progress
advance_one(struct pcap_tcp_feed *f, unsigned int i)
{
	enum pcap_tcp_progress progress =
	    pcap_tcp_peer_advance(f->peers.peer[i]);

	if (progress == PCAP_TCP_PROGRESS)
		offer(f, i);
	else if (progress != PCAP_TCP_WAIT)
		progress = lost(f, i, progress);
	else if (f->is_open && f->peers.peer[i]->stream.decoder.started)
		pcap_tcp_patience_dry(&f->patience, i);
	return (progress);
}

/* Is there no record of this peer without reading from it? */
static int
needs_read(const struct pcap_tcp_feed *f, const struct pcap_tcp_peer *p)
{
	return (p != NULL && !pcap_tcp_stream_has_record(&p->stream) &&
	    (f->is_open || !p->stream.decoder.started));
}

/* When a peer can go on without an event: 0 for now. */
static int64_t
due(const struct pcap_tcp_feed *f, const struct pcap_tcp_peer *p)
{
	if (!needs_read(f, p))
		return (PCAP_TCP_NEVER);
	return (pcap_tcp_stream_pending(&p->stream) ? 0 : p->deadline);
}

int64_t
pcap_tcp_feed_deadline(const struct pcap_tcp_feed *f)
{
	const struct pcap_tcp_listener *l;
	int64_t deadline = pcap_tcp_patience_deadline(&f->patience);
	unsigned int i;

	if (!f->has_begun)
		return (0);
	for (i = 0; i < f->peers.nslots; i++) {
		if (due(f, f->peers.peer[i]) < deadline)
			deadline = due(f, f->peers.peer[i]);
	}
	for (l = f->peers.listeners; l != NULL; l = l->next) {
		if (pcap_tcp_listener_deadline(l) < deadline)
			deadline = pcap_tcp_listener_deadline(l);
	}
	if (!f->is_open && f->peers.opening.grace_end < deadline)
		deadline = f->peers.opening.grace_end;
	if (!f->is_open && f->peers.opening.give_up < deadline)
		deadline = f->peers.opening.give_up;
	return (deadline);
}

void
pcap_tcp_feed_watch(struct pcap_tcp_feed *f)
{
	unsigned int i;

	/* One that is held back has nothing to say. */
	for (i = 0; i < f->peers.nslots; i++) {
		if (f->peers.peer[i] != NULL)
			pcap_tcp_watch_enable(&f->peers.peer[i]->watch,
			    needs_read(f, f->peers.peer[i]));
	}
}

/* Whose descriptors matter now; returns how many. */
static size_t
list_watches(struct pcap_tcp_feed *f, struct pcap_tcp_watch **watches)
{
	struct pcap_tcp_listener *l;
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < f->peers.nslots; i++) {
		if (needs_read(f, f->peers.peer[i]))
			watches[n++] = &f->peers.peer[i]->watch;
	}
	for (l = f->peers.listeners; l != NULL; l = l->next) {
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
	unsigned int i;
	int taken = now >= pcap_tcp_patience_deadline(&f->patience);

	for (i = 0; i < f->peers.nslots; i++) {
		if (due(f, f->peers.peer[i]) <= now) {
			f->peers.peer[i]->watch.waiting = 0;
			taken = 1;
		}
	}
	for (l = f->peers.listeners; l != NULL; l = l->next)
		pcap_tcp_listener_resume(l, now);
	return (taken);
}

int
pcap_tcp_feed_wait(struct pcap_tcp_feed *f, int stop_fd, int64_t then)
{
	struct pcap_tcp_watch *watches[PCAP_TCP_MAX_WATCHES];
	int64_t deadline = pcap_tcp_feed_deadline(f);
	int events;

	if (then < deadline)
		deadline = then;
	events = pcap_tcp_events_wait(f->peers.common.events, watches,
	    list_watches(f, watches), stop_fd, deadline);
	if (events == -1) {
		/* As EINVAL, when RLIMIT_NOFILE is made small. */
		pcap_tcp_fmt_errno(f->peers.errbuf, PCAP_ERRBUF_SIZE, errno,
		    "poll");
		return (-1);
	}
	f->polled = 1;
	if (take_deadlines(f, pcap_tcp_now()))
		events |= PCAP_TCP_EVENT_WATCH;
	return (events);
}

/* Has one peer data, so that the others have to be asked, too? */
static int
has_more(const struct pcap_tcp_feed *f)
{
	unsigned int i;

	for (i = 0; i < f->peers.nslots; i++) {
		if (needs_read(f, f->peers.peer[i]) &&
		    !f->peers.peer[i]->watch.waiting)
			return (1);
	}
	return (f->patience.merge.n > 0);
}

/* Of those who send nothing while others do. */
static void
report_stalls(struct pcap_tcp_feed *f)
{
	int64_t ms;
	unsigned int i;

	if (f->patience.merge.n == 0 ||
	    f->patience.now - f->stalls_at < MAX_SILENCE / 2)
		return;
	f->stalls_at = f->patience.now;
	for (i = 0; i < f->peers.nslots; i++) {
		ms = pcap_tcp_patience_silence(&f->patience, i);
		if (f->peers.peer[i] != NULL && ms >= MAX_SILENCE)
			pcap_tcp_report_stall(&f->peers.peer[i]->report, ms);
	}
}

static void
set_read_size(struct pcap_tcp_feed *f)
{
	unsigned int n = f->peers.ndialed + f->peers.nsenders;
	size_t size = n > 1 ? SHARED_READ / n : PCAP_TCP_BUFFER_SIZE;

	f->peers.common.read_size = size > MIN_READ ? size : MIN_READ;
}

/* Goes on with all that can; there are several, or the device opens. */
static enum pcap_tcp_progress
advance_all(struct pcap_tcp_feed *f)
{
	enum pcap_tcp_progress one, all = PCAP_TCP_WAIT;
	const unsigned int first = f->turn;
	const struct pcap_tcp_peer *p;
	unsigned int i, n;
	int is_shaking, has_read = 0;

	f->rounds_left -= f->rounds_left > 0;
	f->patience.now = pcap_tcp_now();
	/* Or those that always have data would keep the others waiting. */
	if (!f->polled && has_more(f) &&
	    f->patience.now - f->looked_at >= MAX_UNLOOKED)
		(void)pcap_tcp_feed_wait(f, -1, 0);
	if (f->polled)
		f->looked_at = f->patience.now;
	f->polled = 0;
	for (n = 0; n < f->peers.nslots; n++) {
		i = (first + n) % f->peers.nslots;
		p = f->peers.peer[i];
		if (!needs_read(f, p) || p->watch.waiting)
			continue;
		/* They take long: one, and then the streams have their time. */
		is_shaking = p->bytes != NULL && !p->bytes->established;
		if (is_shaking && f->rounds_left > 0) {
			all = PCAP_TCP_PROGRESS;
			continue;
		}
		if (is_shaking) {
			f->rounds_left = MAX_ROUNDS;
			f->turn = i + 1;
		}
		one = advance_one(f, i);
		if (one == PCAP_TCP_END || one == PCAP_TCP_FAILED)
			return (one);
		if (one == PCAP_TCP_PROGRESS)
			all = PCAP_TCP_PROGRESS;
		has_read |= one == PCAP_TCP_PROGRESS && !is_shaking;
	}
	report_stalls(f);
	if (!has_read)
		f->rounds_left = 0;
	if (pcap_tcp_peers_accept(&f->peers))
		all = PCAP_TCP_PROGRESS;
	/* The one that had run dry has nothing more: the next one, then? */
	if (f->patience.now >= pcap_tcp_patience_deadline(&f->patience))
		all = PCAP_TCP_PROGRESS;
	return (all);
}

enum pcap_tcp_progress
pcap_tcp_feed_advance(struct pcap_tcp_feed *f)
{
	enum pcap_tcp_progress progress = PCAP_TCP_WAIT;
	struct timespec now;

	f->must_advance = 0;
	f->has_advanced = 1;
	set_read_size(f);
	if (f->peers.common.decoding.stamps_arrival) {
		clock_gettime(CLOCK_REALTIME, &now);
		pcap_tcp_patience_arrival(&f->patience, &now,
		    &f->peers.common.decoding.arrived);
	}
	if (!f->is_open || !is_single(f))
		progress = advance_all(f);
	else if (needs_read(f, f->peers.peer[0]))
		progress = advance_one(f, 0);
	if (f->is_open)
		return (progress);
	f->opened = pcap_tcp_peers_opened(&f->peers, f->fault);
	if (f->opened == 0)
		return (progress);
	return (f->opened == 1 || f->peers.common.device->reconnect ==
	    PCAP_TCP_RECONNECT_YES ? PCAP_TCP_PROGRESS : PCAP_TCP_FAILED);
}

void
pcap_tcp_feed_start(struct pcap_tcp_feed *f)
{
	unsigned int i;

	f->is_open = 1;
	f->unreported_fault = NULL;
	f->peers.common.give_up = PCAP_TCP_NEVER;
	f->patience.now = pcap_tcp_now();
	for (i = 0; i < f->peers.nslots; i++) {
		if (f->peers.peer[i] != NULL &&
		    f->peers.peer[i]->stream.decoder.started)
			offer(f, i);
	}
}

int
pcap_tcp_feed_begin(struct pcap_tcp_feed *f)
{
	f->has_begun = 1;
	return (pcap_tcp_peers_begin(&f->peers));
}

void
pcap_tcp_feed_stop(struct pcap_tcp_feed *f)
{
	pcap_tcp_feed_close(f);
	f->has_begun = f->is_open = 1;
}

int
pcap_tcp_feed_await(struct pcap_tcp_feed *f, int stop_fd,
    const volatile sig_atomic_t *stop)
{
	enum pcap_tcp_progress progress;
	int events;

	for (;;) {
		progress = pcap_tcp_feed_advance(f);
		if (f->opened != 0)
			return (f->opened == 1 ? 0 : -1);
		events = pcap_tcp_feed_wait(f, stop_fd,
		    progress == PCAP_TCP_WAIT ? PCAP_TCP_NEVER : 0);
		if (events == -1)
			return (-1);
		if (*stop || (events & PCAP_TCP_EVENT_STOP))
			break;
	}
	snprintf(f->peers.errbuf, PCAP_ERRBUF_SIZE,
	    "interrupted while waiting for %s", f->peers.ndialed == 1 ?
	    f->peers.peer[0]->name : "a pcap stream");
	errno = EINTR;
	return (-1);
}
