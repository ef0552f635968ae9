/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-lookup.h - host names to addresses, without ever blocking.
 */
#ifndef pcap_tcp_lookup_h
#define pcap_tcp_lookup_h

#include <sys/types.h>

#include "pcap-tcp-device.h"

/*
 * getaddrinfo() blocks as long as the name servers please and cannot be
 * interrupted, so a thread of its own makes the call.  The last of the two
 * to be done with a look-up frees it.
 */
struct pcap_tcp_lookup {
	int references;
	pid_t pid;		/* of the process that has the thread */
	int fd;			/* a flag: the look-up is done */
	int error, errnum;	/* 0 or an EAI_ code; errno for EAI_SYSTEM */
	struct addrinfo *list;	/* whoever takes it sets it to NULL */
	char port[sizeof("65535")];
	char host[PCAP_TCP_MAX_HOST + 1];
};

/* Starts to look a name up.  Returns NULL with errno set. */
struct pcap_tcp_lookup *pcap_tcp_lookup_start(const char *host,
    unsigned short port);

/* Releases a look-up that is done, and leaves one that is not to itself. */
void	pcap_tcp_lookup_free(struct pcap_tcp_lookup *l);

#endif
