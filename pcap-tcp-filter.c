/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-filter.c - looks a filter's program through, has its machine code
 * written, and makes that executable
 */

#define _GNU_SOURCE	/* memfd_create(), secure_getenv() */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pcap-tcp-file.h"
#include "pcap-tcp-filter.h"
#include "pcap-tcp-filter-code.h"

#define MAX_CODE	65536
#define MAX_PROGRAM	(MAX_CODE / 4)

/* Linux before 6.3 does not know it, some of later ones want to be told. */
#ifndef MFD_EXEC
#define MFD_EXEC	0x0010U
#endif

#if !PCAP_TCP_HAS_FILTER_CODE
#define WRITE_CODE(c)	(-1)
#elif defined(__x86_64__)
#define WRITE_CODE(c)	pcap_tcp_code_x86_64(c)
#else
#define WRITE_CODE(c)	pcap_tcp_code_arm64(c)
#endif

/* With so many bytes at the least, packets get from one to another. */
static void
reach(struct pcap_tcp_code *c, size_t from, uint32_t offset, uint32_t bytes)
{
	if (offset >= c->n - from - 1)
		c->is_refused = 1;
	else if (bytes < c->known[from + 1 + offset])
		c->known[from + 1 + offset] = bytes;
}

static void
look_at(struct pcap_tcp_code *c, size_t i)
{
	const struct bpf_insn *insn = &c->program[i];
	uint32_t bytes = c->known[i], size = pcap_tcp_code_load_size(insn);

	switch (BPF_CLASS(insn->code)) {
	case BPF_RET:
		return;
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_JA)
			reach(c, i, insn->k, bytes);
		else {
			reach(c, i, insn->jt, bytes);
			reach(c, i, insn->jf, bytes);
		}
		return;
	default:
		if (insn->code == (BPF_LD | BPF_MEM) ||
		    insn->code == (BPF_LDX | BPF_MEM))
			c->has_memory = 1;
		if (size != 0 && insn->k < PCAP_TCP_NO_OFFSET &&
		    insn->k + size > bytes)
			bytes = insn->k + size;
		reach(c, i, 0, bytes);
	}
}

/*
 * What has been loaded in front of an instruction, on each way to it, says
 * how long a packet is.  Refuses jumps backward, which libpcap's ip protochain
 * has, and what is not a program.
 */
static int
look_through(struct pcap_tcp_code *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		c->known[i] = i == 0 ? 0 : PCAP_TCP_UNREACHED;
	for (i = 0; i < c->n && !c->is_refused; i++) {
		if (c->known[i] != PCAP_TCP_UNREACHED)
			look_at(c, i);
	}
	return (c->is_refused ? -1 : 0);
}

/*
 * No memory is both writable and executable, not even one after the other:
 * the code is a file's.  Who may not have that has no code.
 */
static void
make_executable(struct pcap_tcp_filter *f, const unsigned char *code,
    size_t size)
{
	void *memory = MAP_FAILED;
	int fd;

	if (!pcap_tcp_file_may_have(size))
		return;
	fd = memfd_create("pcap-tcp-filter", MFD_CLOEXEC | MFD_EXEC);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create("pcap-tcp-filter", MFD_CLOEXEC);
	if (fd == -1)
		return;
	if (write(fd, code, size) == (ssize_t)size)
		memory = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE,
		    fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return;
	__builtin___clear_cache((char *)memory, (char *)memory + size);
	f->code = (pcap_tcp_filter_code *)memory;
	f->size = size;
}

static int
is_turned_off(void)
{
	const char *value = secure_getenv("PCAP_TCP_JIT");

	return (value != NULL && strcmp(value, "no") == 0);
}

void
pcap_tcp_filter_compile(struct pcap_tcp_filter *f,
    const struct bpf_insn *program, size_t n)
{
	struct pcap_tcp_code c = { .program = program, .n = n };

	f->code = NULL;
	if (n == 0 || n > MAX_PROGRAM || is_turned_off())
		return;
	c.known = malloc((2 * n + 1) * sizeof(uint32_t) + MAX_CODE);
	if (c.known == NULL)
		return;
	c.position = c.known + n;
	c.room = (unsigned char *)(c.position + n + 1);
	c.start = c.end = c.room + MAX_CODE;
	if (look_through(&c) == 0 && WRITE_CODE(&c) == 0)
		make_executable(f, c.start, (size_t)(c.end - c.start));
	free(c.known);
}

void
pcap_tcp_filter_free(struct pcap_tcp_filter *f)
{
	if (f->code != NULL)
		munmap((void *)f->code, f->size);
	f->code = NULL;
}
