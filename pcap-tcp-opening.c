/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-opening.c - when a device is open, or why it will not be
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pcap-tcp-opening.h"

#define GRACE		1000	/* ms for the others once one stream is up */

void
pcap_tcp_opening_init(struct pcap_tcp_opening *o,
    const struct pcap_tcp_device *device, int64_t now)
{
	int timeout = device->timeout;
	unsigned int i;

	if (timeout < 0) {
		timeout = PCAP_TCP_DEFAULT_TIMEOUT;
		for (i = 0; i < device->nsources; i++) {
			if (pcap_tcp_is_listening(device->source[i].scheme))
				timeout = 0;
		}
	}
	o->give_up = timeout == 0 ? PCAP_TCP_NEVER : now + timeout * 1000;
	o->grace_end = PCAP_TCP_NEVER;
}

enum pcap_tcp_opened
pcap_tcp_opening_decide(struct pcap_tcp_opening *o,
    const struct pcap_tcp_standing *s, int64_t now)
{
	if (s->streams > 0) {
		if (o->grace_end == PCAP_TCP_NEVER)
			o->grace_end = now + GRACE;
		return (s->undecided == 0 || now >= o->grace_end ?
		    PCAP_TCP_OPEN : PCAP_TCP_OPENING);
	}
	if (s->is_listening ? now >= o->give_up :
	    s->undecided + s->retrying == 0)
		return (PCAP_TCP_REFUSED);
	return (PCAP_TCP_OPENING);
}

/* The time that a listener has may end before the peer's own. */
static const char *
why(const struct pcap_tcp_peer *p, char *text, size_t size)
{
	if (p->failed)
		return (p->error);
	snprintf(text, size, "%s sent no pcap stream within %d seconds",
	    p->name, p->timeout);
	return (text);
}

void
pcap_tcp_opening_refuse(struct pcap_tcp_peer *const *peer, unsigned int n,
    int timeout, const char *last_sender, char *errbuf, size_t size)
{
	char text[PCAP_ERRBUF_SIZE];
	const char *reason;
	size_t length = 0;
	unsigned int i;

	errno = ETIMEDOUT;
	if (n == 0)
		snprintf(errbuf, size,
		    "no sender sent a pcap stream within %d seconds%s%.180s",
		    timeout, *last_sender != '\0' ? "; the last, " : "",
		    last_sender);
	for (i = 0; i < n; i++) {
		reason = why(peer[i], text, sizeof(text));
		if (i > 0 && length + strlen(reason) +
		    sizeof("; ; and 64 more") > size)
			break;
		length += (size_t)snprintf(errbuf + length, size - length,
		    "%s%s", i == 0 ? "" : "; ", reason);
	}
	if (i < n)
		snprintf(errbuf + length, size - length, "; and %u more",
		    n - i);
	if (n > 0 && peer[0]->failed)
		errno = peer[0]->errnum;
}
