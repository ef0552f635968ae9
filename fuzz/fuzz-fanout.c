/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-fanout - a libFuzzer target: whose packet it is, whatever is in it
 *
 * The input is a number of workers, a link type and a packet.  No byte behind
 * the packet is read, exactly one worker has it, and the same one if its outer
 * IPv4 addresses are swapped, of a fragment, which goes by them.
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

/* With the addresses of an IPv4 fragment swapped. */
static void
swap_fragment(int dlt, unsigned int n, unsigned char *data, size_t size,
    unsigned int worker)
{
	unsigned int ethertype, swapped = 0;
	unsigned char *ip = data + pcap_tcp_link_network(dlt, data, size,
	    &ethertype), address[4];

	if (ethertype != 0x0800 || size - (size_t)(ip - data) < 20 ||
	    (ip[6] & 0x20) == 0)
		return;
	memcpy(address, ip + 12, 4);
	memcpy(ip + 12, ip + 16, 4);
	memcpy(ip + 16, address, 4);
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
	swap_fragment(dlt, n, copy, size, worker);
	free(copy);
	return (0);
}
