/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-filter.h - a filter as machine code
 *
 * Where there can be none, libpcap's interpreter comes to the same verdicts.
 */
#ifndef pcap_tcp_filter_h
#define pcap_tcp_filter_h

#include <stddef.h>

#include <pcap/pcap.h>

/* Is there a compiler for this machine?  After config.h, which may say no. */
#if !defined(PCAP_TCP_NO_FILTER_JIT) && defined(__LP64__) && \
    (defined(__x86_64__) || \
    (defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__))
#define PCAP_TCP_HAS_FILTER_CODE	1
#else
#define PCAP_TCP_HAS_FILTER_CODE	0
#endif

typedef u_int pcap_tcp_filter_code(const u_char *data, u_int caplen,
    u_int len);

struct pcap_tcp_filter {
	pcap_tcp_filter_code *code;	/* NULL: is interpreted */
	size_t size;
};

/*
 * Of a program that libpcap has validated.  Has no way to fail.  Nothing is
 * kept of the program.
 */
void	pcap_tcp_filter_compile(struct pcap_tcp_filter *f,
	    const struct bpf_insn *program, size_t n);

void	pcap_tcp_filter_free(struct pcap_tcp_filter *f);

/* 0 for a packet that does not match. */
static inline u_int
pcap_tcp_filter_run(const struct pcap_tcp_filter *f,
    const struct bpf_insn *program, const u_char *data, u_int len,
    u_int caplen)
{
	if (f->code != NULL)
		return (f->code(data, caplen, len));
	return (bpf_filter(program, data, len, caplen));
}

#endif
