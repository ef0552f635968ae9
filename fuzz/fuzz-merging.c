/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-merging - a libFuzzer target: the order of several inputs, whatever
 * they send and when
 *
 * The input is a schedule: inputs that read records with any time stamps, run
 * dry and leave, time that passes, and records that are taken.  None is lost,
 * each input's stay in order, and none that is overdue is held back.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-patience.h"
#include "fuzz.h"

#define HOLD	100
#define INPUTS	8
#define MOST	300	/* records in a read */
#define BATCH	128

struct input {
	struct pcap_tcp_record record[MOST];
	u_char number[MOST];	/* what the records' data point to */
	struct pcap_tcp_batch batch;
	size_t nread, at, taken;
	int64_t since;
};

static struct input input[INPUTS];
static struct pcap_tcp_patience p;

/* A time stamp: near to others, or any. */
static struct timeval
stamp(unsigned int how)
{
	struct timeval tv = { 0, 0 };
	uint64_t v = 0;
	int i;

	if (how % 4 != 0) {
		tv.tv_sec = (time_t)(how % 4 - 1) * 3600;
		tv.tv_usec = (suseconds_t)(p.now + byte()) * 1000;
		return (tv);
	}
	for (i = 0; i < 8; i++)
		v = v << 8 | byte();
	tv.tv_sec = (time_t)v;
	tv.tv_usec = (suseconds_t)(v >> 7);
	return (tv);
}

static int
more(struct input *in)
{
	size_t n = in->nread - in->at < BATCH ? in->nread - in->at : BATCH;

	in->batch.next = in->record + in->at;
	in->batch.end = in->batch.next + n;
	in->at += n;
	return (n > 0);
}

static void
read_input(unsigned int i)
{
	struct input *in = &input[i];
	unsigned int how = byte();
	size_t k;

	if (in->taken != in->nread)
		return;
	in->nread = 1 + (how & 64 ? byte() + 44 : how >> 3 & 7);
	in->at = in->taken = 0;
	for (k = 0; k < in->nread; k++) {
		in->record[k].h.ts = k > 0 && how & 32 ?
		    in->record[k - 1].h.ts : stamp(how);
		in->record[k].data = &in->number[k];
	}
	more(in);
	pcap_tcp_patience_read(&p, i, &in->batch, (int)(how >> 7));
	in->since = p.now;
}

static void
take(void)
{
	struct pcap_tcp_batch run;
	struct input *in;
	int i;

	if (!pcap_tcp_patience_next(&p, &run)) {
		check(pcap_tcp_patience_deadline(&p) > p.now);
		for (i = 0; i < INPUTS; i++)
			check(input[i].taken == input[i].nread ||
			    p.now < input[i].since + HOLD);
		return;
	}
	check(run.next < run.end);
	for (; run.next < run.end; run.next++) {
		for (in = input; run.next->data < in->number ||
		    run.next->data >= in->number + MOST; in++)
			check(in < input + INPUTS - 1);
		check(run.next->data == in->number + in->taken++);
	}
	i = p.merge.exhausted;
	p.merge.exhausted = -1;
	if (i == -1)
		return;
	in = &input[i];
	check(in->batch.next == in->batch.end && in->taken == in->at);
	if (more(in))
		pcap_tcp_merge_add(&p.merge, (unsigned int)i, &in->batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int what, i;

	next = data;
	end = data + size;
	memset(input, 0, sizeof(input));
	pcap_tcp_patience_init(&p, HOLD, byte() & 1 ? 1000000000 : 1000000);
	p.now = (int64_t)1 << 40;
	while (next != end) {
		what = byte();
		i = what % INPUTS;
		switch (what / INPUTS % 8) {

		case 0:
			p.now += byte();
			break;

		case 1:
			if (input[i].taken == input[i].nread)
				pcap_tcp_patience_out(&p, i);
			break;

		case 2:
			if (input[i].taken == input[i].nread)
				pcap_tcp_patience_dry(&p, i);
			break;

		case 3:
		case 4:
		case 5:
			read_input(i);
			break;

		default:
			take();
			break;
		}
	}
	/* What is at hand comes in the end. */
	p.now += HOLD;
	while (p.merge.n > 0)
		take();
	for (i = 0; i < INPUTS; i++)
		check(input[i].taken == input[i].nread);
	return (0);
}
