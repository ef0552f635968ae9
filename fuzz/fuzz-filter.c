/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-filter - a libFuzzer target: machine code and libpcap's interpreter
 * come to the same verdict
 *
 * The input is a program, made valid where that is easily done, how long the
 * packet says that it was, and the packet, behind which no memory can be read.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf_filter.c"

#include "pcap-tcp-filter.h"
#include "fuzz.h"

#define ROOM	65536

/* In front of a program, it clears scratch memory, as libpcap 1.11 does. */
#define CLEARING	BPF_MEMWORDS

static unsigned char *
make_edge(void)
{
	unsigned char *p = mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED && mprotect(p + ROOM, ROOM, PROT_NONE) == 0);
	return (p + ROOM);
}

/* One that makes nothing would leave nothing to find. */
static void
check_compiler(void)
{
	const struct bpf_insn program = BPF_STMT(BPF_RET | BPF_K, 1);
	struct pcap_tcp_filter f;

	pcap_tcp_filter_compile(&f, &program, 1);
	check((f.code != NULL) == PCAP_TCP_HAS_FILTER_CODE);
	pcap_tcp_filter_free(&f);
}

static uint32_t
number(int bytes)
{
	uint32_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | byte();
	return (n);
}

/* left: how many instructions come after it. */
static void
read_instruction(struct bpf_insn *insn, unsigned int left)
{
	insn->code = (u_short)byte();
	insn->jt = (u_char)(byte() % left);
	insn->jf = (u_char)(byte() % left);
	insn->k = number(4);
	switch (BPF_CLASS(insn->code)) {
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_JA)
			insn->k %= left;
		break;
	case BPF_ST:
	case BPF_STX:
		insn->k %= BPF_MEMWORDS;
		break;
	case BPF_LD:
	case BPF_LDX:
		if (BPF_MODE(insn->code) == BPF_MEM)
			insn->k %= BPF_MEMWORDS;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bpf_insn program[CLEARING + 257];
	static unsigned char *edge;
	struct pcap_tcp_filter f;
	unsigned int i, n;
	u_int len;

	if (edge == NULL) {
		check_compiler();
		edge = make_edge();
	}
	next = data;
	end = data + size;
	n = byte() + 1;
	for (i = 0; i < CLEARING; i++)
		program[i] = (struct bpf_insn){ .code = BPF_ST, .k = i };
	for (i = 0; i < n; i++)
		read_instruction(&program[CLEARING + i], n - i);
	program[CLEARING + n] = (struct bpf_insn){ .code = BPF_RET | BPF_A };
	len = number(4);
	size = (size_t)(end - next);
	if (size > ROOM || !bpf_validate(program, (int)(CLEARING + n + 1)))
		return (0);
	if (size > 0)
		memcpy(edge - size, next, size);
	pcap_tcp_filter_compile(&f, program + CLEARING, n + 1);
	/* Some others would make the interpreter abort(), or never end. */
	if (f.code != NULL)
		check(pcap_tcp_filter_run(&f, NULL, edge - size, len,
		    (u_int)size) == bpf_filter(program, edge - size, len,
		    (u_int)size));
	pcap_tcp_filter_free(&f);
	return (0);
}
