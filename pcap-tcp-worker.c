/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-worker.c - a number that no other handle has
 */

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pcap-tcp-worker.h"

int
pcap_tcp_worker_take(uint64_t key, unsigned int n, unsigned int *worker)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int length, saved_errno;
	size_t size;

	if (fd == -1)
		return (-1);
	for (*worker = 1; *worker <= n; (*worker)++) {
		/* The NUL in front says that it is no path. */
		length = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
		    "pcap-tcp/%lu/%016" PRIx64 "/%u",
		    (unsigned long)geteuid(), key, *worker);
		size = offsetof(struct sockaddr_un, sun_path) + 1 +
		    (size_t)length;
		if (bind(fd, (struct sockaddr *)&sun, (socklen_t)size) == 0)
			return (fd);
		if (errno != EADDRINUSE)
			break;
	}
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return (-1);
}
