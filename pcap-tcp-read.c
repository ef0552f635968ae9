/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-read.c - what a program's reads do, and its descriptor
 *
 *	feed -> stages -> filter -> callback
 */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp-read.h"
#include "pcap-tcp-worker.h"

/* Limit on one non-blocking read whose packets are all filtered out. */
#define NONBLOCK_STEPS	16

#define MAX_LINGER	100	/* ms from an end to its report */
#define MAX_ABSENCE	10000	/* ms of a program that has packets */

void
pcap_tcp_breakloop(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	pcapint_breakloop_common(p);
	pcap_tcp_events_wake(&pt->events);
}

/*
 * Waits until the sources can go on, the loop is broken, or the time has
 * come; not at all if the handle is non-blocking.  Returns 1, 0 if there is
 * nothing to go on with, or PCAP_ERROR.
 */
static int
wait_for_sources(pcap_t *p, int64_t until)
{
	struct pcap_tcp *pt = p->priv;
	int events;

	pcap_tcp_events_set_ready(&pt->events, 0);
	/* That may have consumed pcap_breakloop()'s wake-up. */
	if (p->break_loop)
		return (1);
	events = pcap_tcp_feed_wait(&pt->feed, -1, pt->nonblock ? 0 : until);
	pt->left_at = pcap_tcp_now();
	if (events == -1)
		return (PCAP_ERROR);
	return (!pt->nonblock || events != 0);
}

/* At 1, 10, 100 ... packets that cannot become Ethernet. */
static void
report_left_out(struct pcap_tcp *pt)
{
	struct pcap_tcp_log_line line;

	while (pt->next_left_out <= pt->ethernet.left_out)
		pt->next_left_out *= 10;
	if (!pcap_tcp_log_begin(&line, &pt->log, NULL, PCAP_TCP_LOG_NOTICE,
	    "packets that cannot become Ethernet are left out"))
		return;
	pcap_tcp_log_number(&line, "left_out", pt->ethernet.left_out);
	pcap_tcp_log_end(&line, &pt->log, NULL);
}

/* Takes the next run of records; 0 if none can be had without waiting. */
static int
refill(struct pcap_tcp *pt)
{
	struct pcap_tcp_batch *run = &pt->run;
	unsigned int i;

	do {
		if (!pcap_tcp_feed_next(&pt->feed, run))
			return (0);
		for (i = 0; i < pt->nstages; i++)
			run->end = run->next + pt->stage[i].run(
			    pt->stage[i].state, run->next,
			    (size_t)(run->end - run->next));
		if (pt->ethernet.left_out >= pt->next_left_out)
			report_left_out(pt);
	} while (run->next == run->end);
	return (1);
}

/* Is there a record to deliver, or can one be had without waiting? */
static int
has_record(struct pcap_tcp *pt)
{
	return (pt->run.next != pt->run.end || refill(pt));
}

/* The program has come for more: how long was it busy with what it had? */
static void
report_absence(struct pcap_tcp *pt)
{
	const int64_t now = pcap_tcp_now(), left_at = pt->left_at;
	struct pcap_tcp_log_line line;

	pt->left_at = now;
	if (left_at == 0 || now - left_at < MAX_ABSENCE ||
	    !pcap_tcp_log_is_due(++pt->absences) ||
	    !pcap_tcp_log_begin(&line, &pt->log, NULL, PCAP_TCP_LOG_WARNING,
	    "the program has not read for %lld seconds",
	    (long long)(now - left_at) / 1000))
		return;
	pcap_tcp_log_times(&line, pt->absences);
	pcap_tcp_log_end(&line, &pt->log, NULL);
}

void
pcap_tcp_update_readiness(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	int64_t deadline = has_record(pt) ? 0 :
	    pcap_tcp_feed_deadline(&pt->feed);

	pcap_tcp_events_set_ready(&pt->events, deadline == 0);
	if (deadline != 0) {
		if (pt->left_at != 0)
			report_absence(pt);
		pt->left_at = 0;
		pcap_tcp_feed_watch(&pt->feed);
		pcap_tcp_events_set_timer(&pt->events, deadline);
	}
	if (p->break_loop)
		pcap_tcp_events_wake(&pt->events);
}

/*
 * Gives up to cnt records that are in the buffer and pass the filter to the
 * callback.  A record is taken before that, as the callback may read from
 * the handle, or never return.
 */
static int
deliver(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	struct pcap_pkthdr h;
	u_char *data;
	int left = cnt;

	while (left > 0 && !p->break_loop && has_record(pt)) {
		h = pt->run.next->h;
		data = pt->run.next->data;
		pt->run.next++;
		/* As in a kernel, the filter sees more than the snapshot. */
		if (p->fcode.bf_insns == NULL ||
		    pcap_tcp_filter_run(&pt->filter, p->fcode.bf_insns, data,
		    h.len, h.caplen) != 0) {
			if (h.caplen > (bpf_u_int32)p->snapshot)
				h.caplen = (bpf_u_int32)p->snapshot;
			(*callback)(user, &h, data);
			left--;
		}
	}
	return (cnt - left);
}

/*
 * There is nothing more.  Not at once, as dumpcap has a thread for each device,
 * and when one of them is told so, all drop what they have not written yet.
 */
static int
report(pcap_t *p, enum pcap_tcp_progress progress)
{
	struct pcap_tcp *pt = p->priv;
	int linger = p->opt.timeout < MAX_LINGER ? p->opt.timeout : MAX_LINGER;

	pcap_tcp_events_set_ready(&pt->events, 0);
	if (!pt->nonblock && !p->break_loop)
		(void)pcap_tcp_events_wait(&pt->events, NULL, 0, -1,
		    pcap_tcp_now() + linger);
	return (progress == PCAP_TCP_END ? PCAP_ERROR_BREAK : PCAP_ERROR);
}

/*
 * A number is handed out only now, as programs open what they list, and would
 * keep it from those that read.
 */
int
pcap_tcp_begin(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_device *d = &pt->device;

	if (d->nworkers != 0 && d->worker == 0) {
		pt->worker_fd = pcap_tcp_worker_take(d->id, d->nworkers,
		    &pt->fanout.worker);
		if (pt->worker_fd == -1) {
			if (errno == EADDRINUSE)
				snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
				    "fanout=%u: other readers of this device "
				    "have all numbers up to %u", d->nworkers,
				    d->nworkers);
			else
				pcapint_fmt_errmsg_for_errno(p->errbuf,
				    PCAP_ERRBUF_SIZE, errno,
				    "fanout=%u: no worker's number",
				    d->nworkers);
			pcap_tcp_feed_stop(&pt->feed);
			return (-1);
		}
	}
	return (pcap_tcp_feed_begin(&pt->feed));
}

/* Waits for records and delivers them; nothing is at hand. */
static int
wait_and_deliver(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	enum pcap_tcp_progress progress;
	int64_t until = PCAP_TCP_NEVER;
	int n = 0, steps = 0;

	if (!pt->feed.has_begun && pcap_tcp_begin(p) == -1) {
		pcap_tcp_update_readiness(p);
		return (PCAP_ERROR);
	}
	do {
		if (p->break_loop) {
			p->break_loop = 0;
			pcap_tcp_events_clear_wake(&pt->events);
			n = PCAP_ERROR_BREAK;
			break;
		}
		if (steps == 0 && p->opt.timeout > 0 && !pt->nonblock)
			until = pcap_tcp_now() + p->opt.timeout;
		else if (until != PCAP_TCP_NEVER && pcap_tcp_now() >= until)
			break;
		steps++;

		progress = pcap_tcp_feed_advance(&pt->feed);
		if (!pt->feed.is_open && pt->feed.opened != 0)
			pcap_tcp_feed_start(&pt->feed);
		if (progress == PCAP_TCP_PROGRESS)
			report_absence(pt);
		if (progress == PCAP_TCP_WAIT) {
			n = wait_for_sources(p, until);
			if (n <= 0)
				break;
		} else if (progress == PCAP_TCP_PROGRESS) {
			if (pt->nonblock && steps >= NONBLOCK_STEPS) {
				/* Edge-triggered callers need a new edge. */
				pcap_tcp_events_wake(&pt->events);
				pt->events.wake_is_set = 1;
				return (0);
			}
		} else {
			n = report(p, progress);
			break;
		}
	} while ((n = deliver(p, cnt, callback, user)) == 0);
	pcap_tcp_update_readiness(p);
	return (n);
}

int
pcap_tcp_read(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	int n;

	if (PACKET_COUNT_IS_UNLIMITED(cnt))
		cnt = INT_MAX;
	n = deliver(p, cnt, callback, user);
	if (n == 0)
		return (wait_and_deliver(p, cnt, callback, user));
	/* Fast path: records remain, and the descriptor already says so. */
	if (!pt->events.wake_is_set || p->break_loop ||
	    pt->run.next == pt->run.end)
		pcap_tcp_update_readiness(p);
	return (n);
}
