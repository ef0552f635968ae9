/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-listener.h - the ports that senders connect to
 */
#ifndef pcap_tcp_listener_h
#define pcap_tcp_listener_h

#include "pcap-tcp-bytes.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-events.h"

struct pcap_tcp_listener {
	struct pcap_tcp_listener *next;
	const struct pcap_tcp_address *address;	/* as the device says it */
	struct pcap_tcp_watch watch;
	int64_t paused_until;	/* 0 = accepting */
};

/*
 * Listens where the address says, on loopback if it does not, and puts the
 * sockets in front of the list and into the set of events.  Returns 0, or -1
 * with errno and one line in errbuf; the list is to be closed in both cases.
 */
int	pcap_tcp_listener_open(struct pcap_tcp_listener **list,
    const struct pcap_tcp_address *address,
    const struct pcap_tcp_events *events, char *errbuf, size_t size);
void	pcap_tcp_listener_close(struct pcap_tcp_listener *list);

/*
 * Takes no connections for a second: they wait in the backlog, and do not
 * make the descriptor readable again and again.
 */
void	pcap_tcp_listener_pause(struct pcap_tcp_listener *l);

/*
 * Takes a connection and its peer's HOST:PORT.  Returns NULL if there is none
 * for now.  Where that has another reason, such as being out of
 * descriptors, the listener pauses.
 */
struct pcap_tcp_bytes *pcap_tcp_listener_accept(struct pcap_tcp_listener *l,
    int keepalive, char *peer, size_t size);

/* Ends a pause whose time is up. */
void	pcap_tcp_listener_resume(struct pcap_tcp_listener *l, int64_t now);

/* When a pause ends, PCAP_TCP_NEVER if there is none. */
static inline int64_t
pcap_tcp_listener_deadline(const struct pcap_tcp_listener *l)
{
	return (l->paused_until == 0 ? PCAP_TCP_NEVER : l->paused_until);
}

#endif
