/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-refusal.h - what a stream is that is neither pcap nor pcapng
 */
#ifndef pcap_tcp_refusal_h
#define pcap_tcp_refusal_h

#include "pcap-tcp-format.h"

/*
 * Says in the decoder's error what begins at buf, of which len bytes, 4 at
 * least, are here.  Returns PCAP_TCP_ERROR.
 */
enum pcap_tcp_decoded pcap_tcp_refuse(struct pcap_tcp_decoder *d,
    const u_char *buf, size_t len);

#endif
