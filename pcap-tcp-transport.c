/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-transport.c - name look-up and TCP connections
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-transport.h"

int64_t
pcap_tcp_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

int
pcap_tcp_poll_timeout(int64_t then)
{
	int64_t wait;

	if (then == PCAP_TCP_NEVER)
		return (-1);
	wait = then - pcap_tcp_now();
	if (wait <= 0)
		return (0);
	return (wait > INT_MAX ? INT_MAX : (int)wait);
}

/*
 * getaddrinfo() blocks as long as the name servers please and cannot be
 * interrupted, so a thread of its own makes the call.  The last of the two
 * to be done with a look-up frees it.
 */
struct lookup {
	int references;
	int done_fd;		/* an eventfd, readable when done */
	int error, errnum;	/* getaddrinfo()'s, and errno */
	struct addrinfo *list;
	struct addrinfo hints;
	char port[sizeof("65535")];
	char host[];
};

static void
lookup_release(struct lookup *l)
{
	if (__atomic_sub_fetch(&l->references, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (l->list != NULL)
		freeaddrinfo(l->list);
	close(l->done_fd);
	free(l);
}

static void *
lookup_thread(void *arg)
{
	struct lookup *l = arg;
	const uint64_t one = 1;

	l->error = getaddrinfo(l->host, l->port, &l->hints, &l->list);
	l->errnum = errno;
	(void)!write(l->done_fd, &one, sizeof(one));
	lookup_release(l);
	return (NULL);
}

/* The program's signals are not for a thread that it does not know of. */
static int
lookup_start(struct lookup *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, &attr, lookup_thread, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return (error);
}

/* Returns NULL with errno set. */
static struct lookup *
lookup_new(const char *host, const char *port, const struct addrinfo *hints)
{
	size_t size = strlen(host) + 1;
	struct lookup *l = calloc(1, sizeof(*l) + size);
	int error;

	if (l == NULL)
		return (NULL);
	memcpy(l->host, host, size);
	memcpy(l->port, port, sizeof(l->port));
	l->hints = *hints;
	l->references = 2;
	l->done_fd = eventfd(0, EFD_CLOEXEC);
	error = l->done_fd == -1 ? errno : lookup_start(l);
	if (error == 0)
		return (l);
	if (l->done_fd != -1)
		close(l->done_fd);
	free(l);
	errno = error;
	return (NULL);
}

/* Waits for the look-up and takes its result, or leaves it to itself. */
static int
lookup_finish(struct lookup *l, int64_t deadline, int wake_fd,
    struct addrinfo **list)
{
	struct pollfd fds[2];
	int error = EAI_SYSTEM, errnum, n;

	fds[0].fd = l->done_fd;
	fds[1].fd = wake_fd;
	fds[0].events = fds[1].events = POLLIN;
	do {
		n = poll(fds, 2, pcap_tcp_poll_timeout(deadline));
	} while (n == -1 && errno == EINTR);
	if (n == 0)
		errnum = ETIMEDOUT;
	else if (fds[0].revents == 0)
		errnum = EINTR;
	else {
		error = l->error;
		errnum = l->errnum;
		*list = l->list;
		l->list = NULL;
	}
	lookup_release(l);
	errno = errnum;
	return (error);
}

int
pcap_tcp_resolve(const char *host, unsigned short port, int64_t deadline,
    int wake_fd, struct addrinfo **list)
{
	struct addrinfo hints;
	struct lookup *l;
	char service[sizeof("65535")];
	int error;

	*list = NULL;
	snprintf(service, sizeof(service), "%u", port);
	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	error = getaddrinfo(host, service, &hints, list);
	if (error == 0)
		return (0);

	hints.ai_flags = AI_NUMERICSERV;
	l = lookup_new(host, service, &hints);
	if (l == NULL)
		return (EAI_SYSTEM);
	return (lookup_finish(l, deadline, wake_fd, list));
}

static void
set_keepalive(int fd, int seconds)
{
	const int on = 1, probes = 2;

	/* A peer that can't be probed is no reason not to read from it. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds,
	    sizeof(seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds,
	    sizeof(seconds));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes,
	    sizeof(probes));
}

int
pcap_tcp_connect(const struct addrinfo *address, int keepalive)
{
	int fd, saved_errno;

	fd = socket(address->ai_family,
	    address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    address->ai_protocol);
	if (fd == -1)
		return (-1);
	set_keepalive(fd, keepalive);
	if (connect(fd, address->ai_addr, address->ai_addrlen) == -1 &&
	    errno != EINPROGRESS && errno != EINTR) {
		saved_errno = errno;
		close(fd);
		errno = saved_errno;
		return (-1);
	}
	return (fd);
}

/*
 * A loopback port in the ephemeral range that nobody listens on can be
 * given to the connecting socket itself, and TCP then connects it to itself.
 * It would wait for a stream for ever and keep the server from its port.
 */
static int
is_connected_to_itself(int fd)
{
	struct sockaddr_storage own, peer;
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

	memset(&own, 0, sizeof(own));
	memset(&peer, 0, sizeof(peer));
	if (getsockname(fd, (struct sockaddr *)&own, &own_len) == -1 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) == -1)
		return (0);
	return (own_len == peer_len && memcmp(&own, &peer, own_len) == 0);
}

int
pcap_tcp_connect_result(int fd)
{
	struct pollfd pfd;
	socklen_t len;
	int error = 0;

	pfd.fd = fd;
	pfd.events = POLLOUT;
	if (poll(&pfd, 1, 0) <= 0)
		return (EINPROGRESS);
	len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return (errno);
	if (error == 0 && is_connected_to_itself(fd))
		return (ECONNREFUSED);
	return (error);
}

void
pcap_tcp_print_address(const struct addrinfo *address, char *text,
    size_t size)
{
	if (getnameinfo(address->ai_addr, address->ai_addrlen, text,
	    (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(text, size, "?");
}
