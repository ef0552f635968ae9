/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-report.h - what a person learns of one peer: its events in the
 * device's log, and its part of the device's status
 */
#ifndef pcap_tcp_report_h
#define pcap_tcp_report_h

#include "pcap-tcp-log.h"
#include "pcap-tcp-status.h"
#include "pcap-tcp-stream.h"

struct pcap_tcp_report {
	struct pcap_tcp_source *source;
	struct pcap_tcp_log *log;	/* NULL: none */
	struct pcap_tcp_log_share *share;	/* its own, or all senders' */
	struct pcap_tcp_log_share own_share;
	int64_t since;		/* the state began, pcap_tcp_now() time */
	uint64_t failure;	/* a hash of why it failed last */
	uint64_t times;		/* so often in a row, for the same reason */
	uint64_t stalls;
	int64_t stalled;	/* since this read */
};

/* All pointers are kept.  senders: NULL if we connect to the peer. */
void	pcap_tcp_report_init(struct pcap_tcp_report *r,
    struct pcap_tcp_source *source, struct pcap_tcp_log *log,
    struct pcap_tcp_log_share *senders, const char *name);

/* A state begins; the next attempt is due in so many ms. */
void	pcap_tcp_report_state(struct pcap_tcp_report *r,
    enum pcap_tcp_source_state state, int64_t due);

/* TCP has connected, after so many ms. */
void	pcap_tcp_report_connected(struct pcap_tcp_report *r, int64_t ms);

/* It sent nothing for the first second. */
void	pcap_tcp_report_silence(struct pcap_tcp_report *r, const char *hint);

/* The stream's header is here. */
void	pcap_tcp_report_stream(struct pcap_tcp_report *r,
    const struct pcap_tcp_stream *s);

/*
 * An attempt or a stream is over, and why; the stream is as it was.  The next
 * attempt is due in so many ms, -1: never.
 */
void	pcap_tcp_report_failure(struct pcap_tcp_report *r,
    const struct pcap_tcp_stream *s, const char *error, int64_t due);

/* Others have records, and it has sent nothing for so many ms. */
void	pcap_tcp_report_stall(struct pcap_tcp_report *r, int64_t ms);

#endif
