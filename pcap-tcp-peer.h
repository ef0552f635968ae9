/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-peer.h - one remote end, which we connect to or which connected to
 * us: its state, its connection and its stream.
 *
 * Nothing here blocks.  A peer waits for its watch, and for its deadline.
 */
#ifndef pcap_tcp_peer_h
#define pcap_tcp_peer_h

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

#include "pcap-tcp-device.h"
#include "pcap-tcp-dial.h"
#include "pcap-tcp-events.h"
#include "pcap-tcp-report.h"
#include "pcap-tcp-stream.h"
#include "pcap-tcp-tls.h"

/* What the peers of a device have in common. */
struct pcap_tcp_common {
	const struct pcap_tcp_device *device;
	const char *name;	/* of the device, as the program says it */
	struct pcap_tcp_events *events;
	struct pcap_tcp_log *log;	/* NULL: none */
	struct pcap_tcp_log_share senders_share;
	struct pcap_tcp_decoding decoding;
	size_t bytes_left;	/* of what senders may have, all of them */
	size_t read_size;	/* at most so much at a time */
	int64_t give_up;	/* no attempt goes on for longer */
};

enum pcap_tcp_peer_state {
	PCAP_TCP_PEER_TRYING,	/* until the stream's header is here */
	PCAP_TCP_PEER_UP,	/* it has a stream */
	PCAP_TCP_PEER_RETRYING,	/* the next attempt, or the first, is due at
				   the deadline */
	PCAP_TCP_PEER_GONE	/* there is no other attempt */
};

struct pcap_tcp_peer {
	enum pcap_tcp_peer_state state;
	int64_t since;		/* pcap_tcp_now() time, like all of them: */
	int64_t deadline;
	int extension_left;	/* The deadline may be put off once. */
	int overtime;		/* reads since then */
	int64_t attempt_end;
	int timeout;		/* seconds for an attempt, 0 = no limit */
	int backoff;		/* delay after the next failure, ms */
	int is_sender;		/* It connected to us. */
	int is_evicted;		/* and another one gets its place */
	struct pcap_tcp_watch watch;
	struct pcap_tcp_dial dial;
	struct pcap_tcp_bytes *bytes;	/* the connection, NULL: none */
	struct pcap_tcp_stream stream;
	struct pcap_tcp_common *common;
	struct pcap_tcp_report report;
	struct pcap_tcp_tls_context *tls_context;	/* NULL: no TLS */
	char name[128];		/* HOST:PORT for errors, a long host cut */
	int failed;		/* An attempt or a stream is over: */
	int errnum;		/* why, and */
	char error[PCAP_ERRBUF_SIZE];	/* what the user is told of that. */
};

/*
 * A peer that we connect to, at an address of the device, with TLS if there is
 * a tls_context.  common and source are kept.  Returns NULL if out of memory.
 */
struct pcap_tcp_peer *pcap_tcp_peer_new(struct pcap_tcp_common *common,
    struct pcap_tcp_source *source, const struct pcap_tcp_address *target,
    struct pcap_tcp_tls_context *tls_context);

/*
 * A peer that connected to us: its bytes, which become the peer's, and its
 * name.  Returns NULL with the bytes closed.
 */
struct pcap_tcp_peer *pcap_tcp_peer_new_sender(struct pcap_tcp_common *common,
    struct pcap_tcp_source *source, struct pcap_tcp_bytes *bytes,
    const char *name,
    struct pcap_tcp_tls_context *tls_context);

void	pcap_tcp_peer_free(struct pcap_tcp_peer *p);

/*
 * Goes on with connecting or reading, by at most one read.  After
 * UNREACHABLE, END and FAILED, error and errnum say why, the connection is
 * closed, and a new attempt is due at the deadline.
 */
enum pcap_tcp_progress pcap_tcp_peer_advance(struct pcap_tcp_peer *p);

/* Hangs up on a peer that has a connection. */
void	pcap_tcp_peer_refuse(struct pcap_tcp_peer *p, const char *why);

/* pcap_tcp_stream_decode(), and what its outcome means for the peer. */
void	pcap_tcp_peer_decode(struct pcap_tcp_peer *p, int until_start);

#endif
