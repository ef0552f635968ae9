/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-peers.h - who belongs to a device: the peers that it connects to,
 * listeners, and the senders that come by them.
 */
#ifndef pcap_tcp_peers_h
#define pcap_tcp_peers_h

#include "pcap-tcp-device.h"
#include "pcap-tcp-events.h"
#include "pcap-tcp-listener.h"
#include "pcap-tcp-opening.h"
#include "pcap-tcp-peer.h"

#define PCAP_TCP_MAX_SENDERS	64
#define PCAP_TCP_MAX_PEERS	(PCAP_TCP_MAX_SOURCES + PCAP_TCP_MAX_SENDERS)
/* Loopback takes two of them. */
#define PCAP_TCP_MAX_LISTENERS	(2 * PCAP_TCP_MAX_SOURCES)

#if PCAP_TCP_MAX_PEERS + PCAP_TCP_MAX_LISTENERS > PCAP_TCP_MAX_WATCHES
#error "a peer or listener needs a watch"
#endif

struct pcap_tcp_peers {
	/* Those that we connect to, then senders; NULL: a free slot. */
	struct pcap_tcp_peer *peer[PCAP_TCP_MAX_PEERS];
	unsigned int ndialed;
	unsigned int nslots;	/* high-water mark of peer[] */
	unsigned int nsenders;
	struct pcap_tcp_listener *listeners;
	struct pcap_tcp_tls_context *dialing_tls, *listening_tls;
	struct pcap_tcp_common common;
	struct pcap_tcp_status *status;	/* a source for each of peer[] */
	int status_fd;
	uint64_t crowded;	/* how often all places were taken */
	struct pcap_tcp_opening opening;
	char *errbuf;		/* PCAP_ERRBUF_SIZE, the caller's */
};

/*
 * Makes the peers that we connect to, and reads what TLS needs, without any
 * connection.  common is copied.  Returns 0, or -1 with errno and errbuf; in
 * both cases pcap_tcp_peers_close() releases what there is.
 */
int	pcap_tcp_peers_open(struct pcap_tcp_peers *m,
    const struct pcap_tcp_common *common, char *errbuf);
void	pcap_tcp_peers_close(struct pcap_tcp_peers *m);

/* Listens; opening begins.  Returns 0, or -1 with errno and errbuf. */
int	pcap_tcp_peers_begin(struct pcap_tcp_peers *m);

/*
 * Is there a stream, and may opening end?  1, 0: not yet; -1 with errno and
 * errbuf: there will be none.  last_sender: why the last sender left, or "".
 */
int	pcap_tcp_peers_opened(struct pcap_tcp_peers *m,
    const char *last_sender);

/* One of those that have a stream; NULL if none has. */
const struct pcap_tcp_peer *pcap_tcp_peers_first_stream(
    const struct pcap_tcp_peers *m);

/* Takes connections from the listeners that have some.  Returns 1 or 0. */
int	pcap_tcp_peers_accept(struct pcap_tcp_peers *m);

/* A sender: its bytes, which become the peer's, and its name. */
void	pcap_tcp_peers_add_sender(struct pcap_tcp_peers *m,
    struct pcap_tcp_bytes *bytes, const char *name,
    struct pcap_tcp_tls_context *tls_context);
void	pcap_tcp_peers_drop_sender(struct pcap_tcp_peers *m, unsigned int i);

#endif
