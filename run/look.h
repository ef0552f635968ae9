/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * look.h - finds the open devices of programs: see pcap-tcp-status.h
 */

#include <sys/types.h>

#include "pcap-tcp-status.h"

struct look {
	struct look *next;
	pid_t pid;
	ino_t ino;	/* tells the devices of a program apart */
	struct pcap_tcp_status *status;	/* a copy; texts are printable */
};

/*
 * Those of a process, or of all that we may look into if pid is 0, in the
 * order of processes.  A device that several processes have from a fork is the
 * first one's.  Returns a list, for look_free().
 */
struct look *look_for(pid_t pid);
void	look_free(struct look *list);
