/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-linktype.h - what libpcap knows of link types, and the stage that
 * brings pseudo-headers into order.
 *
 * Safe in any thread.
 */
#ifndef pcap_tcp_linktype_h
#define pcap_tcp_linktype_h

#include "pcap-tcp-format.h"

extern const struct pcap_tcp_linktypes pcap_tcp_linktypes;

/* A link type's name, or its number in files; -1 if it is none. */
int	pcap_tcp_parse_linktype(const char *text);

struct pcap_tcp_pseudo_headers {
	int dlt;
	int swapped;	/* as filters expect DLT_NULL's address families */
};

/*
 * For a link type whose pseudo-header libpcap puts into this machine's byte
 * order, or filters expect in the device's: the stage that does so, with p as
 * its state, which leaves out no record.  NULL for all others.
 */
pcap_tcp_stage *pcap_tcp_linktype_stage(struct pcap_tcp_pseudo_headers *p,
    int dlt, int swapped);

#endif
