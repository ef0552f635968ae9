/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-filter-code.h - what is known of a program, and its machine code
 *
 * The code is written from its end on: as jumps only go forward, what they
 * jump to has been written before.  A position is counted from the end, too.
 */
#ifndef pcap_tcp_filter_code_h
#define pcap_tcp_filter_code_h

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pcap/pcap.h>

/* No packet has so many bytes: a load from there fails. */
#define PCAP_TCP_NO_OFFSET	(1U << 30)

#define PCAP_TCP_UNREACHED	UINT32_MAX

struct pcap_tcp_code {
	const struct bpf_insn *program;
	size_t n;
	/*
	 * Of each instruction: how many bytes a packet has at the least that
	 * gets there, or PCAP_TCP_UNREACHED.
	 */
	uint32_t *known;
	uint32_t *position;	/* of each, and then of what returns 0 */
	int has_memory;		/* scratch memory is read */
	unsigned char *room;	/* for the code, up to end */
	unsigned char *start;	/* of what has been written */
	unsigned char *end;
	int is_refused;		/* too long, or not understood */
};

/* Writes in front of what has been written. */
static inline void
pcap_tcp_code_put(struct pcap_tcp_code *c, const void *bytes, size_t size)
{
	if ((size_t)(c->start - c->room) < size)
		c->is_refused = 1;
	else {
		c->start -= size;
		memcpy(c->start, bytes, size);
	}
}

static inline uint32_t
pcap_tcp_code_position(const struct pcap_tcp_code *c)
{
	return ((uint32_t)(c->end - c->start));
}

/* How many bytes an instruction loads from a packet, or 0. */
static inline uint32_t
pcap_tcp_code_load_size(const struct bpf_insn *insn)
{
	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
		return (4);
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_H | BPF_IND:
		return (2);
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LDX | BPF_B | BPF_MSH:
		return (1);
	default:
		return (0);
	}
}

/*
 * Write the code of a machine, of the type pcap_tcp_filter_code, and return
 * 0, or -1 if it is refused.
 */
int	pcap_tcp_code_x86_64(struct pcap_tcp_code *c);
int	pcap_tcp_code_arm64(struct pcap_tcp_code *c);

#endif
