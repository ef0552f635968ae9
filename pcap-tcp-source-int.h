/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-source-int.h - what the source's files share
 */
#ifndef pcap_tcp_source_int_h
#define pcap_tcp_source_int_h

#include "pcap-tcp-source.h"

/* pcap-tcp-source.c */

/* When an attempt that starts at this time, or a part of it, has to be over. */
int64_t	pcap_tcp_source_end_of_attempt(const struct pcap_tcp_source *s,
    int64_t start);

/* Closes the connection; returns why.  error: an errno value, 0 if none. */
enum pcap_tcp_progress pcap_tcp_source_hang_up(struct pcap_tcp_source *s,
    enum pcap_tcp_progress why, int error);

/* pcap-tcp-stream.c */

/* Reads once into the buffer. */
enum pcap_tcp_progress pcap_tcp_source_read(struct pcap_tcp_source *s);

/*
 * The connection has ended, by error (an errno value) or, if that is 0, by
 * its peer.  Says so, and hangs up.
 */
enum pcap_tcp_progress pcap_tcp_source_lost(struct pcap_tcp_source *s,
    int error);

#endif
