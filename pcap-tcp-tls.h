/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-tls.h - TLS 1.2 and up over a connection, by OpenSSL 3, which is
 * loaded when the first context is made.  Only reading PEM
 * files may block; nothing raises SIGPIPE.  Of the program's own OpenSSL error
 * queue, the codes are kept.
 */
#ifndef pcap_tcp_tls_h
#define pcap_tcp_tls_h

#include "pcap-tcp-bytes.h"
#include "pcap-tcp-device.h"

/*
 * What a peer that connects can make OpenSSL allocate, at most.  Measured:
 * 0.8 MiB, for the longest ClientHello and the worst client certificates.
 */
#define PCAP_TCP_TLS_BYTES	(1024 * 1024)

struct pcap_tcp_tls_context;	/* what the connections of a device share */

/*
 * Reads the device's ca, cert and key, for connections that it makes or (if
 * listening) accepts.  Returns NULL with one line in errbuf.
 */
struct pcap_tcp_tls_context *pcap_tcp_tls_context_new(
    const struct pcap_tcp_device *device, int listening, char *errbuf,
    size_t size);

#ifdef PCAP_TCP_TLS

void	pcap_tcp_tls_context_free(struct pcap_tcp_tls_context *c);

/*
 * Puts TLS on a connection, which becomes its own.  The first reads are the
 * handshake.  host: the name or numeric address that the peer's certificate
 * has to be for; NULL: the peer has connected to us.  A read fails with
 * ECONNABORTED where the connection ended without TLS's own end, and with
 * EPROTO for all else about TLS.  Returns NULL with the connection closed if
 * out of memory.  The context has to live for longer than the connection.
 */
struct pcap_tcp_bytes *pcap_tcp_tls_bytes(struct pcap_tcp_tls_context *c,
    struct pcap_tcp_bytes *connection, const char *host);

#else

/* There is never a context, so never a connection. */
#define pcap_tcp_tls_context_free(c)		((void)(c))
#define pcap_tcp_tls_bytes(c, connection, host)	\
	((void)(c), (void)(connection), (void)(host), NULL)

#endif

#endif
