/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-peers.c - who belongs to a device
 */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-link.h"
#include "pcap-tcp-peers.h"

#define MAX_ACCEPTS	16	/* at once */
#define MAX_IDLE	1000	/* ms, where places are wanted */
#define MAX_LOOK_AHEAD	100	/* ms */

/*
 * All that senders can make a device allocate.  Each place has its share, taken
 * or not, so that long records keep nobody out; the rest is for these.
 */
#define SENDERS_BYTES	(256 * 1024 * 1024)
#define PLACE_BYTES	(sizeof(struct pcap_tcp_peer) + PCAP_TCP_BUFFER_SIZE + \
	PCAP_TCP_TLS_BYTES)

static int
out_of_memory(struct pcap_tcp_peers *m)
{
	pcap_tcp_fmt_errno(m->errbuf, PCAP_ERRBUF_SIZE, ENOMEM, "malloc");
	errno = ENOMEM;
	return (-1);
}

/* Sets up what the device name lists at one place, but for its socket. */
static int
open_address(struct pcap_tcp_peers *m, const struct pcap_tcp_address *address)
{
	int listening = pcap_tcp_is_listening(address->scheme);
	struct pcap_tcp_tls_context **tls = listening ? &m->listening_tls :
	    &m->dialing_tls;
	struct pcap_tcp_peer *p;

	if (pcap_tcp_is_tls(address->scheme) && *tls == NULL) {
		*tls = pcap_tcp_tls_context_new(m->common.device, listening,
		    m->errbuf, PCAP_ERRBUF_SIZE);
		if (*tls == NULL) {
			errno = EINVAL;
			return (-1);
		}
	}
	if (listening)
		return (0);
	p = pcap_tcp_peer_new(&m->common, &m->status->source[m->ndialed],
	    address, pcap_tcp_is_tls(address->scheme) ? *tls : NULL);
	if (p == NULL)
		return (out_of_memory(m));
	m->peer[m->ndialed++] = p;
	m->nslots = m->ndialed;
	return (0);
}

int
pcap_tcp_peers_open(struct pcap_tcp_peers *m,
    const struct pcap_tcp_common *common, char *errbuf)
{
	const struct pcap_tcp_device *device = common->device;
	int64_t until;
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->common = *common;
	m->common.bytes_left = SENDERS_BYTES -
	    PCAP_TCP_MAX_SENDERS * PLACE_BYTES;
	m->errbuf = errbuf;
	m->status = pcap_tcp_status_open(common->name, PCAP_TCP_MAX_PEERS,
	    &m->status_fd);
	if (m->status == NULL)
		return (out_of_memory(m));
	for (i = 0; i < device->nsources; i++) {
		if (open_address(m, &device->source[i]) == -1)
			return (-1);
	}
	if (common->decoding.dlt == -1)
		return (0);
	/* A thread that begins while the program forks can leave locks held. */
	for (i = 0; i < m->ndialed; i++)
		pcap_tcp_dial_prepare(&m->peer[i]->dial, 0);
	until = pcap_tcp_now() + MAX_LOOK_AHEAD;
	for (i = 0; i < m->ndialed; i++)
		pcap_tcp_dial_prepare(&m->peer[i]->dial, until);
	return (0);
}

int
pcap_tcp_peers_begin(struct pcap_tcp_peers *m)
{
	const struct pcap_tcp_device *device = m->common.device;
	unsigned int i;

	pcap_tcp_opening_init(&m->opening, device, pcap_tcp_now());
	m->common.give_up = m->opening.give_up;
	for (i = 0; i < device->nsources; i++) {
		if (pcap_tcp_is_listening(device->source[i].scheme) &&
		    pcap_tcp_listener_open(&m->listeners, &device->source[i],
		    m->common.events, m->errbuf, PCAP_ERRBUF_SIZE) == -1)
			return (-1);
	}
	return (0);
}

void
pcap_tcp_peers_close(struct pcap_tcp_peers *m)
{
	unsigned int i;

	for (i = 0; i < m->nslots; i++) {
		if (m->peer[i] != NULL)
			pcap_tcp_peer_free(m->peer[i]);
		m->peer[i] = NULL;
	}
	m->ndialed = m->nslots = 0;
	pcap_tcp_listener_close(m->listeners);
	m->listeners = NULL;
	if (m->status != NULL)
		pcap_tcp_status_close(m->status, m->status_fd);
	m->status = NULL;
	pcap_tcp_tls_context_free(m->dialing_tls);
	pcap_tcp_tls_context_free(m->listening_tls);
	m->dialing_tls = m->listening_tls = NULL;
}

void
pcap_tcp_peers_drop_sender(struct pcap_tcp_peers *m, unsigned int i)
{
	pcap_tcp_peer_free(m->peer[i]);
	m->peer[i] = NULL;
	m->nsenders--;
}

const struct pcap_tcp_peer *
pcap_tcp_peers_first_stream(const struct pcap_tcp_peers *m)
{
	unsigned int i;

	for (i = 0; i < m->nslots; i++) {
		if (m->peer[i] != NULL && m->peer[i]->stream.decoder.started)
			return (m->peer[i]);
	}
	return (NULL);
}

void
pcap_tcp_peers_add_sender(struct pcap_tcp_peers *m,
    struct pcap_tcp_bytes *bytes, const char *name,
    struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_peer *p;
	unsigned int i = m->ndialed;

	while (i < m->nslots && m->peer[i] != NULL)
		i++;
	p = pcap_tcp_peer_new_sender(&m->common, &m->status->source[i], bytes,
	    name, tls_context);
	if (p == NULL)
		return;
	if (i == m->nslots)
		m->nslots++;
	m->peer[i] = p;
	m->nsenders++;
}

/*
 * All places are taken: has the sender go that has sent least, a header at
 * most, for the longest time.  Returns 0 if there is none.
 */
static int
evict_idle(struct pcap_tcp_peers *m)
{
	struct pcap_tcp_peer *p, *idle = NULL;
	unsigned int i;

	for (i = m->ndialed; i < m->nslots; i++) {
		p = m->peer[i];
		if (p->stream.records == 0 && (idle == NULL ||
		    p->state < idle->state ||
		    (p->state == idle->state && p->since < idle->since)))
			idle = p;
	}
	if (idle == NULL || pcap_tcp_now() - idle->since < MAX_IDLE)
		return (0);
	idle->deadline = pcap_tcp_now();
	idle->is_evicted = 1;
	return (1);
}

static void
report_crowd(struct pcap_tcp_peers *m)
{
	struct pcap_tcp_log_line line;

	if (!pcap_tcp_log_is_due(++m->crowded) ||
	    !pcap_tcp_log_begin(&line, m->common.log, NULL,
	    PCAP_TCP_LOG_WARNING, "all %d places of senders are taken, and "
	    "others wait", PCAP_TCP_MAX_SENDERS))
		return;
	pcap_tcp_log_times(&line, m->crowded);
	pcap_tcp_log_end(&line, m->common.log, NULL);
}

/* Takes a connection, if there is one and a slot for it; 1 or 0. */
static int
accept_sender(struct pcap_tcp_peers *m, struct pcap_tcp_listener *l)
{
	struct pcap_tcp_bytes *bytes;
	char name[128];

	/* Leave excess senders in the backlog. */
	if (m->nsenders == PCAP_TCP_MAX_SENDERS) {
		if (!evict_idle(m)) {
			pcap_tcp_listener_pause(l);
			report_crowd(m);
		}
		return (0);
	}
	bytes = pcap_tcp_listener_accept(l, m->common.device->keepalive, name,
	    sizeof(name));
	if (bytes == NULL)
		return (0);
	pcap_tcp_peers_add_sender(m, bytes, name,
	    pcap_tcp_is_tls(l->address->scheme) ? m->listening_tls : NULL);
	return (1);
}

int
pcap_tcp_peers_accept(struct pcap_tcp_peers *m)
{
	int accepted = 0;
	struct pcap_tcp_listener *l;
	int i;

	for (l = m->listeners; l != NULL; l = l->next) {
		for (i = 0; !l->watch.waiting && i < MAX_ACCEPTS; i++) {
			if (accept_sender(m, l))
				accepted = 1;
			else
				l->watch.waiting = 1;
		}
	}
	return (accepted);
}

static const char *
linktype_name(const struct pcap_tcp_peers *m, const struct pcap_tcp_peer *p)
{
	const char *name =
	    m->common.decoding.linktypes->name(p->stream.decoder.dlt);

	return (name != NULL ? name : "an unknown link type");
}

static void
refuse_two(struct pcap_tcp_peers *m, const struct pcap_tcp_peer *p,
    const struct pcap_tcp_peer *other)
{
	int are_known = pcap_tcp_link_is_known(p->stream.decoder.dlt) &&
	    pcap_tcp_link_is_known(other->stream.decoder.dlt);

	snprintf(m->errbuf, PCAP_ERRBUF_SIZE, "%.60s sends %s, %.60s %s: %s",
	    p->name, linktype_name(m, p), other->name,
	    linktype_name(m, other), are_known ? "linktype=EN10MB takes both" :
	    "the sources of a device need one link type");
	errno = EPROTO;
}

/* All streams have to be alike; the one of a sender only goes. */
static int
check_linktypes(struct pcap_tcp_peers *m)
{
	const struct pcap_tcp_peer *first = pcap_tcp_peers_first_stream(m);
	struct pcap_tcp_peer *p;
	unsigned int i;
	char why[128];

	if (first == NULL)
		return (1);
	m->common.decoding.dlt = first->stream.decoder.dlt;
	for (i = 0; i < m->nslots; i++) {
		p = m->peer[i];
		if (p == NULL || !p->stream.decoder.started ||
		    p->stream.decoder.dlt == first->stream.decoder.dlt)
			continue;
		if (!p->is_sender) {
			refuse_two(m, first, p);
			return (-1);
		}
		snprintf(why, sizeof(why), "sends %s, and the device has %s",
		    linktype_name(m, p), linktype_name(m, first));
		pcap_tcp_peer_refuse(p, why);
		pcap_tcp_peers_drop_sender(m, i);
	}
	return (1);
}

static void
take_stock(const struct pcap_tcp_peers *m, struct pcap_tcp_standing *s)
{
	const struct pcap_tcp_peer *p;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->is_listening = m->listeners != NULL;
	for (i = 0; i < m->nslots; i++) {
		p = m->peer[i];
		if (p == NULL)
			continue;
		if (p->stream.decoder.started)
			s->streams++;
		else if (p->is_sender)
			continue;
		else if (!p->failed)
			s->undecided++;
		else if (m->common.device->reconnect ==
		    PCAP_TCP_RECONNECT_YES &&
		    (p->state == PCAP_TCP_PEER_TRYING ||
		    p->deadline < m->opening.give_up))
			s->retrying++;
	}
}

int
pcap_tcp_peers_opened(struct pcap_tcp_peers *m, const char *last_sender)
{
	struct pcap_tcp_standing standing;

	take_stock(m, &standing);
	switch (pcap_tcp_opening_decide(&m->opening, &standing,
	    pcap_tcp_now())) {

	case PCAP_TCP_OPEN:
		return (check_linktypes(m));

	case PCAP_TCP_REFUSED:
		pcap_tcp_opening_refuse(m->peer, m->ndialed,
		    m->common.device->timeout, last_sender, m->errbuf,
		    PCAP_ERRBUF_SIZE);
		return (-1);

	default:
		return (0);
	}
}
