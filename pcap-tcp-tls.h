/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-tls.h - TLS 1.2 and up over a socket of pcap-tcp-socket.h, by
 * OpenSSL 3, which is loaded when the first context is made.  Only reading PEM
 * files may block; nothing raises SIGPIPE.  Of the program's own OpenSSL error
 * queue, the codes are kept.
 */
#ifndef pcap_tcp_tls_h
#define pcap_tcp_tls_h

#include <stddef.h>
#include <sys/types.h>

#include "pcap-tcp-device.h"

#define PCAP_TCP_TLS_ERROR	160	/* bytes of an error, with its NUL */

struct pcap_tcp_tls_context;	/* what the connections of a device share */
struct pcap_tcp_tls;		/* a connection */

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
 * Puts TLS on a connected socket, which stays the caller's.  The peer's
 * certificate has to be for the host name or numeric address; NULL: any.
 * Returns NULL if out of memory.
 */
struct pcap_tcp_tls *pcap_tcp_tls_new(struct pcap_tcp_tls_context *c, int fd,
    const char *host);
void	pcap_tcp_tls_free(struct pcap_tcp_tls *t);

/*
 * Goes on with the handshake.  Returns 0 if it is done, or -1 with errno:
 * EAGAIN if pcap_tcp_tls_events() has to come first; ECONNABORTED for a
 * connection that ended without TLS's own end and EPROTO for all else about
 * TLS, where pcap_tcp_tls_error() says more; or the socket's.
 */
int	pcap_tcp_tls_handshake(struct pcap_tcp_tls *t);

/*
 * As read(2), with those errors; 0 is TLS's own end, EINTR a message of TLS's
 * own: there may be more.
 */
ssize_t	pcap_tcp_tls_read(struct pcap_tcp_tls *t, void *buf, size_t size);

/* What poll(2) has to wait for after an EAGAIN: POLLIN or POLLOUT. */
short	pcap_tcp_tls_events(const struct pcap_tcp_tls *t);

/* Can the next read be had without the socket? */
int	pcap_tcp_tls_pending(const struct pcap_tcp_tls *t);

/* What was wrong, without the peer's name. */
const char *pcap_tcp_tls_error(const struct pcap_tcp_tls *t);

#else

/* There is never a context, so never a connection. */
#define pcap_tcp_tls_context_free(c)	((void)(c))
#define pcap_tcp_tls_new(c, fd, host)	((void)(host), (void)(c), NULL)
#define pcap_tcp_tls_free(t)		((void)(t))
#define pcap_tcp_tls_handshake(t)	(-1)
#define pcap_tcp_tls_read(t, buf, size)	((ssize_t)-1)
#define pcap_tcp_tls_events(t)		((short)0)
#define pcap_tcp_tls_pending(t)		(0)
#define pcap_tcp_tls_error(t)		("")

#endif

#endif
