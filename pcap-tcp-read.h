/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-read.h - a capture handle's private part, and what reads from it
 *
 * The functions are for a handle that is active.
 */
#ifndef pcap_tcp_read_h
#define pcap_tcp_read_h

#include "pcap-tcp-device.h"
#include "pcap-tcp-events.h"
#include "pcap-tcp-fanout.h"
#include "pcap-tcp-feed.h"
#include "pcap-tcp-filter.h"
#include "pcap-tcp-link.h"
#include "pcap-tcp-linktype.h"

#define PCAP_TCP_MAX_STAGES	2

struct pcap_tcp {
	struct pcap_tcp_batch run;	/* records to deliver next */
	struct pcap_tcp_feed feed;
	struct pcap_tcp_events events;
	int nonblock;
	int64_t left_at;	/* with records at hand; 0: unknown */
	uint64_t absences;	/* how often the program was away for long */
	uint64_t next_left_out;	/* packets that are worth a line */
	struct {
		pcap_tcp_stage *run;
		void *state;
	} stage[PCAP_TCP_MAX_STAGES];
	unsigned int nstages;
	struct pcap_tcp_pseudo_headers pseudo_headers;
	struct pcap_tcp_ethernet ethernet;
	struct pcap_tcp_fanout fanout;
	struct pcap_tcp_filter filter;	/* of pcap_t's fcode */
	int worker_fd;		/* holds its number, or -1 */
	int dlt;		/* what the device name says, or -1 */
	struct pcap_tcp_device device;
	struct pcap_tcp_log log;
};

/*
 * Becomes one of the workers, and has the feed begin.  Returns 0, or -1 with
 * errno and errbuf.
 */
int	pcap_tcp_begin(pcap_t *p);

/* A handle's read_op: pcap_dispatch(3PCAP). */
int	pcap_tcp_read(pcap_t *p, int cnt, pcap_handler callback, u_char *user);

/* A handle's breakloop_op.  Async-signal-safe; any thread may call it. */
void	pcap_tcp_breakloop(pcap_t *p);

/*
 * Makes the descriptor readable if, and only if, the next read would return
 * something.
 */
void	pcap_tcp_update_readiness(pcap_t *p);

#endif
