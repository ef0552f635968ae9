/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-signal.c - Ctrl-C while a device is being opened
 */

#include <errno.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pcap-tcp-signal.h"

/*
 * An EINTR does not tell which signal it was, and a SIGCHLD or SIGALRM is no
 * reason to give up.  A signal that is ignored must not be held back: it would
 * be kept.  One that another thread takes is not seen.
 */
int
pcap_tcp_signal_hold(sigset_t *saved)
{
	static const int ending[] = { SIGINT, SIGTERM };
	struct sigaction action;
	sigset_t caught;
	size_t i;
	int fd;

	sigemptyset(&caught);
	pthread_sigmask(SIG_BLOCK, NULL, saved);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		if (!sigismember(saved, ending[i]) &&
		    sigaction(ending[i], NULL, &action) == 0 &&
		    action.sa_handler != SIG_DFL &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&caught, ending[i]);
	}
	fd = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd != -1)
		pthread_sigmask(SIG_BLOCK, &caught, NULL);
	return (fd);
}

void
pcap_tcp_signal_release(int fd, const sigset_t *saved)
{
	int saved_errno = errno;

	if (fd != -1)
		close(fd);
	pthread_sigmask(SIG_SETMASK, saved, NULL);
	errno = saved_errno;
}
