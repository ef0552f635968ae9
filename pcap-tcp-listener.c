/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-listener.c - the ports that senders connect to
 */

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-listener.h"
#include "pcap-tcp-socket.h"

#define PAUSE	1000	/* ms */

static int
add(struct pcap_tcp_listener **list, const struct pcap_tcp_address *address,
    const struct addrinfo *a, const struct pcap_tcp_events *events)
{
	struct pcap_tcp_listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return (-1);
	l->next = *list;
	*list = l;
	l->address = address;
	l->watch.events = events;
	l->watch.waiting = 1;
	l->watch.fd = pcap_tcp_listen(a);
	if (l->watch.fd == -1)
		return (-1);
	return (pcap_tcp_watch_start(&l->watch, l->watch.fd, POLLIN));
}

/* A machine may have one of the two loopback addresses only. */
static int
may_go_on(int error)
{
	return (error == 0 || error == EADDRNOTAVAIL ||
	    error == EAFNOSUPPORT);
}

int
pcap_tcp_listener_open(struct pcap_tcp_listener **list,
    const struct pcap_tcp_address *address,
    const struct pcap_tcp_events *events, char *errbuf, size_t size)
{
	const char *host = address->host;
	struct addrinfo *addresses, *a;
	char name[128];
	int error = 0, opened = 0;

	if (host != NULL && strcasecmp(host, "localhost") == 0)
		host = NULL;
	pcap_tcp_print_peer(host != NULL ? host : "localhost", address->port,
	    name, sizeof(name));
	if (pcap_tcp_numeric_address(host, address->port, &addresses) != 0) {
		snprintf(errbuf, size, "cannot listen on %s: expected an "
		    "address of this machine, or 0.0.0.0 or [::] for all",
		    name);
		errno = EINVAL;
		return (-1);
	}
	for (a = addresses; a != NULL && may_go_on(error); a = a->ai_next) {
		error = add(list, address, a, events) == 0 ? 0 : errno;
		opened |= error == 0;
	}
	pcap_tcp_free_addresses(addresses);
	if (opened && may_go_on(error))
		return (0);
	pcap_tcp_fmt_errno(errbuf, size, error, "cannot listen on %s", name);
	errno = error;
	return (-1);
}

void
pcap_tcp_listener_close(struct pcap_tcp_listener *list)
{
	struct pcap_tcp_listener *next;

	for (; list != NULL; list = next) {
		next = list->next;
		if (list->watch.fd != -1)
			close(list->watch.fd);
		free(list);
	}
}

void
pcap_tcp_listener_pause(struct pcap_tcp_listener *l)
{
	l->paused_until = pcap_tcp_now() + PAUSE;
	pcap_tcp_watch_enable(&l->watch, 0);
}

struct pcap_tcp_bytes *
pcap_tcp_listener_accept(struct pcap_tcp_listener *l, int keepalive,
    char *peer, size_t size)
{
	struct pcap_tcp_bytes *bytes = pcap_tcp_accept(l->watch.fd, keepalive,
	    peer, size);

	if (bytes == NULL && errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED)
		pcap_tcp_listener_pause(l);
	return (bytes);
}

void
pcap_tcp_listener_resume(struct pcap_tcp_listener *l, int64_t now)
{
	if (l->paused_until == 0 || l->paused_until > now)
		return;
	l->paused_until = 0;
	pcap_tcp_watch_enable(&l->watch, 1);
}
