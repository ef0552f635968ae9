/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-source.c - one peer: how it comes to a connection, and comes back
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-compat.h"
#include "pcap-tcp-socket.h"
#include "pcap-tcp-source-int.h"

#define MAX_FAILED	100	/* bytes about addresses in an error */

#define MIN_BACKOFF	1000	/* ms */
#define MAX_BACKOFF	30000
#define UNIX_BACKOFF	100
#define LOOK_INTERVAL	1000

static const struct pcap_tcp_linktypes linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, pcap_datalink_val_to_name
};

int64_t
pcap_tcp_source_end_of_attempt(const struct pcap_tcp_source *s, int64_t start)
{
	int64_t end = s->timeout == 0 ? PCAP_TCP_NEVER :
	    start + s->timeout * 1000;

	return (end < s->give_up ? end : s->give_up);
}

/* No state of a stream outlives its connection. */
static void
forget_stream(struct pcap_tcp_source *s)
{
	pcap_tcp_decoder_restart(&s->decoder);
	s->next = s->buffer;
	s->left = 0;
	s->needed = 1;
	s->decoded = PCAP_TCP_MORE;
}

static struct pcap_tcp_source *
new_source(const struct pcap_tcp_common *common,
    struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_source *s = calloc(1, sizeof(*s));
	const struct pcap_tcp_device *device = common->device;

	if (s == NULL)
		return (NULL);
	s->buffer = malloc(PCAP_TCP_BUFFER_SIZE);
	if (s->buffer == NULL) {
		free(s);
		return (NULL);
	}
	s->capacity = PCAP_TCP_BUFFER_SIZE;
	s->watch.fd = -1;
	s->watch.events = common->events;
	s->extra_bytes = common->extra_bytes;
	s->device = device;
	s->tls_context = tls_context;
	s->timeout = device->timeout >= 0 ? device->timeout :
	    PCAP_TCP_DEFAULT_TIMEOUT;
	s->backoff = MIN_BACKOFF;
	s->give_up = PCAP_TCP_NEVER;
	s->head = s->end = s->record;
	s->per_second = pcap_tcp_per_second(common->precision);
	pcap_tcp_decoder_init(&s->decoder, common->precision, &linktypes);
	forget_stream(s);
	return (s);
}

struct pcap_tcp_source *
pcap_tcp_source_dial(const struct pcap_tcp_common *common,
    const struct pcap_tcp_address *target,
    struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_source *s = new_source(common, tls_context);

	if (s == NULL)
		return (NULL);
	s->target = target;
	if (target->scheme == PCAP_TCP_SCHEME_UNIX)
		snprintf(s->peer, sizeof(s->peer), "%s", target->host);
	else
		pcap_tcp_print_peer(target->host, target->port, s->peer,
		    sizeof(s->peer));
	s->deadline = pcap_tcp_now();
	return (s);
}

void
pcap_tcp_source_free(struct pcap_tcp_source *s)
{
	/*
	 * No pcap_tcp_watch_stop() and no shutdown() here: after a fork() the other
	 * process may go on with the same connection.
	 */
	pcap_tcp_tls_free(s->tls);
	if (s->lookup != NULL)
		pcap_tcp_lookup_abandon(s->lookup);
	else if (s->watch.fd != -1)
		close(s->watch.fd);
	pcap_tcp_free_addresses(s->addresses);
	pcap_tcp_decoder_free(&s->decoder);
	if (s->target == NULL)
		*s->extra_bytes -= s->capacity - PCAP_TCP_BUFFER_SIZE;
	free(s->buffer);
	free(s);
}

static void
disconnect(struct pcap_tcp_source *s)
{
	int fd = s->watch.fd;

	if (fd == -1)
		return;
	pcap_tcp_watch_stop(&s->watch);
	pcap_tcp_tls_free(s->tls);
	s->tls = NULL;
	if (s->lookup != NULL)
		pcap_tcp_lookup_abandon(s->lookup);
	else {
		/* Another process may have it from a fork(). */
		shutdown(fd, SHUT_RDWR);
		close(fd);
	}
	s->lookup = NULL;
}

/* When to try again, somewhat sooner than that so that many don't at once. */
static void
schedule_attempt(struct pcap_tcp_source *s)
{
	struct timespec ts;

	s->state = PCAP_TCP_DOWN;
	s->attempt_end = 0;
	if (s->target == NULL ||
	    s->device->reconnect == PCAP_TCP_RECONNECT_NO) {
		s->deadline = PCAP_TCP_NEVER;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	s->deadline = pcap_tcp_now() + s->backoff -
	    ts.tv_nsec / 1000 % (s->backoff / 4);
	s->backoff *= 2;
	if (s->backoff > MAX_BACKOFF)
		s->backoff = MAX_BACKOFF;
}

enum pcap_tcp_progress
pcap_tcp_source_hang_up(struct pcap_tcp_source *s,
    enum pcap_tcp_progress why, int error)
{
	disconnect(s);
	/* A header alone is no proof that the server works. */
	if (pcap_tcp_source_received(s) != s->received_before)
		s->backoff = MIN_BACKOFF;
	s->received_before = pcap_tcp_source_received(s);
	forget_stream(s);
	schedule_attempt(s);
	s->errnum = error;
	return (why);
}

/*
 * No address took the connection: one line, with the addresses only where
 * they failed differently.
 */
static enum pcap_tcp_progress
no_address_left(struct pcap_tcp_source *s)
{
	if (s->failed_alike)
		pcap_tcp_fmt_errno(s->error, sizeof(s->error),
		    s->failed_errno, "cannot connect to %s", s->peer);
	else
		snprintf(s->error, sizeof(s->error),
		    "cannot connect to %s: %.*s", s->peer, MAX_FAILED,
		    s->failed);
	return (pcap_tcp_source_hang_up(s, PCAP_TCP_UNREACHABLE,
	    s->failed_errno));
}

static void
note_failed_address(struct pcap_tcp_source *s, int error)
{
	char address[NI_MAXHOST];
	size_t n = strlen(s->failed);

	pcap_tcp_print_address(s->address, address, sizeof(address));
	if (n == 0) {
		s->failed_errno = error;
		s->failed_alike = 1;
	} else if (error != s->failed_errno)
		s->failed_alike = 0;
	pcap_tcp_fmt_errno(s->failed + n, sizeof(s->failed) - n, error, "%s%s",
	    n == 0 ? "" : "; ", address);
}

/* An address that is silent must leave time for those behind it. */
static int64_t
share_of_attempt(const struct pcap_tcp_source *s)
{
	const struct addrinfo *a;
	int64_t now = pcap_tcp_now();
	int left = 0;

	if (s->attempt_end == PCAP_TCP_NEVER)
		return (PCAP_TCP_NEVER);
	for (a = s->address; a != NULL; a = a->ai_next)
		left++;
	return (now + (s->attempt_end - now) / left);
}

/* Begins to connect to the first address, from s->address on, that can be. */
static enum pcap_tcp_progress
try_addresses(struct pcap_tcp_source *s)
{
	int fd;

	for (; s->address != NULL; s->address = s->address->ai_next) {
		fd = pcap_tcp_connect(s->address, s->device->keepalive);
		if (fd != -1 && pcap_tcp_watch_start(&s->watch, fd, POLLOUT) == 0) {
			s->state = PCAP_TCP_CONNECTING;
			s->deadline = share_of_attempt(s);
			return (PCAP_TCP_PROGRESS);
		}
		/* A Unix socket whose backlog is full. */
		if (fd == -1 && errno == EAGAIN &&
		    pcap_tcp_now() < s->attempt_end) {
			s->state = PCAP_TCP_DOWN;
			s->deadline = pcap_tcp_now() + UNIX_BACKOFF;
			return (PCAP_TCP_WAIT);
		}
		note_failed_address(s, errno);
		disconnect(s);
	}
	return (no_address_left(s));
}

static enum pcap_tcp_progress
cannot_resolve(struct pcap_tcp_source *s, int error)
{
	int errnum = error == EAI_SYSTEM ? errno : EHOSTUNREACH;

	if (error == EAI_SYSTEM)
		pcap_tcp_fmt_errno(s->error, sizeof(s->error), errnum,
		    "cannot resolve %.100s", s->target->host);
	else
		snprintf(s->error, sizeof(s->error),
		    "cannot resolve %.100s: %s", s->target->host,
		    gai_strerror(error));
	return (pcap_tcp_source_hang_up(s, PCAP_TCP_UNREACHABLE, errnum));
}

static enum pcap_tcp_progress
connect_to_all(struct pcap_tcp_source *s)
{
	s->failed[0] = '\0';
	s->address = s->addresses;
	return (try_addresses(s));
}

/* After a fork() the look-up's thread exists only in the parent. */
static int64_t
next_look(const struct pcap_tcp_source *s)
{
	int64_t then = pcap_tcp_now() + LOOK_INTERVAL;

	return (then < s->attempt_end ? then : s->attempt_end);
}

/* An address that needs no name server, or the start of a look-up. */
static enum pcap_tcp_progress
resolve(struct pcap_tcp_source *s)
{
	const struct pcap_tcp_address *target = s->target;

	if (target->scheme == PCAP_TCP_SCHEME_UNIX) {
		s->addresses = pcap_tcp_unix_address(target->host);
		if (s->addresses == NULL)
			return (cannot_resolve(s, EAI_SYSTEM));
		return (connect_to_all(s));
	}
	if (pcap_tcp_numeric_address(target->host, target->port,
	    &s->addresses) == 0)
		return (connect_to_all(s));
	s->lookup = pcap_tcp_lookup_start(target->host, target->port);
	if (s->lookup == NULL ||
	    pcap_tcp_watch_start(&s->watch,
	    pcap_tcp_lookup_fd(s->lookup), POLLIN) == -1)
		return (cannot_resolve(s, EAI_SYSTEM));
	s->state = PCAP_TCP_RESOLVING;
	s->deadline = next_look(s);
	return (PCAP_TCP_WAIT);
}

static enum pcap_tcp_progress
finish_resolving(struct pcap_tcp_source *s)
{
	struct pollfd pfd = { .fd = s->watch.fd, .events = POLLIN };
	int error;

	if (pcap_tcp_lookup_is_lost(s->lookup)) {
		disconnect(s);
		return (resolve(s));
	}
	if (poll(&pfd, 1, 0) <= 0) {
		if (pcap_tcp_now() >= s->attempt_end) {
			errno = ETIMEDOUT;
			return (cannot_resolve(s, EAI_SYSTEM));
		}
		s->deadline = next_look(s);
		return (PCAP_TCP_WAIT);
	}
	pcap_tcp_watch_stop(&s->watch);
	error = pcap_tcp_lookup_finish(s->lookup, &s->addresses);
	s->lookup = NULL;
	if (error != 0)
		return (cannot_resolve(s, error));
	return (connect_to_all(s));
}

static enum pcap_tcp_progress
start_attempt(struct pcap_tcp_source *s)
{
	int64_t now = pcap_tcp_now();

	if (now < s->deadline)
		return (PCAP_TCP_WAIT);
	if (s->attempt_end == 0)
		s->attempt_end = pcap_tcp_source_end_of_attempt(s, now);
	/* Those found once are kept: the program may chroot() after that. */
	if (s->addresses == NULL)
		return (resolve(s));
	return (connect_to_all(s));
}

/* The connection is there: the handshake or the stream is next. */
static enum pcap_tcp_progress
start_stream(struct pcap_tcp_source *s)
{
	const char *host = NULL;

	s->state = PCAP_TCP_CONNECTED;
	s->deadline = s->attempt_end;
	s->extension_left = 0;
	pcap_tcp_watch_change(&s->watch, POLLIN);
	if (s->tls_context == NULL)
		return (PCAP_TCP_PROGRESS);
	if (s->target != NULL)
		host = s->device->servername != NULL ?
		    s->device->servername : s->target->host;
	s->tls = pcap_tcp_tls_new(s->tls_context, s->watch.fd, host);
	if (s->tls == NULL)
		return (pcap_tcp_source_lost(s, ENOMEM));
	s->state = PCAP_TCP_IN_HANDSHAKE;
	return (PCAP_TCP_PROGRESS);
}

static enum pcap_tcp_progress
go_on_with_handshake(struct pcap_tcp_source *s)
{
	if (pcap_tcp_tls_handshake(s->tls) == 0) {
		s->state = PCAP_TCP_CONNECTED;
		pcap_tcp_watch_change(&s->watch, POLLIN);
		return (PCAP_TCP_PROGRESS);
	}
	if (errno == EINTR)
		return (PCAP_TCP_PROGRESS);
	if (errno != EAGAIN)
		return (pcap_tcp_source_lost(s, errno));
	pcap_tcp_watch_change(&s->watch, pcap_tcp_tls_events(s->tls));
	if (pcap_tcp_now() < s->deadline)
		return (PCAP_TCP_WAIT);
	snprintf(s->error, sizeof(s->error), "%s took the connection but "
	    "finished no TLS handshake within %d seconds", s->peer,
	    s->timeout);
	return (pcap_tcp_source_hang_up(s, PCAP_TCP_UNREACHABLE, ETIMEDOUT));
}

static enum pcap_tcp_progress
finish_connecting(struct pcap_tcp_source *s)
{
	int error = pcap_tcp_connect_result(s->watch.fd);

	if (error == EINPROGRESS) {
		if (pcap_tcp_now() < s->deadline)
			return (PCAP_TCP_WAIT);
		error = ETIMEDOUT;
	}
	/* Connected and reset since: what came in between still counts. */
	s->was_reset = error == ECONNRESET;
	if (error == 0 || error == ECONNRESET || error == EPIPE)
		return (start_stream(s));
	note_failed_address(s, error);
	disconnect(s);
	s->address = s->address->ai_next;
	return (try_addresses(s));
}

struct pcap_tcp_source *
pcap_tcp_source_accept(const struct pcap_tcp_common *common, int fd,
    const char *peer, struct pcap_tcp_tls_context *tls_context)
{
	struct pcap_tcp_source *s = new_source(common, tls_context);

	if (s == NULL) {
		close(fd);
		return (NULL);
	}
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	/* No limit is for opening: a place is not for ever. */
	if (s->timeout == 0)
		s->timeout = PCAP_TCP_DEFAULT_TIMEOUT;
	s->attempt_end = pcap_tcp_source_end_of_attempt(s, pcap_tcp_now());
	if (pcap_tcp_watch_start(&s->watch, fd, POLLIN) == 0 &&
	    start_stream(s) == PCAP_TCP_PROGRESS)
		return (s);
	pcap_tcp_source_free(s);
	return (NULL);
}

static enum pcap_tcp_progress
step(struct pcap_tcp_source *s)
{
	if (s->decoded == PCAP_TCP_ERROR) {
		snprintf(s->error, sizeof(s->error), "%.90s: %s", s->peer,
		    s->decoder.error);
		return (pcap_tcp_source_hang_up(s, PCAP_TCP_FAILED, EPROTO));
	}
	switch (s->state) {

	case PCAP_TCP_DOWN:
		return (start_attempt(s));

	case PCAP_TCP_RESOLVING:
		return (finish_resolving(s));

	case PCAP_TCP_CONNECTING:
		return (finish_connecting(s));

	case PCAP_TCP_IN_HANDSHAKE:
		return (go_on_with_handshake(s));

	default:
		return (pcap_tcp_source_read(s));
	}
}

enum pcap_tcp_progress
pcap_tcp_source_advance(struct pcap_tcp_source *s)
{
	enum pcap_tcp_progress progress = step(s);

	s->watch.waiting = progress == PCAP_TCP_WAIT;
	return (progress);
}
