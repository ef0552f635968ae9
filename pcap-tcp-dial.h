/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-dial.h - from an address of a device name to a connection: looks
 * the host up, then tries each of its addresses.
 *
 * Nothing here blocks.  An attempt waits for its watch, and for its deadline.
 */
#ifndef pcap_tcp_dial_h
#define pcap_tcp_dial_h

#include <pcap/pcap.h>

#include "pcap-tcp-bytes.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-events.h"

struct addrinfo;
struct pcap_tcp_lookup;

struct pcap_tcp_dial {
	const struct pcap_tcp_address *target;
	const char *peer;	/* its name, for errors */
	int keepalive;		/* seconds */
	struct pcap_tcp_watch *watch;
	int64_t end;		/* the attempt is over */
	int64_t deadline;	/* the next step is due, also without event */
	struct pcap_tcp_lookup *lookup;	/* NULL: none is under way */
	int64_t look_end;	/* The look-up is over. */
	/* Kept until a look-up finds others: the program may chroot(). */
	struct addrinfo *addresses;
	int is_name;		/* They come from a look-up. */
	int is_outdated;	/* None of them took the connection. */
	struct addrinfo *address;	/* the one that is tried; NULL: none */
	struct pcap_tcp_bytes *connection;	/* to it; NULL: none yet */
	int failed_errno;	/* of the first address tried */
	int failed_alike;	/* Is it that of all of them? */
	char failed[PCAP_ERRBUF_SIZE];	/* each with its address */
	char error[PCAP_ERRBUF_SIZE];	/* why there is no connection */
};

/* All is kept, not copied; the watch belongs to d during an attempt. */
void	pcap_tcp_dial_init(struct pcap_tcp_dial *d,
    const struct pcap_tcp_address *target, const char *peer, int keepalive,
    struct pcap_tcp_watch *watch);
void	pcap_tcp_dial_free(struct pcap_tcp_dial *d);

/*
 * Begins to look the host up, ahead of the first attempt, as the program may
 * chroot() or fork() before that; waits for the outcome until that time.
 */
void	pcap_tcp_dial_prepare(struct pcap_tcp_dial *d, int64_t until);

/*
 * Begins an attempt, or goes on with it; it is over at end.  Returns a
 * connection, which the watch no longer waits for; or NULL with errno: EAGAIN
 * if the attempt goes on, else error says why it is over.
 */
struct pcap_tcp_bytes *pcap_tcp_dial_step(struct pcap_tcp_dial *d,
    int64_t end);

#endif
