/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-address.h - addresses that need no name server, how addresses are
 * printed, and errno's text.
 *
 * Nothing here blocks.  Safe in any thread.
 */
#ifndef pcap_tcp_address_h
#define pcap_tcp_address_h

#include <pcap/pcap.h>

struct addrinfo;

/*
 * The stream address of a numeric host, with a port in host byte order; a
 * host of NULL is loopback.  Returns 0 and a list for
 * pcap_tcp_free_addresses(), or an EAI_ code, EAI_NONAME for a name.
 */
int	pcap_tcp_numeric_address(const char *host, unsigned short port,
    struct addrinfo **list);

/*
 * The address of a Unix socket, for pcap_tcp_free_addresses(), whose path is as
 * short as in a device.  Returns NULL with errno set.
 */
struct addrinfo *pcap_tcp_unix_address(const char *path);

/* Releases one of these, or a list of getaddrinfo(3)'s; NULL is none. */
void	pcap_tcp_free_addresses(struct addrinfo *list);

/* The numeric address without its port. */
void	pcap_tcp_print_address(const struct addrinfo *address, char *text,
    size_t size);

/* HOST:PORT, with brackets around an IPv6 address; cuts a long host. */
void	pcap_tcp_print_peer(const char *host, unsigned int port, char *text,
    size_t size);

/* What fmt makes, ": ", and the text of an errno value; cut to size bytes. */
void	pcap_tcp_fmt_errno(char *text, size_t size, int error,
    const char *fmt, ...) PCAP_PRINTFLIKE(4, 5);

#endif
