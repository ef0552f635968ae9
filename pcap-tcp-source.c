/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-source.c - one peer: its connection, its buffer and its decoder
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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp-source.h"
#include "pcap-tcp-transport.h"

/*
 * Large enough that a read costs nothing per packet, small enough to stay in
 * the second-level cache from read() to the callback.
 */
#define BUFFER_SIZE	(256 * 1024)

#define MAX_FAILED	100	/* bytes about addresses in an error */

#define DEFAULT_TIMEOUT	10	/* seconds */
#define MIN_BACKOFF	1000	/* ms */
#define MAX_BACKOFF	30000

/* rpcap's text; dumpcap takes any other one for a bug of its own. */
#define TERMINATED	"The other host terminated the connection."

static const struct pcap_tcp_linktypes linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, pcap_datalink_val_to_name
};

static void
name_peer(struct pcap_tcp_source *s, const struct pcap_tcp_address *address)
{
	const char *format = strchr(address->host, ':') != NULL ?
	    "[%.100s]:%u" : "%.100s:%u";

	snprintf(s->peer, sizeof(s->peer), format, address->host,
	    address->port);
}

static int64_t
end_of_attempt(const struct pcap_tcp_source *s, int64_t start)
{
	return (s->timeout == 0 ? PCAP_TCP_NEVER : start + s->timeout * 1000);
}

/* No state of a stream outlives its connection. */
static void
forget_stream(struct pcap_tcp_source *s)
{
	pcap_tcp_decoder_restart(&s->decoder);
	s->next = s->buffer;
	s->left = 0;
	s->decoded = PCAP_TCP_MORE;
	s->head.size = 1;
}

/*
 * Looks the name up until attempt_end; once only, unless the user wants to
 * wait for what is not there yet.
 */
static int
resolve(struct pcap_tcp_source *s, const struct pcap_tcp_address *address,
    int persistent, int wake_fd)
{
	struct pollfd pfd = { .fd = wake_fd, .events = POLLIN };
	int error, saved_errno;

	for (;;) {
		error = pcap_tcp_resolve(address->host, address->port,
		    s->attempt_end, wake_fd, &s->addresses);
		saved_errno = errno;
		if (error == 0 || !persistent ||
		    s->attempt_end - pcap_tcp_now() < MIN_BACKOFF ||
		    poll(&pfd, 1, MIN_BACKOFF) > 0)
			break;
	}
	errno = saved_errno;
	return (error);
}

int
pcap_tcp_source_open(struct pcap_tcp_source *s,
    const struct pcap_tcp_device *device,
    const struct pcap_tcp_address *address, int precision, int epoll_fd,
    int wake_fd, char *errbuf)
{
	int error;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->epoll_fd = epoll_fd;
	s->errbuf = errbuf;
	s->timeout = device->timeout >= 0 ? device->timeout : DEFAULT_TIMEOUT;
	s->keepalive = device->keepalive;
	s->coming_back = device->reconnect != PCAP_TCP_RECONNECT_NO;
	s->backoff = MIN_BACKOFF;
	pcap_tcp_decoder_init(&s->decoder, precision, &linktypes);
	name_peer(s, address);
	s->buffer = malloc(BUFFER_SIZE);
	if (s->buffer == NULL) {
		pcapint_fmt_errmsg_for_errno(errbuf, PCAP_ERRBUF_SIZE, errno,
		    "malloc");
		return (-1);
	}
	s->capacity = BUFFER_SIZE;
	forget_stream(s);

	s->deadline = pcap_tcp_now();
	s->attempt_end = end_of_attempt(s, s->deadline);
	error = resolve(s, address,
	    device->reconnect == PCAP_TCP_RECONNECT_YES, wake_fd);
	if (error == 0)
		return (0);
	if (error == EAI_SYSTEM) {
		error = errno;
		pcapint_fmt_errmsg_for_errno(errbuf, PCAP_ERRBUF_SIZE, error,
		    "cannot resolve %.100s", address->host);
	} else {
		snprintf(errbuf, PCAP_ERRBUF_SIZE, "cannot resolve %.100s: %s",
		    address->host, gai_strerror(error));
		error = EHOSTUNREACH;
	}
	errno = error;
	return (-1);
}

void
pcap_tcp_source_close(struct pcap_tcp_source *s)
{
	/*
	 * No epoll_ctl() and no shutdown() here: after a fork() the other
	 * process may go on with the same connection.
	 */
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	if (s->addresses != NULL)
		freeaddrinfo(s->addresses);
	s->addresses = NULL;
	pcap_tcp_decoder_free(&s->decoder);
	free(s->buffer);
	s->buffer = NULL;
}

static void
disconnect(struct pcap_tcp_source *s)
{
	if (s->fd == -1)
		return;
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	/* Another process may have it from a fork(). */
	shutdown(s->fd, SHUT_RDWR);
	close(s->fd);
	s->fd = -1;
}

/* When to try again, somewhat sooner than that so that many don't at once. */
static void
schedule_attempt(struct pcap_tcp_source *s)
{
	struct timespec ts;

	s->state = PCAP_TCP_DOWN;
	s->attempt_end = 0;
	if (!s->coming_back) {
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

static enum pcap_tcp_progress
hang_up(struct pcap_tcp_source *s, enum pcap_tcp_progress why, int error)
{
	disconnect(s);
	/* A header alone is no proof that the server works. */
	if (s->received != s->received_before)
		s->backoff = MIN_BACKOFF;
	s->received_before = s->received;
	forget_stream(s);
	schedule_attempt(s);
	errno = error;
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
		pcapint_fmt_errmsg_for_errno(s->errbuf, PCAP_ERRBUF_SIZE,
		    s->failed_errno, "cannot connect to %s", s->peer);
	else
		snprintf(s->errbuf, PCAP_ERRBUF_SIZE,
		    "cannot connect to %s: %.*s", s->peer, MAX_FAILED,
		    s->failed);
	return (hang_up(s, PCAP_TCP_UNREACHABLE, s->failed_errno));
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
	pcapint_fmt_errmsg_for_errno(s->failed + n, sizeof(s->failed) - n,
	    error, "%s%s", n == 0 ? "" : "; ", address);
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

static int
watch(struct pcap_tcp_source *s, int operation, uint32_t events)
{
	struct epoll_event event;

	memset(&event, 0, sizeof(event));
	event.events = events;
	return (epoll_ctl(s->epoll_fd, operation, s->fd, &event));
}

/* Begins to connect to the first address, from s->address on, that can be. */
static enum pcap_tcp_progress
try_addresses(struct pcap_tcp_source *s)
{
	for (; s->address != NULL; s->address = s->address->ai_next) {
		s->fd = pcap_tcp_connect(s->address, s->keepalive);
		if (s->fd != -1 &&
		    watch(s, EPOLL_CTL_ADD, EPOLLOUT) == 0) {
			s->state = PCAP_TCP_CONNECTING;
			s->deadline = share_of_attempt(s);
			return (PCAP_TCP_PROGRESS);
		}
		note_failed_address(s, errno);
		disconnect(s);
	}
	return (no_address_left(s));
}

static enum pcap_tcp_progress
start_attempt(struct pcap_tcp_source *s)
{
	int64_t now = pcap_tcp_now();

	if (now < s->deadline)
		return (PCAP_TCP_WAIT);
	/* The first attempt began with the look-up of the name. */
	if (s->attempt_end == 0)
		s->attempt_end = end_of_attempt(s, now);
	s->failed[0] = '\0';
	s->address = s->addresses;
	return (try_addresses(s));
}

static enum pcap_tcp_progress
finish_connecting(struct pcap_tcp_source *s)
{
	int error = pcap_tcp_connect_result(s->fd);

	if (error == EINPROGRESS) {
		if (pcap_tcp_now() < s->deadline)
			return (PCAP_TCP_WAIT);
		error = ETIMEDOUT;
	}
	/* Connected and reset since: what came in between still counts. */
	s->was_reset = error == ECONNRESET;
	if (error == ECONNRESET || error == EPIPE)
		error = 0;
	if (error == 0 && watch(s, EPOLL_CTL_MOD, EPOLLIN) == -1)
		error = errno;
	if (error != 0) {
		note_failed_address(s, error);
		disconnect(s);
		s->address = s->address->ai_next;
		return (try_addresses(s));
	}
	s->state = PCAP_TCP_CONNECTED;
	s->deadline = s->attempt_end;
	return (PCAP_TCP_PROGRESS);
}

/*
 * Makes room behind the bytes that were not decoded yet.  The buffer doubles
 * only when it is full of one record whose length was checked, so that a
 * peer gets no memory for a claim; it shrinks when that record is through.
 */
static int
make_room(struct pcap_tcp_source *s)
{
	size_t capacity = s->capacity;
	u_char *buffer;

	if (s->next != s->buffer)
		memmove(s->buffer, s->next, s->left);
	s->next = s->buffer;
	if (s->left == s->capacity)
		capacity *= 2;
	else if (s->left < BUFFER_SIZE && s->head.size <= BUFFER_SIZE)
		capacity = BUFFER_SIZE;
	if (capacity == s->capacity)
		return (0);
	buffer = realloc(s->buffer, capacity);
	if (buffer == NULL)
		return (-1);
	s->next = s->buffer = buffer;
	s->capacity = capacity;
	return (0);
}

static enum pcap_tcp_progress
connection_lost(struct pcap_tcp_source *s, int error)
{
	if (!s->decoder.started) {
		if (error != 0)
			pcapint_fmt_errmsg_for_errno(s->errbuf,
			    PCAP_ERRBUF_SIZE, error, "%s", s->peer);
		else
			snprintf(s->errbuf, PCAP_ERRBUF_SIZE,
			    "%s closed the connection %s the stream header",
			    s->peer, s->left > 0 ? "within" : "before");
		return (hang_up(s, PCAP_TCP_UNREACHABLE,
		    error != 0 ? error : ECONNRESET));
	}
	if (error == 0 && s->left == 0) {
		snprintf(s->errbuf, PCAP_ERRBUF_SIZE, "end of stream");
		return (hang_up(s, PCAP_TCP_END, 0));
	}
	if (error == 0 || error == ECONNRESET)
		snprintf(s->errbuf, PCAP_ERRBUF_SIZE, TERMINATED);
	else
		pcapint_fmt_errmsg_for_errno(s->errbuf, PCAP_ERRBUF_SIZE,
		    error, "%s", s->peer);
	return (hang_up(s, PCAP_TCP_FAILED, error != 0 ? error : ECONNRESET));
}

static enum pcap_tcp_progress
no_stream_in_time(struct pcap_tcp_source *s)
{
	snprintf(s->errbuf, PCAP_ERRBUF_SIZE, "%s took the connection but "
	    "sent no pcap stream within %d seconds", s->peer, s->timeout);
	return (hang_up(s, PCAP_TCP_UNREACHABLE, ETIMEDOUT));
}

static enum pcap_tcp_progress
read_stream(struct pcap_tcp_source *s)
{
	ssize_t n;

	/* Blocks without an interface may come for ever. */
	if (!s->decoder.started && s->decoder.offset > 0 &&
	    pcap_tcp_now() >= s->deadline)
		return (no_stream_in_time(s));
	if (make_room(s) == -1)
		return (connection_lost(s, ENOMEM));
	/* read() and not recv(): some programs' sandboxes know only that. */
	do {
		n = read(s->fd, s->next + s->left, s->capacity - s->left);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		s->left += (size_t)n;
		return (PCAP_TCP_PROGRESS);
	}
	if (n == 0)
		return (connection_lost(s, s->was_reset ? ECONNRESET : 0));
	if (errno != EAGAIN)
		return (connection_lost(s, errno));
	if (s->deadline != PCAP_TCP_NEVER && pcap_tcp_now() >= s->deadline)
		return (no_stream_in_time(s));
	return (PCAP_TCP_WAIT);
}

enum pcap_tcp_progress
pcap_tcp_source_advance(struct pcap_tcp_source *s)
{
	if (s->decoded == PCAP_TCP_ERROR) {
		snprintf(s->errbuf, PCAP_ERRBUF_SIZE, "%.90s: %s", s->peer,
		    s->decoder.error);
		return (hang_up(s, PCAP_TCP_FAILED, EPROTO));
	}
	switch (s->state) {

	case PCAP_TCP_DOWN:
		return (start_attempt(s));

	case PCAP_TCP_CONNECTING:
		return (finish_connecting(s));

	default:
		return (read_stream(s));
	}
}
