/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-pcapng.h - a pcapng stream: its sections, and the blocks in them
 */
#ifndef pcap_tcp_pcapng_h
#define pcap_tcp_pcapng_h

#include "pcap-tcp-format.h"

/*
 * Takes the header that begins a stream, of which 12 bytes are here, and
 * has the decoder run over what follows.  Returns PCAP_TCP_SKIP, MORE or
 * ERROR.
 */
enum pcap_tcp_decoded pcap_tcp_pcapng_start(struct pcap_tcp_decoder *d,
    struct pcap_tcp_input *in);

#endif
