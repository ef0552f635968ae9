/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-fanout - a libFuzzer target: whose packet it is, whatever is in it
 *
 * The input is a number of workers, a link type and a packet.  No byte behind
 * the packet is read, exactly one worker has it, and the same one if its two
 * ends are swapped: the outer IPv4 addresses of a fragment, which goes by them,
 * and of TCP without options the ports, too.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-fanout.h"
#include "pcap-tcp-link.h"
#include "fuzz.h"

/* How many of the workers have it; *worker: the last of them. */
static unsigned int
count(int dlt, unsigned int n, unsigned char *data, size_t size,
    unsigned int *worker)
{
	struct pcap_tcp_fanout f = { .dlt = dlt, .nworkers = n };
	struct pcap_tcp_record r = { .data = data };
	unsigned int times = 0;

	r.h.caplen = r.h.len = (bpf_u_int32)size;
	for (f.worker = 1; f.worker <= n; f.worker++) {
		if (pcap_tcp_fanout_stage(&f, &r, 1) == 1) {
			*worker = f.worker;
			times++;
		}
	}
	check(f.others == n - times);
	return (times);
}

static void
swap(unsigned char *p, size_t n)
{
	unsigned char first[4];

	memcpy(first, p, n);
	memcpy(p, p + n, n);
	memcpy(p + n, first, n);
}

/* With the ends of IPv4 swapped, where it is seen what they are. */
static void
swap_ends(int dlt, unsigned int n, unsigned char *data, size_t size,
    unsigned int worker)
{
	unsigned int ethertype, swapped = 0;
	unsigned char *ip = data + pcap_tcp_link_network(dlt, data, size,
	    &ethertype);
	int is_fragment;

	size -= (size_t)(ip - data);
	if (ethertype != 0x0800 || size < 20)
		return;
	is_fragment = (ip[6] & 0x3f) != 0 || ip[7] != 0;
	if (!is_fragment && (ip[0] != 0x45 || ip[9] != 6))
		return;
	swap(ip + 12, 4);
	if (!is_fragment && size >= 24)
		swap(ip + 20, 2);
	size += (size_t)(ip - data);
	check(count(dlt, n, data, size, &swapped) == 1 && swapped == worker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n, worker = 0;
	unsigned char *copy;
	int dlt;

	next = data;
	end = data + size;
	n = byte() + 1;
	dlt = (int)byte();
	dlt |= (int)(byte() << 8);
	if (!pcap_tcp_link_is_known(dlt))
		dlt = DLT_EN10MB;
	size = (size_t)(end - next);
	copy = malloc(size + (size == 0));
	check(copy != NULL);
	if (size > 0)
		memcpy(copy, next, size);
	check(count(dlt, n, copy, size, &worker) == 1);
	swap_ends(dlt, n, copy, size, worker);
	free(copy);
	return (0);
}
