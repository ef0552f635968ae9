/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-file.h - how long a file may be
 */
#ifndef pcap_tcp_file_h
#define pcap_tcp_file_h

#include <sys/resource.h>

#include <stdint.h>

/*
 * May a file of this process have so many bytes?  Beyond setrlimit(2)'s
 * RLIMIT_FSIZE, write(2) and ftruncate(2) would end the program.
 */
static inline int
pcap_tcp_file_may_have(uint64_t size)
{
	struct rlimit limit;

	return (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur >= size);
}

#endif
