/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-filter - machine code comes to the verdicts of libpcap's interpreter
 *
 * PCAP_TCP_VERDICTS in the environment says how many random ones there are, and
 * PCAP_TCP_SEED which; with PCAP_TCP_LONG they are more than usual.
 */

#include "unit-filter.h"

#define MAX_PACKET	200
#define MAX_PROGRAM	800

/* In front of a program, it clears scratch memory, as libpcap 1.11 does. */
#define CLEARING	BPF_MEMWORDS

static uint64_t first_seed = 1, seed;
static unsigned char *edge;

/* splitmix64: the same on every machine. */
static uint32_t
any(uint32_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return ((uint32_t)((z >> 32) * n >> 32));
}

static uint32_t
any_number(void)
{
	static const uint32_t edges[] = {
		0, 1, 2, 3, 4, 31, 32, 33, 63, 64, 124, 125, 126, 127, 128,
		129, 255, 256, 4095, 4096, 0xffff, 0x10000, 0x3ffffffb,
		0x3ffffffc, 0x3fffffff, 0x40000000, 0x7ffffffc, 0x7fffffff,
		0x80000000, 0xfffff000, 0xfffff02c, 0xfffffffb, 0xfffffffc,
		0xfffffffd, 0xfffffffe, 0xffffffff
	};

	switch (any(4)) {
	case 0:
		return (edges[any(COUNT(edges))]);
	case 1:
		return (any(UINT32_MAX));
	default:
		return (any(MAX_PACKET));
	}
}

/* Where there may be something, and seldom, not. */
static uint32_t
any_offset(void)
{
	return (any(20) == 0 ? any_number() : any(any(MAX_PACKET) + 1));
}

static const uint16_t loads[] = {
	BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS,
	BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_W | BPF_IND,
	BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_B | BPF_IND,
	BPF_LDX | BPF_B | BPF_MSH
};
static const uint16_t moves[] = {
	BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM, BPF_LD | BPF_W | BPF_LEN,
	BPF_LDX | BPF_W | BPF_LEN, BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA
};
static const uint16_t memory[] = {
	BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_ST, BPF_STX
};
static const uint16_t operations[] = {
	BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_MOD, BPF_AND, BPF_OR, BPF_XOR,
	BPF_LSH, BPF_RSH, BPF_NEG
};
static const uint16_t jumps[] = {
	BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JA
};

static void
any_alu(struct bpf_insn *insn)
{
	int op = operations[any(COUNT(operations))];

	insn->code = (u_short)(BPF_ALU | op |
	    (op != BPF_NEG && any(2) ? BPF_X : BPF_K));
	insn->k = any_number();
	if (op == BPF_LSH || op == BPF_RSH)
		insn->k %= 32;
	if ((op == BPF_DIV || op == BPF_MOD) && insn->k == 0)
		insn->k = 1;
}

/* Over less than left others, and mostly over few. */
static uint32_t
any_distance(uint32_t left, uint32_t most)
{
	if (any(4) != 0)
		most = 4;
	return (any(left < most ? left : most));
}

static void
any_jump(struct bpf_insn *insn, uint32_t left)
{
	int op = jumps[any(COUNT(jumps))];

	insn->code = (u_short)(BPF_JMP | op);
	if (op == BPF_JA)
		insn->k = any_distance(left, left);
	else {
		insn->code |= any(2) ? BPF_X : BPF_K;
		insn->jt = (u_char)any_distance(left, 256);
		insn->jf = (u_char)any_distance(left, 256);
		insn->k = any_number();
	}
}

static void
any_instruction(struct bpf_insn *insn, uint32_t left)
{
	uint32_t kind = any(16);

	memset(insn, 0, sizeof(*insn));
	if (kind < 4) {
		insn->code = loads[any(COUNT(loads))];
		insn->k = any_offset();
	} else if (kind < 7) {
		insn->code = moves[any(COUNT(moves))];
		insn->k = any_number();
	} else if (kind < 9) {
		insn->code = memory[any(COUNT(memory))];
		insn->k = any(BPF_MEMWORDS);
	} else if (kind < 12)
		any_alu(insn);
	else if (kind < 15)
		any_jump(insn, left);
	else {
		/* Seldom, or a program would end at once. */
		insn->code = any(4) == 0 ? BPF_RET | BPF_K :
		    BPF_MISC | BPF_TAX;
		insn->k = any_number();
	}
}

/* Returns how long it is. */
static uint32_t
any_program(struct bpf_insn *program)
{
	uint32_t i, n = 1 + any(any(20) == 0 ? MAX_PROGRAM : 30);

	for (i = 0; i < n - 1; i++)
		any_instruction(&program[i], n - 1 - i);
	memset(&program[i], 0, sizeof(program[i]));
	program[i].code = any(3) == 0 ? BPF_RET | BPF_K : BPF_RET | BPF_A;
	program[i].k = any_number();
	assert_true(bpf_validate(program, (int)n));
	return (n);
}

/* Of any length, and how long it says that it was. */
static u_int
any_packet(u_int *len)
{
	u_int i, caplen = any(any(8) == 0 ? 8 : MAX_PACKET);

	for (i = 1; i <= caplen; i++)
		edge[-(int)i] = (unsigned char)any(any(2) ? 256 : 4);
	*len = caplen + (any(2) ? 0 : any_number());
	return (caplen);
}

static void
fail_with(const struct bpf_insn *program, uint32_t n, u_int caplen)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		print_message("{ 0x%02x, %u, %u, 0x%x },\n", program[i].code,
		    program[i].jt, program[i].jf, program[i].k);
	fail_msg("PCAP_TCP_SEED=%llu: another verdict on %u bytes",
	    (unsigned long long)first_seed, caplen);
}

static void
verdicts_are_the_interpreters(void **state)
{
	static struct bpf_insn program[CLEARING + MAX_PROGRAM];
	const char *verdicts = getenv("PCAP_TCP_VERDICTS");
	uint32_t i, k, n, packets = 20, zero = 0, other = 0;
	uint32_t programs = verdicts != NULL ?
	    (uint32_t)strtoul(verdicts, NULL, 10) / packets :
	    getenv("PCAP_TCP_LONG") != NULL ? 250000 : 40000;
	struct pcap_tcp_filter f;
	u_int caplen, len, verdict;

	(void)state;
	for (i = 0; i < CLEARING; i++) {
		program[i].code = BPF_ST;
		program[i].k = i;
	}
	for (i = 0; i < programs; i++) {
		n = any_program(program + CLEARING);
		pcap_tcp_filter_compile(&f, program + CLEARING, n);
		assert_int_equal(f.code != NULL, HAS_CODE);
		for (k = 0; k < packets && HAS_CODE; k++) {
			caplen = any_packet(&len);
			verdict = bpf_filter(program, edge - caplen, len,
			    caplen);
			if (pcap_tcp_filter_run(&f, NULL, edge - caplen, len,
			    caplen) != verdict)
				fail_with(program + CLEARING, n, caplen);
			zero += verdict == 0;
			other += verdict != 0 && verdict != UINT32_MAX;
		}
		pcap_tcp_filter_free(&f);
	}
	/* It is not always the same one. */
	if (HAS_CODE) {
		assert_true(zero > programs * packets / 10);
		assert_true(other > programs * packets / 10);
	}
}

/* A program that loads with each offset, from packets of each length. */
static void
loads_end_where_the_packet_does(void **state)
{
	struct bpf_insn program[4] = {
		[0] = { .code = BPF_LD | BPF_W | BPF_LEN },
		[1] = { .code = BPF_LDX | BPF_IMM },
		[3] = { .code = BPF_RET | BPF_A }
	};
	struct pcap_tcp_filter f;
	u_int caplen;
	uint32_t i, k, x;

	(void)state;
	for (caplen = 1; caplen <= MAX_PACKET; caplen++)
		edge[-(int)caplen] = (unsigned char)any(256);
	for (i = 0; i < COUNT(loads); i++) {
		program[2].code = loads[i];
		for (k = 0; k < 4 * MAX_PACKET; k++) {
			program[2].k = k < MAX_PACKET ? k : any_number();
			x = any(4) == 0 ? any_number() : any(8);
			program[1].k = x;
			pcap_tcp_filter_compile(&f, program, COUNT(program));
			for (caplen = 0; caplen < MAX_PACKET; caplen++)
				assert_int_equal(pcap_tcp_filter_run(&f,
				    program, edge - caplen, 77, caplen),
				    bpf_filter(program, edge - caplen, 77,
				    caplen));
			pcap_tcp_filter_free(&f);
		}
	}
}

/*
 * No offset is taken for another one that is equal in 31 or 32 bits, and a
 * caller may leave anything in the upper halves of its registers.
 */
static void
extreme_offsets(void **state)
{
	static const uint32_t extremes[] = {
		0, 1, 3, 4, 60, 63, 64, 0x3ffffffc, 0x40000000, 0x7ffffffb,
		0x7ffffffc, 0x7fffffff, 0x80000000, 0x80000001, 0x80000004,
		0x80000044, 0xbfffffff, 0xc0000000, 0xc0000004, 0xc0000044,
		0xffffffbf, 0xffffffc0, 0xfffffffb, 0xfffffffc, 0xffffffff
	};
	struct bpf_insn program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_LDX | BPF_IMM, 0),
		BPF_STMT(0, 0),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_RET | BPF_A, 0)
	};
	const uint64_t garbage = 0xdeadbeef00000000U;
	struct pcap_tcp_filter f;
	u_int (*code)(const u_char *, uint64_t, uint64_t);
	uint32_t i, k, x;
	u_int caplen;

	(void)state;
	for (i = 0; i < COUNT(loads) * COUNT(extremes) && HAS_CODE; i++) {
		program[2].code = loads[i % COUNT(loads)];
		program[2].k = extremes[i / COUNT(loads)];
		for (x = 0; x < COUNT(extremes); x++) {
			program[1].k = extremes[x];
			pcap_tcp_filter_compile(&f, program, COUNT(program));
			memcpy(&code, &f.code, sizeof(code));
			for (k = 0; k <= 8; k++) {
				caplen = k <= 4 ? k : 56 + k;
				assert_int_equal(code(edge - caplen,
				    garbage | caplen, garbage | 77),
				    bpf_filter(program, edge - caplen, 77,
				    caplen));
			}
			pcap_tcp_filter_free(&f);
		}
	}
}

/*
 * What a load before has shown of the length, it has shown on its own way
 * only.
 */
static void
ways_meet(void **state)
{
	struct bpf_insn program[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 40),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_STMT(BPF_RET | BPF_K, 5)
	};
	struct pcap_tcp_filter f;
	u_int caplen;
	int one;

	(void)state;
	pcap_tcp_filter_compile(&f, program, COUNT(program));
	memset(edge - 64, 0, 64);
	for (caplen = 1; caplen < 64; caplen++) {
		for (one = 0; one < 2; one++) {
			edge[-(int)caplen] = (unsigned char)one;
			assert_int_equal(pcap_tcp_filter_run(&f, program,
			    edge - caplen, caplen, caplen),
			    caplen >= (one ? 44 : 21) ? 5 : 0);
		}
		edge[-(int)caplen] = 0;
	}
	pcap_tcp_filter_free(&f);
}

static int
set_up(void **state)
{
	const char *chosen = getenv("PCAP_TCP_SEED");

	(void)state;
	if (chosen != NULL)
		first_seed = strtoull(chosen, NULL, 10);
	seed = first_seed;
	edge = make_edge();
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_are_the_interpreters),
		cmocka_unit_test(loads_end_where_the_packet_does),
		cmocka_unit_test(extreme_offsets),
		cmocka_unit_test(ways_meet),
	};

	return (cmocka_run_group_tests(tests, set_up, NULL));
}
