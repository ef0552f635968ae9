/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-dial.c - from an address of a device name to a connection
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-dial.h"
#include "pcap-tcp-lookup.h"
#include "pcap-tcp-socket.h"

#define MAX_FAILED	100	/* bytes about addresses in an error */
#define UNIX_PAUSE	100	/* ms */
#define LOOK_INTERVAL	1000

void
pcap_tcp_dial_init(struct pcap_tcp_dial *d,
    const struct pcap_tcp_address *target, const char *peer, int keepalive,
    struct pcap_tcp_watch *watch)
{
	d->target = target;
	d->peer = peer;
	d->keepalive = keepalive;
	d->watch = watch;
}

/* Drops what the attempt has. */
static void
drop(struct pcap_tcp_dial *d)
{
	int fd = d->watch->fd;

	d->state = PCAP_TCP_DIAL_IDLE;
	if (fd == -1)
		return;
	pcap_tcp_watch_stop(d->watch);
	if (d->lookup != NULL)
		pcap_tcp_lookup_abandon(d->lookup);
	else
		close(fd);
	d->lookup = NULL;
}

void
pcap_tcp_dial_free(struct pcap_tcp_dial *d)
{
	/* No pcap_tcp_watch_stop() here: a fork()ed process may go on. */
	if (d->lookup != NULL)
		pcap_tcp_lookup_abandon(d->lookup);
	else if (d->state == PCAP_TCP_DIAL_CONNECTING)
		close(d->watch->fd);
	pcap_tcp_free_addresses(d->addresses);
}

/* The attempt goes on when the watch or that time says so. */
static struct pcap_tcp_bytes *
wait_until(struct pcap_tcp_dial *d, int64_t deadline)
{
	d->deadline = deadline;
	errno = EAGAIN;
	return (NULL);
}

static struct pcap_tcp_bytes *
give_up(struct pcap_tcp_dial *d, int error)
{
	drop(d);
	errno = error;
	return (NULL);
}

/*
 * No address took the connection: one line, with the addresses only where
 * they failed differently.
 */
static struct pcap_tcp_bytes *
no_address_left(struct pcap_tcp_dial *d)
{
	if (d->failed_alike)
		pcap_tcp_fmt_errno(d->error, sizeof(d->error),
		    d->failed_errno, "cannot connect to %s", d->peer);
	else
		snprintf(d->error, sizeof(d->error),
		    "cannot connect to %s: %.*s", d->peer, MAX_FAILED,
		    d->failed);
	return (give_up(d, d->failed_errno));
}

static void
note_failed_address(struct pcap_tcp_dial *d, int error)
{
	char address[NI_MAXHOST];
	size_t n = strlen(d->failed);

	pcap_tcp_print_address(d->address, address, sizeof(address));
	if (n == 0) {
		d->failed_errno = error;
		d->failed_alike = 1;
	} else if (error != d->failed_errno)
		d->failed_alike = 0;
	pcap_tcp_fmt_errno(d->failed + n, sizeof(d->failed) - n, error,
	    "%s%s", n == 0 ? "" : "; ", address);
}

/* An address that is silent must leave time for those behind it. */
static int64_t
share_of_attempt(const struct pcap_tcp_dial *d)
{
	const struct addrinfo *a;
	int64_t now = pcap_tcp_now();
	int left = 0;

	if (d->end == PCAP_TCP_NEVER)
		return (PCAP_TCP_NEVER);
	for (a = d->address; a != NULL; a = a->ai_next)
		left++;
	return (now + (d->end - now) / left);
}

/* The connection is there, unless the memory for its bytes is not. */
static struct pcap_tcp_bytes *
connected(struct pcap_tcp_dial *d, int was_reset)
{
	int fd = d->watch->fd;
	struct pcap_tcp_bytes *bytes;

	pcap_tcp_watch_stop(d->watch);
	d->state = PCAP_TCP_DIAL_IDLE;
	bytes = pcap_tcp_socket_bytes(fd, was_reset);
	if (bytes != NULL)
		return (bytes);
	pcap_tcp_fmt_errno(d->error, sizeof(d->error), ENOMEM, "%s", d->peer);
	return (give_up(d, ENOMEM));
}

/* Tries one address after the other, from d->address on. */
static struct pcap_tcp_bytes *
connect_to_each(struct pcap_tcp_dial *d)
{
	int error, fd;

	for (; d->address != NULL; d->address = d->address->ai_next) {
		error = 0;
		if (d->state != PCAP_TCP_DIAL_CONNECTING) {
			fd = pcap_tcp_connect(d->address, d->keepalive);
			d->state = PCAP_TCP_DIAL_CONNECTING;
			d->deadline = share_of_attempt(d);
			if (fd == -1 ||
			    pcap_tcp_watch_start(d->watch, fd, POLLOUT) == -1)
				error = errno;
		}
		if (error == 0)
			error = pcap_tcp_connect_result(d->watch->fd);
		/* What came before a reset still counts. */
		if (error == 0 || error == ECONNRESET || error == EPIPE)
			return (connected(d, error == ECONNRESET));
		if (error == EINPROGRESS) {
			if (pcap_tcp_now() < d->deadline)
				return (wait_until(d, d->deadline));
			error = ETIMEDOUT;
		}
		drop(d);
		/* A Unix socket whose backlog is full. */
		if (error == EAGAIN && pcap_tcp_now() < d->end) {
			d->state = PCAP_TCP_DIAL_PAUSING;
			return (wait_until(d, pcap_tcp_now() + UNIX_PAUSE));
		}
		note_failed_address(d, error);
	}
	return (no_address_left(d));
}

static struct pcap_tcp_bytes *
connect_to_all(struct pcap_tcp_dial *d)
{
	d->failed[0] = '\0';
	d->address = d->addresses;
	return (connect_to_each(d));
}

static struct pcap_tcp_bytes *
cannot_resolve(struct pcap_tcp_dial *d, int error)
{
	int errnum = error == EAI_SYSTEM ? errno : EHOSTUNREACH;

	if (error == EAI_SYSTEM)
		pcap_tcp_fmt_errno(d->error, sizeof(d->error), errnum,
		    "cannot resolve %.100s", d->target->host);
	else
		snprintf(d->error, sizeof(d->error),
		    "cannot resolve %.100s: %s", d->target->host,
		    gai_strerror(error));
	return (give_up(d, errnum));
}

/* After a fork() the look-up's thread exists only in the parent. */
static int64_t
next_look(const struct pcap_tcp_dial *d)
{
	int64_t then = pcap_tcp_now() + LOOK_INTERVAL;

	return (then < d->end ? then : d->end);
}

/* An address that needs no name server, or the start of a look-up. */
static struct pcap_tcp_bytes *
resolve(struct pcap_tcp_dial *d)
{
	const struct pcap_tcp_address *target = d->target;

	if (target->scheme == PCAP_TCP_SCHEME_UNIX) {
		d->addresses = pcap_tcp_unix_address(target->host);
		if (d->addresses == NULL)
			return (cannot_resolve(d, EAI_SYSTEM));
		return (connect_to_all(d));
	}
	if (pcap_tcp_numeric_address(target->host, target->port,
	    &d->addresses) == 0)
		return (connect_to_all(d));
	d->lookup = pcap_tcp_lookup_start(target->host, target->port);
	if (d->lookup == NULL || pcap_tcp_watch_start(d->watch,
	    pcap_tcp_lookup_fd(d->lookup), POLLIN) == -1)
		return (cannot_resolve(d, EAI_SYSTEM));
	d->state = PCAP_TCP_DIAL_RESOLVING;
	return (wait_until(d, next_look(d)));
}

void
pcap_tcp_dial_prepare(struct pcap_tcp_dial *d)
{
	if (d->target->scheme != PCAP_TCP_SCHEME_UNIX &&
	    pcap_tcp_numeric_address(d->target->host, d->target->port,
	    &d->addresses) != 0)
		(void)resolve(d);
}

static struct pcap_tcp_bytes *
finish_resolving(struct pcap_tcp_dial *d)
{
	struct pollfd pfd = { .fd = d->watch->fd, .events = POLLIN };
	int error;

	if (pcap_tcp_lookup_is_lost(d->lookup)) {
		drop(d);
		return (resolve(d));
	}
	if (poll(&pfd, 1, 0) <= 0) {
		if (pcap_tcp_now() < d->end)
			return (wait_until(d, next_look(d)));
		errno = ETIMEDOUT;
		return (cannot_resolve(d, EAI_SYSTEM));
	}
	pcap_tcp_watch_stop(d->watch);
	error = pcap_tcp_lookup_finish(d->lookup, &d->addresses);
	d->lookup = NULL;
	d->state = PCAP_TCP_DIAL_IDLE;
	return (error != 0 ? cannot_resolve(d, error) : connect_to_all(d));
}

struct pcap_tcp_bytes *
pcap_tcp_dial_step(struct pcap_tcp_dial *d, int64_t end)
{
	d->end = end;
	switch (d->state) {

	case PCAP_TCP_DIAL_RESOLVING:
		return (finish_resolving(d));

	case PCAP_TCP_DIAL_PAUSING:
		if (pcap_tcp_now() < d->deadline)
			return (wait_until(d, d->deadline));
		return (connect_to_all(d));

	case PCAP_TCP_DIAL_CONNECTING:
		return (connect_to_each(d));

	default:
		return (d->addresses != NULL ? connect_to_all(d) : resolve(d));
	}
}
