/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-lookup.c - host names to addresses, without ever blocking
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcap-tcp-events.h"
#include "pcap-tcp-lookup.h"

/*
 * getaddrinfo() blocks as long as the name servers please and cannot be
 * interrupted, so a thread of its own makes the call.  The last of the two
 * to be done with a look-up frees it.
 */
struct pcap_tcp_lookup {
	int references;
	pid_t pid;		/* of the process that has the thread */
	int done_fd;		/* a flag, readable when done */
	int error, errnum;	/* getaddrinfo()'s, and errno */
	struct addrinfo *list;
	char port[sizeof("65535")];
	char host[];
};

void
pcap_tcp_lookup_abandon(struct pcap_tcp_lookup *l)
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
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV
	};
	struct pcap_tcp_lookup *l = arg;

	l->error = getaddrinfo(l->host, l->port, &hints, &l->list);
	l->errnum = errno;
	pcap_tcp_flag_raise(l->done_fd);
	pcap_tcp_lookup_abandon(l);
	return (NULL);
}

/* The program's signals are not for a thread that it does not know of. */
static int
start_thread(struct pcap_tcp_lookup *l)
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

struct pcap_tcp_lookup *
pcap_tcp_lookup_start(const char *host, unsigned short port)
{
	size_t size = strlen(host) + 1;
	struct pcap_tcp_lookup *l = calloc(1, sizeof(*l) + size);
	int error;

	if (l == NULL)
		return (NULL);
	memcpy(l->host, host, size);
	snprintf(l->port, sizeof(l->port), "%u", port);
	l->references = 2;
	l->pid = getpid();
	l->done_fd = pcap_tcp_flag_new();
	error = l->done_fd == -1 ? errno : start_thread(l);
	if (error == 0)
		return (l);
	if (l->done_fd != -1)
		close(l->done_fd);
	free(l);
	errno = error;
	return (NULL);
}

int
pcap_tcp_lookup_fd(const struct pcap_tcp_lookup *l)
{
	return (l->done_fd);
}

int
pcap_tcp_lookup_is_lost(const struct pcap_tcp_lookup *l)
{
	return (l->pid != getpid());
}

int
pcap_tcp_lookup_finish(struct pcap_tcp_lookup *l, struct addrinfo **list)
{
	int error, errnum;

	pcap_tcp_flag_take(l->done_fd);
	error = l->error;
	errnum = l->errnum;
	*list = l->list;
	l->list = NULL;
	pcap_tcp_lookup_abandon(l);
	errno = errnum;
	return (error);
}
