/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-filter-arm64.c - a filter's machine code for arm64
 *
 *	x0	the packet, and the verdict	w3	A
 *	w1	how many bytes of it there are	w4	X
 *	w2	how many it had on the wire	w5, w6	for a moment
 *
 * Scratch memory is on the stack, if it is read at all.  Whatever is put is put
 * in front of what has been put before: each function reads from its end on.
 */

#include <config.h>

#include "pcap-tcp-filter-code.h"

enum { PACKET = 0, VERDICT = 0, CAPLEN = 1, LEN = 2, A = 3, X = 4, TEMP = 5,
    QUOTIENT = 6, ZERO = 31 };

/* What a jump asks; the lowest bit turns the answer around. */
enum { IF_EQUAL = 0, IF_NOT_ZERO = 1, IF_NOT_BELOW = 2, IF_BELOW = 3,
    IF_ABOVE = 8 };

/* Instructions, to which the registers are added. */
#define ADD		0x0b000000U
#define ADD_64		0x8b000000U
#define AND		0x0a000000U
#define AND_FLAGS	0x6a000000U
#define BRANCH		0x14000000U
#define BRANCH_IF	0x54000000U
#define BRANCH_IF_ZERO	0x34000000U
#define DIVIDE		0x1ac00800U
#define MOVE_16		0x52800000U	/* clears the others */
#define MOVE_UPPER_16	0x72a00000U	/* keeps the others */
#define MULTIPLY	0x1b007c00U
#define MULTIPLY_SUB	0x1b008000U
#define OR		0x2a000000U
#define RETURN		0xd65f03c0U
#define REVERSE		0x5ac00800U
#define REVERSE_16	0x5ac00400U
#define SELECT_IF_BELOW	0x1a803000U
#define SHIFT_LEFT	0x1ac02000U
#define SHIFT_RIGHT	0x1ac02400U
#define STACK_DOWN	0xd10103ffU	/* by 64 bytes */
#define STACK_LOAD	0xb94003e0U
#define STACK_STORE	0xb90003e0U
#define STACK_UP	0x910103ffU
#define STACK_ZEROS	0xa9007fffU	/* 16 bytes */
#define SUB		0x4b000000U
#define SUB_FLAGS	0x6b000000U
#define SUB_FLAGS_64	0xeb000000U
#define SUB_FLAGS_K	0x71000000U
#define TIMES_4_OF_15	0x531e0c00U	/* (n & 15) << 2 */
#define XOR		0x4a000000U

static void
put(struct pcap_tcp_code *c, uint32_t insn)
{
	const unsigned char bytes[] = {
		(unsigned char)insn, (unsigned char)(insn >> 8),
		(unsigned char)(insn >> 16), (unsigned char)(insn >> 24)
	};

	pcap_tcp_code_put(c, bytes, sizeof(bytes));
}

/* to = n op m */
static void
put_op(struct pcap_tcp_code *c, uint32_t op, uint32_t to, uint32_t n,
    uint32_t m)
{
	put(c, op | m << 16 | n << 5 | to);
}

static void
put_move(struct pcap_tcp_code *c, uint32_t to, uint32_t from)
{
	put_op(c, OR, to, ZERO, from);
}

static void
put_set(struct pcap_tcp_code *c, uint32_t to, uint32_t k)
{
	if (k > 0xffff)
		put(c, MOVE_UPPER_16 | (k >> 16) << 5 | to);
	put(c, MOVE_16 | (k & 0xffff) << 5 | to);
}

/* In instructions, to what has been put at that position. */
static uint32_t
distance(const struct pcap_tcp_code *c, uint32_t position)
{
	return ((pcap_tcp_code_position(c) - position) / 4 + 1);
}

static void
put_jump(struct pcap_tcp_code *c, uint32_t position)
{
	if (pcap_tcp_code_position(c) != position)
		put(c, BRANCH | distance(c, position));
}

static void
put_jump_if(struct pcap_tcp_code *c, uint32_t condition, uint32_t position)
{
	put(c, BRANCH_IF | distance(c, position) << 5 | condition);
}

static void
put_fail_if(struct pcap_tcp_code *c, uint32_t condition)
{
	put_jump_if(c, condition, c->position[c->n]);
}

/* Compares a register with a number. */
static void
put_compare(struct pcap_tcp_code *c, uint32_t n, uint32_t k)
{
	if (k < 4096)
		put(c, SUB_FLAGS_K | k << 10 | n << 5 | ZERO);
	else {
		put_op(c, SUB_FLAGS, ZERO, n, TEMP);
		put_set(c, TEMP, k);
	}
}

/* to = so many bytes from TEMP on, which are in front of it. */
static void
put_fetch(struct pcap_tcp_code *c, uint32_t to, uint32_t size)
{
	uint32_t load = size == 4 ? 0xb8400000U : size == 2 ? 0x78400000U :
	    0x38400000U;

	if (size > 1)
		put_op(c, size == 4 ? REVERSE : REVERSE_16, to, to, 0);
	put(c, load | (512 - size) << 12 | TEMP << 5 | to);
	put_op(c, ADD_64, TEMP, TEMP, PACKET);
}

/*
 * X + k cannot overflow in 64 bits, and the upper half of x1 is 0, as that of
 * x4 is.
 */
static void
put_load(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];
	uint32_t size = pcap_tcp_code_load_size(insn), k = insn->k;
	uint32_t to = BPF_CLASS(insn->code) == BPF_LDX ? X : A;

	if (k >= PCAP_TCP_NO_OFFSET) {
		put_jump(c, c->position[c->n]);
		return;
	}
	if (to == X)
		put_op(c, TIMES_4_OF_15, X, X, 0);
	put_fetch(c, to, size);
	if (BPF_MODE(insn->code) == BPF_IND) {
		put_fail_if(c, IF_ABOVE);
		put_op(c, SUB_FLAGS_64, ZERO, TEMP, CAPLEN);
		put_op(c, ADD_64, TEMP, TEMP, X);
		put_set(c, TEMP, k + size);
		return;
	}
	put_set(c, TEMP, k + size);
	if (c->known[i] < k + size) {
		put_fail_if(c, IF_BELOW);
		put_compare(c, CAPLEN, k + size);
	}
}

static void
put_memory(struct pcap_tcp_code *c, int is_store, uint32_t with, uint32_t k)
{
	if (k >= BPF_MEMWORDS)
		c->is_refused = 1;
	else if (c->has_memory)
		put(c, (is_store ? STACK_STORE : STACK_LOAD) | k << 10 | with);
}

static void
put_ld(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];
	uint32_t to = BPF_CLASS(insn->code) == BPF_LDX ? X : A;

	switch (insn->code) {
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		put_set(c, to, insn->k);
		return;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		put_memory(c, 0, to, insn->k);
		return;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
		put_move(c, to, LEN);
		return;
	default:
		if (pcap_tcp_code_load_size(insn) != 0)
			put_load(c, i);
		else
			c->is_refused = 1;
	}
}

static void
put_division(struct pcap_tcp_code *c, int is_modulo, uint32_t by)
{
	if (is_modulo) {
		put(c, MULTIPLY_SUB | by << 16 | A << 10 | QUOTIENT << 5 | A);
		put_op(c, DIVIDE, QUOTIENT, A, by);
	} else
		put_op(c, DIVIDE, A, A, by);
	if (by == X)
		put(c, BRANCH_IF_ZERO |
		    distance(c, c->position[c->n]) << 5 | X);
}

/* The processor takes what it shifts by modulo 32. */
static void
put_shift(struct pcap_tcp_code *c, int is_right, uint32_t by)
{
	if (by == X) {
		put_op(c, SELECT_IF_BELOW, A, A, ZERO);
		put_compare(c, X, 32);
	}
	put_op(c, is_right ? SHIFT_RIGHT : SHIFT_LEFT, A, A, by);
}

/*
 * The interpreter does what its compiler did with constants by which one cannot
 * shift or divide, so it gets those.
 */
static int
is_undefined(int op, uint32_t k)
{
	if (op == BPF_LSH || op == BPF_RSH)
		return (k >= 32);
	return ((op == BPF_DIV || op == BPF_MOD) && k == 0);
}

static void
put_alu(struct pcap_tcp_code *c, const struct bpf_insn *insn)
{
	static const struct {
		int bpf;
		uint32_t op;
	} simple[] = {
		{ BPF_ADD, ADD }, { BPF_SUB, SUB }, { BPF_OR, OR },
		{ BPF_AND, AND }, { BPF_XOR, XOR }, { BPF_MUL, MULTIPLY }
	};
	int op = BPF_OP(insn->code), is_x = BPF_SRC(insn->code) == BPF_X;
	uint32_t by = is_x ? X : TEMP;
	size_t i;

	if (op == BPF_NEG && !is_x) {
		put_op(c, SUB, A, ZERO, A);
		return;
	}
	for (i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
		if (simple[i].bpf == op)
			put_op(c, simple[i].op, A, A, by);
	}
	if (op == BPF_DIV || op == BPF_MOD)
		put_division(c, op == BPF_MOD, by);
	else if (op == BPF_LSH || op == BPF_RSH)
		put_shift(c, op == BPF_RSH, by);
	else if (op > BPF_XOR || op == BPF_NEG)
		c->is_refused = 1;
	if (!is_x) {
		put_set(c, TEMP, insn->k);
		c->is_refused |= is_undefined(op, insn->k);
	}
}

static void
put_branch(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];
	uint32_t yes = c->position[i + 1 + insn->jt];
	uint32_t no = c->position[i + 1 + insn->jf];
	int op = BPF_OP(insn->code), is_x = BPF_SRC(insn->code) == BPF_X;
	uint32_t condition = op == BPF_JEQ ? IF_EQUAL : op == BPF_JGT ?
	    IF_ABOVE : op == BPF_JGE ? IF_NOT_BELOW : IF_NOT_ZERO;

	if (yes == no) {
		put_jump(c, yes);
		return;
	}
	if (insn->jt == 0)
		put_jump_if(c, condition ^ 1, no);
	else {
		put_jump(c, no);
		put_jump_if(c, condition, yes);
	}
	if (op != BPF_JSET && !is_x) {
		put_compare(c, A, insn->k);
		return;
	}
	put_op(c, op == BPF_JSET ? AND_FLAGS : SUB_FLAGS, ZERO, A,
	    is_x ? X : TEMP);
	if (!is_x)
		put_set(c, TEMP, insn->k);
}

static void
put_jmp(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];

	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		put_branch(c, i);
		return;
	default:
		if (insn->code == (BPF_JMP | BPF_JA))
			put_jump(c, c->position[i + 1 + insn->k]);
		else
			c->is_refused = 1;
	}
}

static void
put_return(struct pcap_tcp_code *c)
{
	put(c, RETURN);
	if (c->has_memory)
		put(c, STACK_UP);
}

static void
put_other(struct pcap_tcp_code *c, const struct bpf_insn *insn)
{
	switch (insn->code) {
	case BPF_ST:
	case BPF_STX:
		put_memory(c, 1, insn->code == BPF_STX ? X : A, insn->k);
		return;
	case BPF_RET | BPF_K:
		put_return(c);
		put_set(c, VERDICT, insn->k);
		return;
	case BPF_RET | BPF_A:
		put_return(c);
		put_move(c, VERDICT, A);
		return;
	case BPF_MISC | BPF_TAX:
		put_move(c, X, A);
		return;
	case BPF_MISC | BPF_TXA:
		put_move(c, A, X);
		return;
	default:
		c->is_refused = 1;
	}
}

static void
put_instruction(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		put_ld(c, i);
		return;
	case BPF_ALU:
		put_alu(c, insn);
		return;
	case BPF_JMP:
		put_jmp(c, i);
		return;
	default:
		put_other(c, insn);
	}
}

static void
put_start(struct pcap_tcp_code *c)
{
	uint32_t words;

	if (c->has_memory) {
		for (words = 0; words < BPF_MEMWORDS; words += 4)
			put(c, STACK_ZEROS | words / 2 << 15);
		put(c, STACK_DOWN);
	}
	put_set(c, X, 0);
	put_set(c, A, 0);
	put_move(c, CAPLEN, CAPLEN);
}

int
pcap_tcp_code_arm64(struct pcap_tcp_code *c)
{
	size_t i;

	put_return(c);
	put_set(c, VERDICT, 0);
	c->position[c->n] = pcap_tcp_code_position(c);
	for (i = c->n; i-- > 0 && !c->is_refused; ) {
		if (c->known[i] == PCAP_TCP_UNREACHED)
			continue;
		/* Others, the interpreter would not know. */
		if (c->program[i].code > 0xff)
			c->is_refused = 1;
		put_instruction(c, i);
		c->position[i] = pcap_tcp_code_position(c);
	}
	put_start(c);
	return (c->is_refused ? -1 : 0);
}
