/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-filter-x86-64.c - a filter's machine code for x86-64
 *
 *	eax	A, and the verdict	rdi	the packet
 *	ecx	X			rsi	how many bytes of it there are
 *	edx	for a moment		r9d	how many it had on the wire
 *
 * Scratch memory is below the stack pointer, where the ABI leaves 128 bytes to
 * a function that calls none.  Whatever is put is put in front of what has been
 * put before: each function reads from its end on.
 */

#include <config.h>

#include "pcap-tcp-filter-code.h"

/* What stands in an instruction for one of eight operations: add eax, ... */
enum { ADD = 0, OR = 1, AND = 4, SUB = 5, XOR = 6, CMP = 7 };

/* What a jump asks; the lowest bit turns the answer around. */
enum { IF_BELOW = 2, IF_EQUAL = 4, IF_NOT_ZERO = 5, IF_ABOVE = 7 };

#define PUT(c, ...) \
	pcap_tcp_code_put((c), (const unsigned char[]){ __VA_ARGS__ }, \
	    sizeof((const unsigned char[]){ __VA_ARGS__ }))

static void
put_32(struct pcap_tcp_code *c, uint32_t v)
{
	PUT(c, (unsigned char)v, (unsigned char)(v >> 8),
	    (unsigned char)(v >> 16), (unsigned char)(v >> 24));
}

/* To what has been put at that position. */
static void
put_jump(struct pcap_tcp_code *c, uint32_t position)
{
	uint32_t distance = pcap_tcp_code_position(c) - position;

	if (distance == 0)
		return;
	if (distance < 128)
		PUT(c, 0xeb, (unsigned char)distance);
	else {
		put_32(c, distance);
		PUT(c, 0xe9);
	}
}

static void
put_jump_if(struct pcap_tcp_code *c, int condition, uint32_t position)
{
	uint32_t distance = pcap_tcp_code_position(c) - position;

	if (distance < 128)
		PUT(c, (unsigned char)(0x70 | condition),
		    (unsigned char)distance);
	else {
		put_32(c, distance);
		PUT(c, 0x0f, (unsigned char)(0x80 | condition));
	}
}

static void
put_fail_if(struct pcap_tcp_code *c, int condition)
{
	put_jump_if(c, condition, c->position[c->n]);
}

/* op eax, k; or cmp esi, k. */
static void
put_op_k(struct pcap_tcp_code *c, int op, int has_esi, uint32_t k)
{
	if (k < 128)
		PUT(c, 0x83, (unsigned char)(0xc0 | op << 3 |
		    (has_esi ? 6 : 0)), (unsigned char)k);
	else {
		put_32(c, k);
		if (has_esi)
			PUT(c, 0x81, (unsigned char)(0xc6 | op << 3));
		else
			PUT(c, (unsigned char)(op << 3 | 5));
	}
}

/* op eax, ecx */
static void
put_op_x(struct pcap_tcp_code *c, int op)
{
	PUT(c, (unsigned char)(op << 3 | 1), 0xc8);
}

/* mov eax, k; mov ecx, k */
static void
put_set(struct pcap_tcp_code *c, int is_x, uint32_t k)
{
	if (k == 0)
		PUT(c, 0x31, is_x ? 0xc9 : 0xc0);
	else {
		put_32(c, k);
		PUT(c, is_x ? 0xb9 : 0xb8);
	}
}

/*
 * The offset of an address in rdi (and rcx): the byte in front of it says how
 * long it is.
 */
static void
put_address(struct pcap_tcp_code *c, int is_x, int has_index, uint32_t k)
{
	unsigned char mode = k < 128 ? 0x40 : 0x80;

	if (k < 128)
		PUT(c, (unsigned char)k);
	else
		put_32(c, k);
	if (has_index)
		PUT(c, mode | 4, 0x0f);
	else
		PUT(c, (unsigned char)(mode | 7 | (is_x ? 8 : 0)));
}

/* eax = so many bytes, in the order of the network; or ecx = one. */
static void
put_fetch(struct pcap_tcp_code *c, int is_x, int has_index, uint32_t size,
    uint32_t k)
{
	if (size == 4)
		PUT(c, 0x0f, 0xc8);			/* bswap eax */
	else if (size == 2)
		PUT(c, 0x66, 0xc1, 0xc0, 8);		/* rol ax, 8 */
	put_address(c, is_x, has_index, k);
	if (size == 4)
		PUT(c, 0x8b);				/* mov */
	else
		PUT(c, 0x0f, size == 2 ? 0xb7 : 0xb6);	/* movzx */
}

/*
 * X + k cannot overflow in 64 bits, and the upper half of rsi is 0, as that
 * of rcx is.
 */
static void
put_index_check(struct pcap_tcp_code *c, uint32_t end)
{
	put_fail_if(c, IF_ABOVE);
	PUT(c, 0x48, 0x39, 0xf2);			/* cmp rdx, rsi */
	if (end < 128)
		PUT(c, (unsigned char)end);
	else
		put_32(c, end);
	PUT(c, 0x48, 0x8d, end < 128 ? 0x51 : 0x91);	/* rdx = rcx + end */
}

static void
put_load(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];
	uint32_t size = pcap_tcp_code_load_size(insn), k = insn->k;
	int has_index = BPF_MODE(insn->code) == BPF_IND;
	int is_x = BPF_CLASS(insn->code) == BPF_LDX;

	if (k >= PCAP_TCP_NO_OFFSET) {
		put_jump(c, c->position[c->n]);
		return;
	}
	if (is_x)
		PUT(c, 0x83, 0xe1, 0x0f,		/* and ecx, 15 */
		    0xc1, 0xe1, 2);			/* shl ecx, 2 */
	put_fetch(c, is_x, has_index, size, k);
	if (has_index)
		put_index_check(c, k + size);
	else if (c->known[i] < k + size) {
		put_fail_if(c, IF_BELOW);
		put_op_k(c, CMP, 1, k + size);
	}
}

/* mov between a register and a word of scratch memory. */
static void
put_memory(struct pcap_tcp_code *c, int is_store, int is_x, uint32_t k)
{
	if (k >= BPF_MEMWORDS)
		c->is_refused = 1;
	else
		PUT(c, is_store ? 0x89 : 0x8b, is_x ? 0x4c : 0x44, 0x24,
		    (unsigned char)(4 * k - 4 * BPF_MEMWORDS));
}

static void
put_ld(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];

	switch (insn->code) {
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		put_set(c, BPF_CLASS(insn->code) == BPF_LDX, insn->k);
		return;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		put_memory(c, 0, BPF_CLASS(insn->code) == BPF_LDX, insn->k);
		return;
	case BPF_LD | BPF_W | BPF_LEN:
		PUT(c, 0x44, 0x89, 0xc8);		/* mov eax, r9d */
		return;
	case BPF_LDX | BPF_W | BPF_LEN:
		PUT(c, 0x44, 0x89, 0xc9);		/* mov ecx, r9d */
		return;
	default:
		if (pcap_tcp_code_load_size(insn) != 0)
			put_load(c, i);
		else
			c->is_refused = 1;
	}
}

static void
put_division(struct pcap_tcp_code *c, int is_x, int is_modulo, uint32_t k)
{
	if (is_modulo)
		PUT(c, 0x89, 0xd0);			/* mov eax, edx */
	if (is_x) {
		PUT(c, 0x31, 0xd2, 0xf7, 0xf1);		/* div edx:eax, ecx */
		put_fail_if(c, IF_EQUAL);
		PUT(c, 0x85, 0xc9);			/* test ecx, ecx */
	} else if (k != 0) {
		PUT(c, 0x31, 0xd2, 0x41, 0xf7, 0xf0);	/* div edx:eax, r8d */
		put_32(c, k);
		PUT(c, 0x41, 0xb8);			/* mov r8d, k */
	} else
		c->is_refused = 1;
}

/*
 * The processor takes what it shifts by modulo 32.  The interpreter does what
 * its compiler did with a constant that is too large, so it gets those.
 */
static void
put_shift(struct pcap_tcp_code *c, int is_x, int is_right, uint32_t k)
{
	unsigned char direction = is_right ? 0xe8 : 0xe0;

	if (is_x)
		PUT(c, 0xd3, direction,			/* shift eax, cl */
		    0x83, 0xf9, 32,			/* cmp ecx, 32 */
		    0x19, 0xd2,				/* edx = -1 if below */
		    0x21, 0xd0);			/* and eax, edx */
	else if (k < 32)
		PUT(c, 0xc1, direction, (unsigned char)k);
	else
		c->is_refused = 1;
}

static void
put_multiplication(struct pcap_tcp_code *c, int is_x, uint32_t k)
{
	if (is_x)
		PUT(c, 0x0f, 0xaf, 0xc1);		/* imul eax, ecx */
	else {
		put_32(c, k);
		PUT(c, 0x69, 0xc0);			/* imul eax, eax, k */
	}
}

static void
put_alu(struct pcap_tcp_code *c, const struct bpf_insn *insn)
{
	static const struct {
		unsigned char bpf, op;
	} simple[] = {
		{ BPF_ADD, ADD }, { BPF_SUB, SUB }, { BPF_OR, OR },
		{ BPF_AND, AND }, { BPF_XOR, XOR }
	};
	int op = BPF_OP(insn->code), is_x = BPF_SRC(insn->code) == BPF_X;
	size_t i;

	for (i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
		if (simple[i].bpf != op)
			continue;
		if (is_x)
			put_op_x(c, simple[i].op);
		else
			put_op_k(c, simple[i].op, 0, insn->k);
		return;
	}
	if (op == BPF_MUL)
		put_multiplication(c, is_x, insn->k);
	else if (op == BPF_DIV || op == BPF_MOD)
		put_division(c, is_x, op == BPF_MOD, insn->k);
	else if (op == BPF_LSH || op == BPF_RSH)
		put_shift(c, is_x, op == BPF_RSH, insn->k);
	else if (op == BPF_NEG && !is_x)
		PUT(c, 0xf7, 0xd8);			/* neg eax */
	else
		c->is_refused = 1;
}

static void
put_test(struct pcap_tcp_code *c, int is_x, uint32_t k)
{
	if (is_x)
		PUT(c, 0x85, 0xc8);			/* test eax, ecx */
	else if (k < 256)
		PUT(c, 0xa8, (unsigned char)k);		/* test al, k */
	else {
		put_32(c, k);
		PUT(c, 0xa9);				/* test eax, k */
	}
}

static void
put_branch(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];
	uint32_t yes = c->position[i + 1 + insn->jt];
	uint32_t no = c->position[i + 1 + insn->jf];
	int op = BPF_OP(insn->code), is_x = BPF_SRC(insn->code) == BPF_X;
	int condition = op == BPF_JEQ ? IF_EQUAL : op == BPF_JGT ? IF_ABOVE :
	    op == BPF_JGE ? IF_BELOW ^ 1 : IF_NOT_ZERO;

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
	if (op == BPF_JSET)
		put_test(c, is_x, insn->k);
	else if (is_x)
		put_op_x(c, CMP);
	else
		put_op_k(c, CMP, 0, insn->k);
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
put_other(struct pcap_tcp_code *c, const struct bpf_insn *insn)
{
	switch (insn->code) {
	case BPF_ST:
	case BPF_STX:
		put_memory(c, 1, insn->code == BPF_STX, insn->k);
		return;
	case BPF_RET | BPF_K:
		PUT(c, 0xc3);
		put_set(c, 0, insn->k);
		return;
	case BPF_RET | BPF_A:
		PUT(c, 0xc3);
		return;
	case BPF_MISC | BPF_TAX:
		PUT(c, 0x89, 0xc1);			/* mov ecx, eax */
		return;
	case BPF_MISC | BPF_TXA:
		PUT(c, 0x89, 0xc8);			/* mov eax, ecx */
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
	unsigned char at;

	if (c->has_memory) {
		for (at = 0xc0; at != 0; at += 16)
			PUT(c, 0x0f, 0x11, 0x44, 0x24, at);
		PUT(c, 0x0f, 0x57, 0xc0);		/* xmm0 = 0 */
	}
	put_set(c, 1, 0);
	put_set(c, 0, 0);
	PUT(c, 0x89, 0xf6);				/* mov esi, esi */
	PUT(c, 0x41, 0x89, 0xd1);			/* mov r9d, edx */
}

int
pcap_tcp_code_x86_64(struct pcap_tcp_code *c)
{
	size_t i;

	PUT(c, 0xc3);
	put_set(c, 0, 0);
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
