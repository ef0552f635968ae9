/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-peer.c - one remote end: how it comes to a stream, and comes back
 */

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-peer.h"
#include "pcap-tcp-socket.h"

#define MIN_BACKOFF	1000	/* ms */
#define MAX_BACKOFF	30000
#define MAX_OVERTIME	64	/* reads behind the deadline */
#define STOOD_STILL	250	/* ms: a program that reads is not so late */
#define MAX_SILENCE	1000	/* ms from a connection to a word about it */

/* When an attempt that starts now, or a part of it, has to be over. */
static int64_t
end_of_attempt(const struct pcap_tcp_peer *p)
{
	int64_t end = p->timeout == 0 ? PCAP_TCP_NEVER :
	    pcap_tcp_now() + p->timeout * 1000;

	return (end < p->common->give_up ? end : p->common->give_up);
}

/* When to try again, somewhat sooner than that so that many don't at once. */
static int64_t
end_of_backoff(struct pcap_tcp_peer *p)
{
	int64_t end;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	end = pcap_tcp_now() + p->backoff -
	    ts.tv_nsec / 1000 % (p->backoff / 4);
	p->backoff *= 2;
	if (p->backoff > MAX_BACKOFF)
		p->backoff = MAX_BACKOFF;
	return (end);
}

/*
 * Whatever becomes of a peer is told here.  After a failure, its stream is as
 * it was.
 */
static void
report(struct pcap_tcp_peer *p)
{
	static const enum pcap_tcp_source_state states[] = {
		[PCAP_TCP_PEER_TRYING] = PCAP_TCP_SOURCE_TRYING,
		[PCAP_TCP_PEER_UP] = PCAP_TCP_SOURCE_UP,
		[PCAP_TCP_PEER_RETRYING] = PCAP_TCP_SOURCE_RETRYING,
		[PCAP_TCP_PEER_GONE] = PCAP_TCP_SOURCE_GONE
	};
	int64_t due = p->deadline == PCAP_TCP_NEVER ? -1 :
	    p->deadline - p->since;

	if (p->state == PCAP_TCP_PEER_UP)
		pcap_tcp_report_stream(&p->report, &p->stream);
	else if (p->state != PCAP_TCP_PEER_TRYING)
		pcap_tcp_report_failure(&p->report, &p->stream, p->error,
		    due);
	pcap_tcp_report_state(&p->report, states[p->state], due);
}

static void
change_state(struct pcap_tcp_peer *p, enum pcap_tcp_peer_state state)
{
	p->state = state;
	p->since = pcap_tcp_now();
	p->extension_left = 1;
	p->overtime = 0;
	switch (state) {

	case PCAP_TCP_PEER_TRYING:
		p->deadline = p->attempt_end = end_of_attempt(p);
		break;

	case PCAP_TCP_PEER_RETRYING:
		p->deadline = end_of_backoff(p);
		break;

	case PCAP_TCP_PEER_UP:
	case PCAP_TCP_PEER_GONE:
		p->deadline = PCAP_TCP_NEVER;
		break;
	}
	report(p);
}

static struct pcap_tcp_peer *
new_peer(struct pcap_tcp_common *common, const char *name, int is_sender,
    struct pcap_tcp_source *source, struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return (NULL);
	if (pcap_tcp_stream_init(&p->stream, &common->decoding, p->name,
	    is_sender ? &common->bytes_left : NULL) == -1) {
		free(p);
		return (NULL);
	}
	snprintf(p->name, sizeof(p->name), "%s", name);
	pcap_tcp_report_init(&p->report, source, common->log,
	    is_sender ? &common->senders_share : NULL, p->name);
	p->common = common;
	p->is_sender = is_sender;
	p->tls_context = tls_context;
	p->watch.fd = -1;
	p->watch.events = common->events;
	p->timeout = common->device->timeout >= 0 ? common->device->timeout :
	    PCAP_TCP_DEFAULT_TIMEOUT;
	p->backoff = MIN_BACKOFF;
	return (p);
}

struct pcap_tcp_peer *
pcap_tcp_peer_new(struct pcap_tcp_common *common,
    struct pcap_tcp_source *source, const struct pcap_tcp_address *target,
    struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_peer *p;
	char name[sizeof(p->name)];

	if (target->scheme == PCAP_TCP_SCHEME_UNIX)
		snprintf(name, sizeof(name), "%s", target->host);
	else
		pcap_tcp_print_peer(target->host, target->port, name,
		    sizeof(name));
	p = new_peer(common, name, 0, source, tls_context);
	if (p == NULL)
		return (NULL);
	pcap_tcp_dial_init(&p->dial, target, p->name,
	    common->device->keepalive, &p->watch);
	/* Due at once; its time begins with the first step. */
	p->state = PCAP_TCP_PEER_RETRYING;
	pcap_tcp_report_state(&p->report, PCAP_TCP_SOURCE_RETRYING, 0);
	return (p);
}

void
pcap_tcp_peer_free(struct pcap_tcp_peer *p)
{
	/*
	 * No pcap_tcp_watch_stop() and no shutdown() here: after a fork() the
	 * other process may go on with the same connection.
	 */
	pcap_tcp_dial_free(&p->dial);
	if (p->bytes != NULL)
		pcap_tcp_bytes_close(p->bytes);
	pcap_tcp_stream_free(&p->stream);
	free(p);
}

/* The connection or the attempt is over; returns why. */
static enum pcap_tcp_progress
hang_up(struct pcap_tcp_peer *p, enum pcap_tcp_progress why)
{
	if (p->bytes != NULL) {
		pcap_tcp_watch_stop(&p->watch);
		/* Another process may have it from a fork(). */
		shutdown(p->bytes->fd, SHUT_RDWR);
		pcap_tcp_bytes_close(p->bytes);
		p->bytes = NULL;
	}
	/* A header alone is no proof that the server works. */
	if (p->stream.records > 0)
		p->backoff = MIN_BACKOFF;
	p->failed = 1;
	change_state(p, p->is_sender ||
	    p->common->device->reconnect == PCAP_TCP_RECONNECT_NO ?
	    PCAP_TCP_PEER_GONE : PCAP_TCP_PEER_RETRYING);
	pcap_tcp_stream_restart(&p->stream, NULL);
	return (why);
}

/* The stream is over, as its error says. */
static enum pcap_tcp_progress
end_stream(struct pcap_tcp_peer *p, enum pcap_tcp_progress why)
{
	if (p->stream.decoder.failed) {
		/* With reconnect=yes and no log, nobody else learns of it. */
		p->common->decoding.if_dropped++;
		pcap_tcp_reset(p->bytes->fd);
	}
	memcpy(p->error, p->stream.error, sizeof(p->error));
	p->errnum = p->stream.errnum;
	return (hang_up(p, why));
}

/* Why nothing comes, maybe: a TLS server waits for the first word. */
static const char *
hint(const struct pcap_tcp_peer *p)
{
	return (p->tls_context == NULL && !p->is_sender &&
	    p->dial.target->scheme == PCAP_TCP_SCHEME_TCP ?
	    " (a TLS server needs tls:)" : "");
}

static enum pcap_tcp_progress
not_in_time(struct pcap_tcp_peer *p)
{
	enum pcap_tcp_progress why = PCAP_TCP_UNREACHABLE;

	if (p->is_evicted)
		snprintf(p->error, sizeof(p->error), "%s sent nothing, and "
		    "another sender needed its place", p->name);
	else if (p->state == PCAP_TCP_PEER_UP) {
		snprintf(p->error, sizeof(p->error),
		    "%s sent no whole record within %d seconds", p->name,
		    p->timeout);
		why = PCAP_TCP_FAILED;
	} else if (!p->bytes->established)
		snprintf(p->error, sizeof(p->error), "%s took the connection "
		    "but finished no TLS handshake within %d seconds", p->name,
		    p->timeout);
	else
		snprintf(p->error, sizeof(p->error), "%s took the connection "
		    "but sent no pcap stream within %d seconds%s", p->name,
		    p->timeout, hint(p));
	p->errnum = ETIMEDOUT;
	pcap_tcp_reset(p->bytes->fd);
	return (hang_up(p, why));
}

/* The connection is there: the stream is next. */
static enum pcap_tcp_progress
start_stream(struct pcap_tcp_peer *p, struct pcap_tcp_bytes *bytes)
{
	const struct pcap_tcp_device *device = p->common->device;
	const char *host = NULL;

	if (p->tls_context != NULL) {
		if (!p->is_sender)
			host = device->servername != NULL ?
			    device->servername : p->dial.target->host;
		bytes = pcap_tcp_tls_bytes(p->tls_context, bytes, host);
	}
	p->bytes = bytes;
	pcap_tcp_stream_restart(&p->stream, bytes);
	pcap_tcp_report_connected(&p->report, pcap_tcp_now() - p->since);
	p->deadline = p->attempt_end;
	if (p->common->log != NULL && !p->is_sender &&
	    p->attempt_end - pcap_tcp_now() > MAX_SILENCE)
		p->deadline = pcap_tcp_now() + MAX_SILENCE;
	if (bytes == NULL || pcap_tcp_watch_start(&p->watch, bytes->fd,
	    bytes->wanted) == -1)
		return (end_stream(p, pcap_tcp_stream_fail(&p->stream,
		    bytes == NULL ? ENOMEM : errno)));
	return (PCAP_TCP_PROGRESS);
}

struct pcap_tcp_peer *
pcap_tcp_peer_new_sender(struct pcap_tcp_common *common,
    struct pcap_tcp_source *source, struct pcap_tcp_bytes *bytes,
    const char *name, struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_peer *p = new_peer(common, name, 1, source,
	    tls_context);

	if (p == NULL) {
		pcap_tcp_bytes_close(bytes);
		return (NULL);
	}
	/* No limit is for opening: a slot is not for ever. */
	if (p->timeout == 0)
		p->timeout = PCAP_TCP_DEFAULT_TIMEOUT;
	change_state(p, PCAP_TCP_PEER_TRYING);
	if (start_stream(p, bytes) == PCAP_TCP_PROGRESS)
		return (p);
	pcap_tcp_peer_free(p);
	return (NULL);
}

static enum pcap_tcp_progress
connect_to_peer(struct pcap_tcp_peer *p)
{
	struct pcap_tcp_bytes *bytes = pcap_tcp_dial_step(&p->dial,
	    p->attempt_end);

	if (bytes != NULL)
		return (start_stream(p, bytes));
	p->deadline = p->dial.deadline;
	if (errno == EAGAIN)
		return (PCAP_TCP_WAIT);
	p->errnum = errno;
	memcpy(p->error, p->dial.error, sizeof(p->error));
	return (hang_up(p, PCAP_TCP_UNREACHABLE));
}

void
pcap_tcp_peer_refuse(struct pcap_tcp_peer *p, const char *why)
{
	snprintf(p->error, sizeof(p->error), "%s %s", p->name, why);
	p->errnum = EPROTO;
	pcap_tcp_reset(p->bytes->fd);
	(void)hang_up(p, PCAP_TCP_FAILED);
}

/*
 * The deadline has passed.  What has arrived by then is read, but a peer may
 * send for ever what makes no stream.  A program that was suspended does not
 * make the peer pay for that: there is one more period.
 */
static enum pcap_tcp_progress
overdue(struct pcap_tcp_peer *p, enum pcap_tcp_progress progress)
{
	int stood_still = p->state == PCAP_TCP_PEER_UP ||
	    pcap_tcp_now() - p->deadline >= STOOD_STILL;

	/* The first second is over. */
	if (p->common->log != NULL && !p->is_sender &&
	    p->deadline < p->attempt_end && p->state == PCAP_TCP_PEER_TRYING) {
		p->deadline = p->attempt_end;
		if (p->bytes->established && p->stream.in.left == 0 &&
		    p->stream.decoder.offset == 0)
			pcap_tcp_report_silence(&p->report, hint(p));
		return (progress);
	}
	if (p->extension_left && p->overtime == 0 && stood_still) {
		p->extension_left = 0;
		p->deadline = end_of_attempt(p);
		return (progress);
	}
	if (progress == PCAP_TCP_PROGRESS && p->overtime++ < MAX_OVERTIME)
		return (progress);
	return (not_in_time(p));
}

static enum pcap_tcp_progress
read_stream(struct pcap_tcp_peer *p)
{
	enum pcap_tcp_progress progress;

	/* A sender may not keep the memory of a long record for long. */
	if (p->is_sender && p->deadline == PCAP_TCP_NEVER &&
	    pcap_tcp_stream_is_stretched(&p->stream)) {
		p->deadline = end_of_attempt(p);
		p->extension_left = 1;
	}
	progress = pcap_tcp_stream_read(&p->stream, p->common->read_size);
	if (progress == PCAP_TCP_PROGRESS)
		p->report.source->read_at = pcap_tcp_status_now();
	if (progress != PCAP_TCP_PROGRESS && progress != PCAP_TCP_WAIT)
		return (end_stream(p, progress));
	pcap_tcp_watch_change(&p->watch, p->bytes->wanted);
	return (p->deadline != PCAP_TCP_NEVER &&
	    p->deadline <= pcap_tcp_now() ? overdue(p, progress) : progress);
}

static enum pcap_tcp_progress
step(struct pcap_tcp_peer *p)
{
	if (p->state == PCAP_TCP_PEER_GONE)
		return (PCAP_TCP_WAIT);
	if (p->state == PCAP_TCP_PEER_RETRYING) {
		if (pcap_tcp_now() < p->deadline)
			return (PCAP_TCP_WAIT);
		change_state(p, PCAP_TCP_PEER_TRYING);
	}
	return (p->bytes == NULL ? connect_to_peer(p) : read_stream(p));
}

enum pcap_tcp_progress
pcap_tcp_peer_advance(struct pcap_tcp_peer *p)
{
	enum pcap_tcp_progress progress = step(p);

	p->watch.waiting = progress == PCAP_TCP_WAIT;
	return (progress);
}

/* The time stamp of a record, which can be any, in the unit of a status. */
static int64_t
milliseconds(const struct pcap_tcp_common *common, const struct timeval *ts)
{
	return ((int64_t)((uint64_t)ts->tv_sec * 1000 +
	    (uint64_t)ts->tv_usec / (common->decoding.precision ==
	    PCAP_TSTAMP_PRECISION_NANO ? 1000000 : 1000)));
}

void
pcap_tcp_peer_decode(struct pcap_tcp_peer *p, int until_start)
{
	struct pcap_tcp_stream *s = &p->stream;
	struct pcap_tcp_source *source = p->report.source;
	const uint64_t dropped = p->common->decoding.dropped;
	const size_t left = s->in.left;
	int is_new = pcap_tcp_stream_decode(s, until_start);

	source->bytes += left - s->in.left;
	source->dropped += p->common->decoding.dropped - dropped;
	if (pcap_tcp_stream_has_record(s)) {
		source->records += (uint64_t)(s->batch.end - s->batch.next);
		source->last_stamp = milliseconds(p->common,
		    &s->batch.end[-1].h.ts);
	}
	if (!p->stream.decoder.started)
		return;
	if (p->state == PCAP_TCP_PEER_TRYING)
		change_state(p, PCAP_TCP_PEER_UP);
	else if (is_new)
		p->deadline = PCAP_TCP_NEVER;
}
