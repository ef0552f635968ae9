/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-status.c - what an open device is doing, for others to look at
 */

#define _GNU_SOURCE	/* memfd_create(), program_invocation_short_name */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-file.h"
#include "pcap-tcp-status.h"

/* Linux before 5.1 does not know it. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x0010
#endif

static size_t
size_for(unsigned int nsources)
{
	return (sizeof(struct pcap_tcp_status) +
	    nsources * sizeof(struct pcap_tcp_source));
}

int64_t
pcap_tcp_status_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

struct pcap_tcp_status *
pcap_tcp_status_open(const char *device, unsigned int nsources, int *fd)
{
	const size_t size = size_for(nsources);
	struct pcap_tcp_status *s;

	*fd = -1;
#ifdef MFD_CLOEXEC
	if (pcap_tcp_file_may_have(size))
		*fd = memfd_create(PCAP_TCP_STATUS_NAME,
		    MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd != -1 && ftruncate(*fd, (off_t)size) == -1) {
		close(*fd);
		*fd = -1;
	}
#endif
	s = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    *fd == -1 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, *fd, 0);
	if (s == MAP_FAILED) {
		if (*fd != -1)
			close(*fd);
		*fd = -1;
		return (NULL);
	}
#ifdef MFD_CLOEXEC
	/* Others of this user may look, and not cut or change it. */
	if (*fd != -1) {
		(void)fcntl(*fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
		(void)fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
		    F_SEAL_SEAL);
	}
#endif
	s->nsources = nsources;
	s->opened_at = pcap_tcp_status_now();
	snprintf(s->program, sizeof(s->program), "%s",
	    program_invocation_short_name);
	snprintf(s->device, sizeof(s->device), "%s", device);
	s->version = PCAP_TCP_STATUS_VERSION;
	return (s);
}

void
pcap_tcp_status_close(struct pcap_tcp_status *s, int fd)
{
	munmap(s, size_for(s->nsources));
	if (fd != -1)
		close(fd);
}
