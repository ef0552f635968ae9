/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-lookup.c - host names to addresses, without ever blocking
 */

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcap-tcp-events.h"
#include "pcap-tcp-lookup.h"

void
pcap_tcp_lookup_free(struct pcap_tcp_lookup *l)
{
	/* After a fork() the thread exists only in the parent. */
	if (__atomic_sub_fetch(&l->references, 1, __ATOMIC_ACQ_REL) != 0 &&
	    l->pid == getpid())
		return;
	if (l->list != NULL)
		freeaddrinfo(l->list);
	close(l->fd);
	free(l);
}

static void *
lookup_thread(void *arg)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV
	};
	struct pcap_tcp_lookup *l = arg;

	pthread_detach(pthread_self());
	l->error = getaddrinfo(l->host, l->port, &hints, &l->list);
	l->errnum = errno;
	pcap_tcp_flag_raise(l->fd);
	pcap_tcp_lookup_free(l);
	return (NULL);
}

/* The program's signals are not for a thread that it does not know of. */
static int
start_thread(struct pcap_tcp_lookup *l)
{
	pthread_t thread;
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, NULL, lookup_thread, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (error);
}

struct pcap_tcp_lookup *
pcap_tcp_lookup_start(const char *host, unsigned short port)
{
	struct pcap_tcp_lookup *l = calloc(1, sizeof(*l));
	int error;

	if (l == NULL)
		return (NULL);
	snprintf(l->host, sizeof(l->host), "%s", host);
	snprintf(l->port, sizeof(l->port), "%u", port);
	l->references = 2;
	l->pid = getpid();
	l->fd = pcap_tcp_flag_new();
	error = l->fd == -1 ? errno : start_thread(l);
	if (error == 0)
		return (l);
	if (l->fd != -1)
		close(l->fd);
	free(l);
	errno = error;
	return (NULL);
}
