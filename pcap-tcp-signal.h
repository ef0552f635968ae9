/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-signal.h - Ctrl-C while a device is being opened.
 *
 * Many programs catch it with a flag that they look at between reads, and
 * would not come to that while a silent peer holds up the activation.
 */
#ifndef pcap_tcp_signal_h
#define pcap_tcp_signal_h

#include <signal.h>

/*
 * Holds back SIGINT and SIGTERM in this thread, those of them that the
 * program catches and has not blocked itself.  Returns a descriptor that is
 * readable when one has come, or -1: none is held back.  It is not to be
 * read: the program's handler is to run after pcap_tcp_signal_release().
 */
int	pcap_tcp_signal_hold(sigset_t *saved);

/* Undoes pcap_tcp_signal_hold(); leaves errno alone. */
void	pcap_tcp_signal_release(int fd, const sigset_t *saved);

#endif
