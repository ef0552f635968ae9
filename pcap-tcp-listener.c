/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-listener.c - the ports that senders connect to
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp-listener.h"
#include "pcap-tcp-lookup.h"
#include "pcap-tcp-transport.h"

#define PAUSE	1000	/* ms */

static int
watch(const struct pcap_tcp_listener *l, int operation, uint32_t events)
{
	struct epoll_event event;

	memset(&event, 0, sizeof(event));
	event.events = events;
	return (epoll_ctl(l->epoll_fd, operation, l->fd, &event));
}

static int
add(struct pcap_tcp_listener **list, const struct pcap_tcp_address *address,
    const struct addrinfo *a, int epoll_fd)
{
	struct pcap_tcp_listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return (-1);
	l->address = address;
	l->epoll_fd = epoll_fd;
	l->paused_until = PCAP_TCP_NEVER;
	l->next = *list;
	*list = l;
	l->fd = pcap_tcp_listen(a);
	if (l->fd == -1)
		return (-1);
	return (watch(l, EPOLL_CTL_ADD, EPOLLIN));
}

/* A machine may have one of the two loopback addresses only. */
static int
is_missing(int error)
{
	return (error == EADDRNOTAVAIL || error == EAFNOSUPPORT);
}

int
pcap_tcp_listener_open(struct pcap_tcp_listener **list,
    const struct pcap_tcp_address *address, int epoll_fd, char *errbuf,
    size_t size)
{
	const char *host = address->host;
	struct addrinfo *addresses, *a;
	char name[128];
	int error, opened = 0;

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
	error = 0;
	for (a = addresses; a != NULL && (error == 0 || is_missing(error));
	    a = a->ai_next) {
		error = add(list, address, a, epoll_fd) == 0 ? 0 : errno;
		opened |= error == 0;
	}
	freeaddrinfo(addresses);
	if (error == 0 || (opened && is_missing(error)))
		return (0);
	pcapint_fmt_errmsg_for_errno(errbuf, size, error,
	    "cannot listen on %s", name);
	errno = error;
	return (-1);
}

void
pcap_tcp_listener_close(struct pcap_tcp_listener *list)
{
	struct pcap_tcp_listener *next;

	for (; list != NULL; list = next) {
		next = list->next;
		if (list->fd != -1)
			close(list->fd);
		free(list);
	}
}

void
pcap_tcp_listener_pause(struct pcap_tcp_listener *l)
{
	l->paused_until = pcap_tcp_now() + PAUSE;
	(void)watch(l, EPOLL_CTL_MOD, 0);
}

int
pcap_tcp_listener_accept(struct pcap_tcp_listener *l, int keepalive,
    char *peer, size_t size)
{
	int fd = pcap_tcp_accept(l->fd, keepalive, peer, size);

	if (fd == -1 && errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED)
		pcap_tcp_listener_pause(l);
	return (fd);
}

void
pcap_tcp_listener_resume(struct pcap_tcp_listener *l, int64_t now)
{
	if (l->paused_until > now)
		return;
	l->paused_until = PCAP_TCP_NEVER;
	(void)watch(l, EPOLL_CTL_MOD, EPOLLIN);
}
