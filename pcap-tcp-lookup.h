/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-lookup.h - host names to addresses, without ever blocking.
 */
#ifndef pcap_tcp_lookup_h
#define pcap_tcp_lookup_h

struct addrinfo;
struct pcap_tcp_lookup;

/*
 * Starts to look a name up in a thread of its own.  Returns NULL with errno
 * set.
 */
struct pcap_tcp_lookup *pcap_tcp_lookup_start(const char *host,
    unsigned short port);

/* Readable when the look-up is done. */
int	pcap_tcp_lookup_fd(const struct pcap_tcp_lookup *l);

/* Is this a process that a fork() has made since, without the thread? */
int	pcap_tcp_lookup_is_lost(const struct pcap_tcp_lookup *l);

/*
 * Takes the result of a look-up that is done, and releases it.  Returns 0 and
 * a list for freeaddrinfo(3), or an EAI_ code, with errno set if that is
 * EAI_SYSTEM.
 */
int	pcap_tcp_lookup_finish(struct pcap_tcp_lookup *l,
    struct addrinfo **list);

/* Leaves the look-up to itself. */
void	pcap_tcp_lookup_abandon(struct pcap_tcp_lookup *l);

#endif
