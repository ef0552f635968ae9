/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-filter-code - which programs become machine code, and where that may be
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include "unit-filter.h"

#define MAX_PROGRAM	20000
#define MAX_CODE	65536

#ifndef PR_SET_MDWE
#define PR_SET_MDWE	65
#endif

static struct bpf_insn program[MAX_PROGRAM];
static const unsigned char packet[64] = { 1, 2, 3 };

/* Does it have code?  In either case its verdict is the interpreter's. */
static int
has_code(const struct bpf_insn *insns, size_t n)
{
	struct pcap_tcp_filter f;
	int has;

	assert_true(bpf_validate(insns, (int)n));
	pcap_tcp_filter_compile(&f, insns, n);
	has = f.code != NULL;
	if (has)
		assert_in_range(f.size, 1, MAX_CODE);
	assert_int_equal(pcap_tcp_filter_run(&f, insns, packet, 100, 64),
	    bpf_filter(insns, packet, 100, 64));
	pcap_tcp_filter_free(&f);
	assert_null(f.code);
	pcap_tcp_filter_free(&f);
	return (has);
}

/* The same instruction again and again, and a verdict. */
static size_t
repeat(u_short code, uint32_t k, size_t n)
{
	size_t i;

	memset(program, 0, sizeof(program));
	for (i = 0; i < n - 1; i++) {
		program[i].code = code;
		program[i].k = k;
	}
	program[n - 1].code = BPF_RET | BPF_A;
	return (n);
}

static void
long_programs_are_interpreted(void **state)
{
	size_t n;
	int count = 0;

	(void)state;
	assert_int_equal(has_code(program, repeat(BPF_MISC | BPF_TAX, 0, 1)),
	    HAS_CODE);
	assert_int_equal(has_code(program,
	    repeat(BPF_MISC | BPF_TAX, 0, 4096)), HAS_CODE);
	for (n = 4000; n < 16000; n += 25)
		count += has_code(program,
		    repeat(BPF_ALU | BPF_MUL | BPF_K, 0x12345, n));
	assert_true(count < 400 && (count > 0) == HAS_CODE);
	assert_false(has_code(program,
	    repeat(BPF_MISC | BPF_TAX, 0, MAX_PROGRAM)));
}

/* As ip protochain has them. */
static void
jumps_backward_are_interpreted(void **state)
{
	static const struct bpf_insn loop[] = {
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 9, 1, 0),
		BPF_STMT(BPF_JMP | BPF_JA, (u_int)-3),
		BPF_STMT(BPF_RET | BPF_A, 0)
	};

	(void)state;
	assert_false(has_code(loop, COUNT(loop)));
}

/* C does not say what they are: the interpreter does what it always did. */
static void
constant_shifts_that_are_too_large_are_interpreted(void **state)
{
	struct bpf_insn shift[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 5),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 31),
		BPF_STMT(BPF_RET | BPF_A, 0)
	};
	struct pcap_tcp_filter f;

	(void)state;
	assert_int_equal(has_code(shift, COUNT(shift)), HAS_CODE);
	shift[1].k = 32;
	pcap_tcp_filter_compile(&f, shift, COUNT(shift));
	assert_null(f.code);
	shift[1].code = BPF_ALU | BPF_RSH | BPF_K;
	pcap_tcp_filter_compile(&f, shift, COUNT(shift));
	assert_null(f.code);
}

/*
 * Those that the validator lets pass and the interpreter would abort() at, if
 * it came to them; and some that are no program at all.
 */
static void
what_is_unknown_is_left_alone(void **state)
{
	static const u_short unknown[] = {
		BPF_LD | BPF_MSH | BPF_B, BPF_LDX | BPF_ABS, BPF_LDX | BPF_IND,
		BPF_LD | BPF_LEN | BPF_H, BPF_ST | 0x60, BPF_STX | BPF_B,
		BPF_ALU | BPF_NEG | BPF_X, BPF_JMP | BPF_JA | BPF_X,
		BPF_MISC | 0x40, BPF_LD | BPF_MEM | BPF_B, BPF_RET | BPF_X,
		0x100 | BPF_RET | BPF_K, 0x100 | BPF_ALU | BPF_ADD,
		0x8000 | BPF_JMP | BPF_JEQ
	};
	static const struct bpf_insn none[][2] = {
		{ BPF_STMT(BPF_LD, 1), BPF_STMT(BPF_LD, 1) },
		{ BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET, 1) },
		{ BPF_JUMP(BPF_JMP | BPF_JEQ, 1, 0, 1), BPF_STMT(BPF_RET, 1) },
		{ BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET, 1) },
		{ BPF_STMT(BPF_ALU | BPF_DIV, 0), BPF_STMT(BPF_RET, 1) }
	};
	struct bpf_insn insns[2] = {
		[1] = { .code = BPF_RET | BPF_K, .k = 1 }
	};
	struct pcap_tcp_filter f;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(unknown); i++) {
		insns[0].code = unknown[i];
		pcap_tcp_filter_compile(&f, insns, 2);
		assert_null(f.code);
	}
	for (i = 0; i < COUNT(none); i++) {
		pcap_tcp_filter_compile(&f, none[i], 2);
		assert_null(f.code);
	}
	pcap_tcp_filter_compile(&f, insns, 0);
	assert_null(f.code);
}

/* Whatever there is of it, no instruction is reached. */
static void
what_is_not_reached_may_be_anything(void **state)
{
	static const struct bpf_insn insns[] = {
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_MISC | 0x40, 0),
		BPF_STMT(BPF_RET | BPF_K, 7)
	};

	(void)state;
	assert_int_equal(has_code(insns, COUNT(insns)), HAS_CODE);
}

static int
usual_program_has_code(void)
{
	static const struct bpf_insn insns[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 262144),
		BPF_STMT(BPF_RET | BPF_K, 0)
	};

	return (has_code(insns, COUNT(insns)));
}

static void
environment_turns_it_off(void **state)
{
	(void)state;
	setenv("PCAP_TCP_JIT", "no", 1);
	assert_false(usual_program_has_code());
	setenv("PCAP_TCP_JIT", "yes", 1);
	assert_int_equal(usual_program_has_code(), HAS_CODE);
	unsetenv("PCAP_TCP_JIT");
	assert_int_equal(usual_program_has_code(), HAS_CODE);
}

/* What may be done with the memory that an address is in. */
static void
permissions(uintptr_t address, char *into)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t first, last;
	char line[4096];

	assert_non_null(maps);
	*into = '\0';
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &first,
		    &last, into) == 3 && address >= first && address < last)
			break;
		*into = '\0';
	}
	fclose(maps);
}

static void
code_cannot_be_written(void **state)
{
	struct pcap_tcp_filter f;
	char may[5];

	(void)state;
	if (!HAS_CODE)
		skip();
	pcap_tcp_filter_compile(&f, program, repeat(BPF_RET | BPF_K, 1, 2));
	assert_non_null(f.code);
	permissions((uintptr_t)f.code, may);
	assert_string_equal(may, "r-xp");
	pcap_tcp_filter_free(&f);
}

/*
 * Sandboxes.  Each is a child's; it returns -1 if the system does not have it.
 */

#define STATEMENT(c, v)	{ .code = (c), .k = (v) }
#define OFFSET(member)	((uint32_t)offsetof(struct seccomp_data, member))

static int
install(const struct bpf_insn *insns, size_t n)
{
	struct sock_fprog rules = {
		.len = (unsigned short)n,
		.filter = (struct sock_filter *)(uintptr_t)insns
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return (-1);
	return (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &rules));
}

static int
without_memfd(void)
{
	static const struct bpf_insn insns[] = {
		STATEMENT(BPF_LD | BPF_W | BPF_ABS, OFFSET(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
		STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	};

	return (install(insns, COUNT(insns)));
}

static int
without_executable_memory(void)
{
#ifdef SYS_mmap
	static const struct bpf_insn insns[] = {
		STATEMENT(BPF_LD | BPF_W | BPF_ABS, OFFSET(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		STATEMENT(BPF_LD | BPF_W | BPF_ABS, OFFSET(args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	};

	return (install(insns, COUNT(insns)));
#else
	return (-1);
#endif
}

static int
limit(int resource, rlim_t most)
{
	struct rlimit r = { most, most };

	return (setrlimit(resource, &r));
}

static int
without_files(void)
{
	return (limit(RLIMIT_FSIZE, 0));
}

static int
without_descriptors(void)
{
	return (limit(RLIMIT_NOFILE, 0));
}

static int
write_or_execute(void)
{
	return (prctl(PR_SET_MDWE, 1, 0, 0, 0));
}

enum { HAS_NO_CODE, HAS_SOME_CODE, HAS_NO_SANDBOX };

static int
code_inside(int (*sandbox)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child != -1);
	if (child == 0)
		_exit(sandbox() == -1 ? HAS_NO_SANDBOX :
		    usual_program_has_code() ? HAS_SOME_CODE : HAS_NO_CODE);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
falls_back_in_sandboxes(void **state)
{
	static int (*const sandboxes[])(void) = {
		without_memfd, without_executable_memory, without_files,
		without_descriptors
	};
	size_t i;
	int found, n = 0;

	(void)state;
	for (i = 0; i < COUNT(sandboxes); i++) {
		found = code_inside(sandboxes[i]);
		assert_true(found == HAS_NO_CODE || found == HAS_NO_SANDBOX);
		n += found == HAS_NO_CODE;
	}
	/* There are limits everywhere. */
	assert_true(n >= 2);
}

/* systemd's MemoryDenyWriteExecute= is this, where the kernel has it. */
static void
needs_no_memory_that_was_writable(void **state)
{
	int found = code_inside(write_or_execute);

	(void)state;
	if (found == HAS_NO_SANDBOX)
		skip();
	assert_int_equal(found, HAS_CODE ? HAS_SOME_CODE : HAS_NO_CODE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_programs_are_interpreted),
		cmocka_unit_test(jumps_backward_are_interpreted),
		cmocka_unit_test(
		    constant_shifts_that_are_too_large_are_interpreted),
		cmocka_unit_test(what_is_unknown_is_left_alone),
		cmocka_unit_test(what_is_not_reached_may_be_anything),
		cmocka_unit_test(environment_turns_it_off),
		cmocka_unit_test(code_cannot_be_written),
		cmocka_unit_test(falls_back_in_sandboxes),
		cmocka_unit_test(needs_no_memory_that_was_writable),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
