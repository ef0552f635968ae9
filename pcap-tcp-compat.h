/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-compat.h - the names that libpcap changed between 1.10.0 and
 * 1.11, spelled as the newest one does.  libpcap has no version number for
 * the preprocessor, so each change is detected by a macro introduced with it.
 */
#ifndef pcap_tcp_compat_h
#define pcap_tcp_compat_h

#include "pcap-int.h"
#include "pcap-common.h"
#include "fmtutils.h"

/* 1.10.0 and 1.10.1 have SWAPLONG and the pseudo-headers in pcap-common.h. */
#ifdef SWAPLONG
#define pcapint_post_process(linktype, swapped, h, data) \
	do { \
		if (swapped) \
			swap_pseudo_headers((linktype), (h), (data)); \
	} while (0)
#else
#include "pcap-util.h"
#ifndef pcapint_charset_fopen
#define pcapint_post_process		pcap_post_process
#endif
#endif

/* 1.10.4 and older: no pcapint_ prefix. */
#ifndef pcapint_charset_fopen
#define pcapint_add_dev			add_dev
#define pcapint_breakloop_common	pcap_breakloop_common
#define pcapint_cleanup_live_common	pcap_cleanup_live_common
#define pcapint_find_dev		find_dev
#define pcapint_fmt_errmsg_for_errno	pcap_fmt_errmsg_for_errno
#define pcapint_install_bpf_program	install_bpf_program
#endif

#endif
