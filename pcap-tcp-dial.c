/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-dial.c - from an address of a device name to a connection
 *
 * The functions that return an int are steps of an attempt: 0 if the next one
 * may follow, EAGAIN to wait, another errno value if the attempt is over.
 */

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
#define MAX_LOOK	3000	/* ms, if an address is known */

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

static void
release(struct pcap_tcp_dial *d)
{
	if (d->lookup != NULL)
		pcap_tcp_lookup_free(d->lookup);
	if (d->connection != NULL)
		pcap_tcp_bytes_close(d->connection);
	d->lookup = NULL;
	d->connection = NULL;
}

/* Drops what the attempt has. */
static void
drop(struct pcap_tcp_dial *d)
{
	pcap_tcp_watch_stop(d->watch);
	release(d);
}

void
pcap_tcp_dial_free(struct pcap_tcp_dial *d)
{
	/* No pcap_tcp_watch_stop() here: a fork()ed process may go on. */
	release(d);
	pcap_tcp_free_addresses(d->addresses);
}

/* Has the attempt go on in that time, if not sooner. */
static int
wait_for(struct pcap_tcp_dial *d, int ms)
{
	d->deadline = pcap_tcp_now() + ms;
	if (d->deadline > d->end)
		d->deadline = d->end;
	return (EAGAIN);
}

static int
cannot_resolve(struct pcap_tcp_dial *d, int error)
{
	int errnum = errno;

	snprintf(d->error, sizeof(d->error), "cannot resolve %.100s: %s",
	    d->target->host, error == EAI_SYSTEM ? strerror(errnum) :
	    gai_strerror(error));
	/* A thread that cannot be started is no reason to wait. */
	return (error == EAI_SYSTEM && errnum != EAGAIN ? errnum :
	    EHOSTUNREACH);
}

/* Asks the name servers. */
static int
look_up(struct pcap_tcp_dial *d)
{
	/* After a fork() the look-up's thread exists only in the parent. */
	if (d->lookup != NULL && d->lookup->pid != getpid())
		drop(d);
	if (d->lookup == NULL) {
		d->look_end = d->addresses == NULL ? PCAP_TCP_NEVER :
		    pcap_tcp_now() + MAX_LOOK;
		d->lookup = pcap_tcp_lookup_start(d->target->host,
		    d->target->port);
		if (d->lookup == NULL || pcap_tcp_watch_start(d->watch,
		    d->lookup->fd, POLLIN) == -1)
			return (cannot_resolve(d, EAI_SYSTEM));
	}
	if (!pcap_tcp_flag_take(d->lookup->fd)) {
		if (pcap_tcp_now() < d->end && pcap_tcp_now() < d->look_end)
			return (wait_for(d, LOOK_INTERVAL));
		errno = ETIMEDOUT;
		return (cannot_resolve(d, EAI_SYSTEM));
	}
	errno = d->lookup->errnum;
	if (d->lookup->error != 0)
		return (cannot_resolve(d, d->lookup->error));
	pcap_tcp_free_addresses(d->addresses);
	d->addresses = d->lookup->list;
	d->lookup->list = NULL;
	drop(d);
	return (0);
}

/* Finds the addresses, unless one of them may still be right. */
static int
resolve(struct pcap_tcp_dial *d)
{
	const struct pcap_tcp_address *target = d->target;
	int error;

	if (d->addresses != NULL && !d->is_outdated)
		return (0);
	if (target->scheme == PCAP_TCP_SCHEME_UNIX) {
		d->addresses = pcap_tcp_unix_address(target->host);
		return (d->addresses != NULL ? 0 :
		    cannot_resolve(d, EAI_SYSTEM));
	}
	if (d->lookup == NULL && d->addresses == NULL &&
	    pcap_tcp_numeric_address(target->host, target->port,
	    &d->addresses) == 0)
		return (0);
	d->is_name = 1;
	error = look_up(d);
	if (error != 0 && error != EAGAIN && d->addresses != NULL) {
		/* In a chroot(), say: those that were right before. */
		drop(d);
		error = 0;
	}
	if (error == 0)
		d->is_outdated = 0;
	return (error);
}

void
pcap_tcp_dial_prepare(struct pcap_tcp_dial *d, int64_t until)
{
	struct pollfd pfd = { .events = POLLIN };
	int64_t now;
	int error;

	d->end = PCAP_TCP_NEVER;
	while ((error = resolve(d)) == EAGAIN &&
	    (now = pcap_tcp_now()) < until) {
		pfd.fd = d->lookup->fd;
		(void)poll(&pfd, 1, (int)(until - now));
	}
	if (error != EAGAIN)
		drop(d);
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

static int
connect_to_one(struct pcap_tcp_dial *d)
{
	int error = 0;

	if (d->connection == NULL) {
		d->deadline = share_of_attempt(d);
		d->connection = pcap_tcp_connect(d->address, d->keepalive);
		if (d->connection == NULL || pcap_tcp_watch_start(d->watch,
		    d->connection->fd, POLLOUT) == -1)
			error = errno;
	}
	if (error == 0)
		error = pcap_tcp_connect_result(d->connection);
	if (error == EAGAIN && pcap_tcp_now() >= d->deadline)
		return (ETIMEDOUT);
	/* A Unix socket does not say when its backlog is full no longer. */
	if (error == EAGAIN && d->connection == NULL)
		return (wait_for(d, UNIX_PAUSE));
	return (error);
}

static void
note_failed_address(struct pcap_tcp_dial *d, int error)
{
	char address[NI_MAXHOST];
	size_t n = strlen(d->failed);

	pcap_tcp_print_address(d->address, address, sizeof(address));
	if (n == 0)
		d->failed_errno = error;
	d->failed_alike = n == 0 ||
	    (d->failed_alike && error == d->failed_errno);
	pcap_tcp_fmt_errno(d->failed + n, sizeof(d->failed) - n, error,
	    "%s%s", n == 0 ? "" : "; ", address);
}

/*
 * Tries one address after the other.  If none takes the connection, the error
 * is one line, with the addresses only where they failed differently.
 */
static int
connect_to_each(struct pcap_tcp_dial *d)
{
	int error;

	for (; d->address != NULL; d->address = d->address->ai_next) {
		error = connect_to_one(d);
		if (error == 0 || error == EAGAIN)
			return (error);
		drop(d);
		note_failed_address(d, error);
	}
	d->is_outdated = d->is_name;
	if (d->failed_alike)
		pcap_tcp_fmt_errno(d->error, sizeof(d->error),
		    d->failed_errno, "cannot connect to %s", d->peer);
	else
		snprintf(d->error, sizeof(d->error),
		    "cannot connect to %s: %.*s", d->peer, MAX_FAILED,
		    d->failed);
	return (d->failed_errno);
}

struct pcap_tcp_bytes *
pcap_tcp_dial_step(struct pcap_tcp_dial *d, int64_t end)
{
	struct pcap_tcp_bytes *connection = NULL;
	int error = 0;

	d->end = end;
	if (d->address == NULL) {
		error = resolve(d);
		if (error == 0)
			d->address = d->addresses;
		d->failed[0] = '\0';
	}
	if (error == 0)
		error = connect_to_each(d);
	if (error == 0) {
		connection = d->connection;
		d->connection = NULL;
	}
	if (error != EAGAIN) {
		drop(d);
		d->address = NULL;
	}
	errno = error;
	return (connection);
}
