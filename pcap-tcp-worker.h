/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-worker.h - which of N workers a handle is, where the device name
 * leaves that open
 */
#ifndef pcap_tcp_worker_h
#define pcap_tcp_worker_h

#include <stdint.h>

/*
 * Takes the lowest number from 1 to n that no other handle has, of those of
 * this effective user, in this network namespace, whose device has this key.
 * The name of a Unix socket that is in no file system stands for it (unix(7),
 * "Abstract sockets"): nothing is sent over it.  The number is this handle's
 * until all copies of the descriptor are closed, which exec(), but not fork(),
 * does.  Returns the descriptor, and the number in *worker, or -1 with errno:
 * EADDRINUSE if all are taken.  Safe in any thread.
 */
int	pcap_tcp_worker_take(uint64_t key, unsigned int n,
    unsigned int *worker);

#endif
