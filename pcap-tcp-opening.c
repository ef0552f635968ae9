/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-opening.c - a feed's beginning: listeners, the first streams, or
 * why there are none
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-feed.h"

#define GRACE		1000	/* ms for the others once one stream is up */

static int
out_of_memory(struct pcap_tcp_feed *f)
{
	pcap_tcp_fmt_errno(f->errbuf, PCAP_ERRBUF_SIZE, ENOMEM, "malloc");
	errno = ENOMEM;
	return (-1);
}

/* Sets up what the device says of one source or listener. */
static int
open_address(struct pcap_tcp_feed *f, const struct pcap_tcp_address *address)
{
	int listening = pcap_tcp_is_listening(address->scheme);
	struct pcap_tcp_tls_context **tls = listening ? &f->listening_tls :
	    &f->dialing_tls;
	struct pcap_tcp_source *s;

	if (pcap_tcp_is_tls(address->scheme) && *tls == NULL) {
		*tls = pcap_tcp_tls_context_new(f->common.device, listening,
		    f->errbuf, PCAP_ERRBUF_SIZE);
		if (*tls == NULL) {
			errno = EINVAL;
			return (-1);
		}
	}
	if (listening)
		return (pcap_tcp_listener_open(&f->listeners, address,
		    f->common.events, f->errbuf, PCAP_ERRBUF_SIZE));

	s = pcap_tcp_source_dial(&f->common, address,
	    pcap_tcp_is_tls(address->scheme) ? *tls : NULL);
	if (s == NULL)
		return (out_of_memory(f));
	s->decoder.dlt = f->dlt;
	s->give_up = f->give_up;
	f->source[f->ndialed++] = s;
	f->nslots = f->ndialed;
	return (0);
}

static int64_t
end_of_opening(const struct pcap_tcp_device *device)
{
	unsigned int i;
	int timeout = device->timeout;

	if (timeout < 0) {
		timeout = PCAP_TCP_DEFAULT_TIMEOUT;
		for (i = 0; i < device->nsources; i++) {
			if (pcap_tcp_is_listening(device->source[i].scheme))
				timeout = 0;
		}
	}
	return (timeout == 0 ? PCAP_TCP_NEVER :
	    pcap_tcp_now() + timeout * 1000);
}

int
pcap_tcp_feed_open(struct pcap_tcp_feed *f,
    const struct pcap_tcp_common *common, int hold, int dlt, char *errbuf)
{
	const struct pcap_tcp_device *device = common->device;
	unsigned int i;

	memset(f, 0, sizeof(*f));
	f->common = *common;
	f->common.extra_bytes = &f->extra_bytes;
	f->dlt = dlt;
	f->errbuf = errbuf;
	f->opening = 1;
	f->give_up = dlt == -1 ? end_of_opening(device) : PCAP_TCP_NEVER;
	f->grace_end = dlt == -1 ? PCAP_TCP_NEVER : pcap_tcp_now() + GRACE;
	pcap_tcp_merge_init(&f->merge, hold,
	    pcap_tcp_per_second(common->precision));
	for (i = 0; i < device->nsources; i++) {
		if (open_address(f, &device->source[i]) == -1)
			return (-1);
	}
	return (0);
}

/* No stream at all: why, of each source. */
static int
refuse_all(struct pcap_tcp_feed *f)
{
	struct pcap_tcp_source *s;
	size_t n = 0;
	unsigned int i;

	if (f->ndialed == 0) {
		snprintf(f->errbuf, PCAP_ERRBUF_SIZE,
		    "no sender sent a pcap stream within %d seconds%s%.180s",
		    f->common.device->timeout,
		    f->fault[0] != '\0' ? "; the last, " : "", f->fault);
		errno = ETIMEDOUT;
		return (-1);
	}
	for (i = 0; i < f->ndialed; i++) {
		s = f->source[i];
		/* The time that a listener has may end before its own. */
		if (s->errnum == 0) {
			snprintf(s->error, sizeof(s->error),
			    "%s sent no pcap stream within %d seconds",
			    s->peer, s->timeout);
			s->errnum = ETIMEDOUT;
		}
		if (n + strlen(s->error) + sizeof("; and 64 more") >
		    PCAP_ERRBUF_SIZE && i > 0)
			break;
		n += (size_t)snprintf(f->errbuf + n, PCAP_ERRBUF_SIZE - n,
		    "%s%s", i == 0 ? "" : "; ", s->error);
	}
	if (i < f->ndialed)
		snprintf(f->errbuf + n, PCAP_ERRBUF_SIZE - n,
		    "; and %u more", f->ndialed - i);
	errno = f->source[0]->errnum;
	return (-1);
}

static const char *
linktype_name(const struct pcap_tcp_source *s)
{
	const char *name = pcap_datalink_val_to_name(s->decoder.dlt);

	return (name != NULL ? name : "an unknown link type");
}

static int
refuse_linktype(struct pcap_tcp_feed *f, const struct pcap_tcp_source *a,
    const struct pcap_tcp_source *b)
{
	snprintf(f->errbuf, PCAP_ERRBUF_SIZE, "%.60s sends %s, %.60s %s: the "
	    "sources of a device need one link type", a->peer,
	    linktype_name(a), b->peer, linktype_name(b));
	errno = EPROTO;
	return (-1);
}

/* All streams have to be alike; the one of a sender only goes. */
static int
check_linktypes(struct pcap_tcp_feed *f)
{
	const struct pcap_tcp_source *s;
	const struct pcap_tcp_source *first = pcap_tcp_feed_first_stream(f);
	unsigned int i;

	if (first == NULL)
		return (1);
	f->dlt = first->decoder.dlt;
	for (i = 0; i < f->nslots; i++) {
		s = f->source[i];
		if (s == NULL || !s->decoder.started ||
		    s->decoder.dlt == f->dlt)
			continue;
		if (!pcap_tcp_feed_is_sender(f, i))
			return (refuse_linktype(f, first, s));
		pcap_tcp_feed_drop(f, i);
	}
	return (1);
}

/* With linktype= only the names of hosts are waited for, and not long. */
static int
opened_at_once(struct pcap_tcp_feed *f, int64_t now)
{
	unsigned int i, hopeless = 0;

	for (i = 0; i < f->ndialed; i++) {
		if (f->source[i]->errnum == 0 &&
		    f->source[i]->addresses == NULL && now < f->grace_end)
			return (0);
		if (f->source[i]->errnum != 0 &&
		    f->source[i]->deadline == PCAP_TCP_NEVER)
			hopeless++;
	}
	/* With reconnect=no there is no other attempt. */
	if (hopeless == f->ndialed && f->listeners == NULL)
		return (refuse_all(f));
	return (check_linktypes(f));
}

int
pcap_tcp_feed_opened(struct pcap_tcp_feed *f)
{
	const struct pcap_tcp_source *s;
	unsigned int i, undecided = 0, retrying = 0;
	int64_t now = pcap_tcp_now();

	if (f->dlt != -1)
		return (opened_at_once(f, now));
	for (i = 0; i < f->ndialed; i++) {
		s = f->source[i];
		if (s->decoder.started)
			continue;
		if (s->errnum == 0)
			undecided++;
		else if (f->common.device->reconnect ==
		    PCAP_TCP_RECONNECT_YES &&
		    (s->state != PCAP_TCP_DOWN || s->deadline < f->give_up))
			retrying++;
	}
	if (pcap_tcp_feed_first_stream(f) != NULL) {
		if (f->grace_end == PCAP_TCP_NEVER)
			f->grace_end = now + GRACE;
		if (undecided == 0 || now >= f->grace_end)
			return (check_linktypes(f));
	} else if (f->listeners != NULL ? now >= f->give_up :
	    undecided + retrying == 0)
		return (refuse_all(f));
	return (0);
}

void
pcap_tcp_feed_start(struct pcap_tcp_feed *f)
{
	struct pcap_tcp_source *s;
	unsigned int i;

	f->opening = 0;
	f->merge.now = pcap_tcp_now();
	for (i = 0; i < f->nslots; i++) {
		s = f->source[i];
		if (s == NULL)
			continue;
		s->give_up = PCAP_TCP_NEVER;
		if (s->decoder.started)
			pcap_tcp_feed_offer(f, i);
		else
			s->decoder.dlt = f->dlt;
	}
}
