/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-merge.c - which of several inputs has the oldest record
 */

#include "pcap-tcp-merge.h"

/* Equal time stamps: always the same one first. */
static int
before(const struct pcap_tcp_at_hand *a, const struct pcap_tcp_at_hand *b)
{
	return (a->key < b->key || (a->key == b->key && a->input < b->input));
}

static void
sift_up(struct pcap_tcp_merge *m, unsigned int i, struct pcap_tcp_at_hand e)
{
	for (; i > 0 && before(&e, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = e;
}

static void
sift_down(struct pcap_tcp_merge *m, unsigned int i, struct pcap_tcp_at_hand e)
{
	unsigned int child;

	for (; (child = 2 * i + 1) < m->n; i = child) {
		if (child + 1 < m->n &&
		    before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!before(&m->heap[child], &e))
			break;
		m->heap[i] = m->heap[child];
	}
	m->heap[i] = e;
}

unsigned int
pcap_tcp_merge_find(const struct pcap_tcp_merge *m, unsigned int input)
{
	unsigned int i;

	for (i = 0; m->heap[i].input != input; i++)
		;
	return (i);
}

void
pcap_tcp_merge_insert(struct pcap_tcp_merge *m, unsigned int input,
    int64_t key)
{
	const struct pcap_tcp_at_hand e = { key, input };

	sift_up(m, m->n++, e);
}

static void
put(struct pcap_tcp_merge *m, unsigned int i, struct pcap_tcp_at_hand e)
{
	if (before(&e, &m->heap[i]))
		sift_up(m, i, e);
	else
		sift_down(m, i, e);
}

void
pcap_tcp_merge_replace(struct pcap_tcp_merge *m, unsigned int i, int64_t key)
{
	const struct pcap_tcp_at_hand e = { key, m->heap[i].input };

	put(m, i, e);
}

void
pcap_tcp_merge_remove(struct pcap_tcp_merge *m, unsigned int i)
{
	m->n--;
	if (i != m->n)
		put(m, i, m->heap[m->n]);
}

void
pcap_tcp_merge_sort(struct pcap_tcp_merge *m)
{
	unsigned int i;

	for (i = m->n / 2; i-- > 0; )
		sift_down(m, i, m->heap[i]);
}

int64_t
pcap_tcp_merge_second(const struct pcap_tcp_merge *m)
{
	int64_t key = INT64_MAX;
	unsigned int i;

	for (i = 1; i < 3 && i < m->n; i++) {
		if (m->heap[i].key < key)
			key = m->heap[i].key;
	}
	return (key);
}
