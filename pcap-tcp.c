/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp.c - PCAP-over-IP: reads the pcap stream that a TCP peer sends as
 * if it came from a network interface.
 *
 *	socket -> source's buffer -> decoder -> filter -> callback
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-source.h"
#include "pcap-tcp-transport.h"

/*
 * A non-blocking read that meets nothing but filtered-out packets returns
 * after this many steps, so that it does not run as long as the sender.
 */
#define NONBLOCK_STEPS	16

/*
 * p->fd, which is the selectable descriptor too, is an epoll set.  In it are
 * the source's socket; wake_fd, an eventfd that is readable while records
 * wait in the buffer or the loop is to be broken; and timer_fd, for what the
 * source does without an event.
 */
struct pcap_tcp {
	struct pcap_tcp_source source;
	int wake_fd;
	int timer_fd;
	int64_t timer;		/* when timer_fd becomes readable */
	int ready;		/* wake_fd says that records wait */
	int nonblock;
	int must_align, must_swap;	/* the data of records */
	struct pcap_tcp_device device;
};

static void
wake(struct pcap_tcp *pt)
{
	const uint64_t one = 1;

	/* It can only fail if it is readable already. */
	(void)!write(pt->wake_fd, &one, sizeof(one));
}

static void
clear_wake(struct pcap_tcp *pt)
{
	uint64_t count;

	(void)!read(pt->wake_fd, &count, sizeof(count));
	pt->ready = 0;
}

static void
set_ready(struct pcap_tcp *pt, int ready)
{
	if (ready == pt->ready)
		return;
	if (ready)
		wake(pt);
	else
		clear_wake(pt);
	pt->ready = ready;
}

/* Async-signal-safe. */
static void
pcap_tcp_breakloop(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	pcapint_breakloop_common(p);
	if (pt->wake_fd != -1)
		wake(pt);
}

static void
arm_timer(struct pcap_tcp *pt, int64_t ms)
{
	struct itimerspec when;

	memset(&when, 0, sizeof(when));
	if (ms != PCAP_TCP_NEVER) {
		when.it_value.tv_sec = (time_t)(ms / 1000);
		when.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
	}
	if (timerfd_settime(pt->timer_fd, TFD_TIMER_ABSTIME, &when,
	    NULL) == 0)
		pt->timer = ms;
}

static void
set_timer(struct pcap_tcp *pt)
{
	if (pt->source.deadline != pt->timer)
		arm_timer(pt, pt->source.deadline);
}

/*
 * Waits until the source can go on, the loop is broken, or the time has
 * come; not at all if the handle is non-blocking.
 */
static void
wait_for_source(pcap_t *p, int64_t until)
{
	struct pcap_tcp *pt = p->priv;
	struct pollfd fds[2];

	set_timer(pt);
	set_ready(pt, 0);
	/* That may have cleared the wake of a break. */
	if (p->break_loop)
		return;
	fds[0].fd = p->fd;
	fds[1].fd = pt->wake_fd;
	fds[0].events = fds[1].events = POLLIN;
	if (poll(fds, 2, pt->nonblock ? 0 : pcap_tcp_poll_timeout(until)) > 0 &&
	    fds[1].revents != 0)
		clear_wake(pt);
}

/*
 * Makes the descriptor say what the next read will find: a record or an
 * error in the buffer, or a break.
 */
static void
settle(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	set_timer(pt);
	set_ready(pt, pcap_tcp_source_peek(&pt->source) != PCAP_TCP_MORE);
	if (p->break_loop)
		wake(pt);
}

/*
 * libpcap looks at these link types' pseudo-headers through structs, which
 * want their data aligned.  The record's own header, done with, gives the
 * room to move it.
 */
static int
has_pseudo_header(int dlt)
{
	switch (dlt) {

	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_NFLOG:
	case DLT_PFLOG:
	case DLT_USB_LINUX:
	case DLT_USB_LINUX_MMAPPED:
		return (1);

	default:
		return (0);
	}
}

static u_char *
align(u_char *data, bpf_u_int32 caplen)
{
	size_t excess = (uintptr_t)data % sizeof(uint64_t);

	return (memmove(data - excess, data, caplen));
}

/*
 * The AF_ value in front of these has the sender's byte order, which filters
 * are made for; it must not change when the sender's does.
 */
static int
has_sender_order(int dlt)
{
	return (dlt == DLT_NULL || dlt == DLT_ENC);
}

static void
swap_family(u_char *data)
{
	u_char family[4] = { data[3], data[2], data[1], data[0] };

	memcpy(data, family, sizeof(family));
}

/*
 * Gives up to cnt records that are in the buffer and pass the filter to the
 * callback.  A record is taken before that, as the callback may read from
 * the handle, or never return.
 */
static int
deliver(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	struct pcap_tcp_source *s = &pt->source;
	const struct bpf_insn *fcode;
	struct pcap_pkthdr h;
	u_char *data;
	int n = 0;

	while (n < cnt && !p->break_loop &&
	    pcap_tcp_source_peek(s) == PCAP_TCP_RECORD) {
		h = s->head.h;
		data = s->head.data;
		pcap_tcp_source_pop(s);
		s->received++;
		if (pt->must_align)
			data = align(data, h.caplen);
		if (pt->must_swap && s->decoder.swapped != p->swapped &&
		    h.caplen >= 4)
			swap_family(data);
		pcapint_post_process(p->linktype, s->decoder.swapped, &h,
		    data);
		/* As in a kernel, the filter sees more than the snapshot. */
		fcode = p->fcode.bf_insns;
		if (fcode == NULL ||
		    pcapint_filter(fcode, data, h.len, h.caplen) != 0) {
			if (h.caplen > (bpf_u_int32)p->snapshot)
				h.caplen = (bpf_u_int32)p->snapshot;
			(*callback)(user, &h, data);
			n++;
		}
	}
	return (n);
}

/*
 * What a program sees of the end of a stream: it is told once, and if it
 * reads on, the device is like an interface without traffic until packets
 * arrive again.  Most sensors read on, and would spin if they were told at
 * each call.
 */
static int
report_end(const struct pcap_tcp *pt, enum pcap_tcp_progress progress)
{
	if (pt->device.reconnect == PCAP_TCP_RECONNECT_YES)
		return (0);
	if (progress == PCAP_TCP_END)
		return (PCAP_ERROR_BREAK);
	if (progress == PCAP_TCP_FAILED)
		return (PCAP_ERROR);
	return (0);
}

static int
pcap_tcp_read(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	enum pcap_tcp_progress progress;
	int64_t until = PCAP_TCP_NEVER;
	int n, steps = 0;

	if (PACKET_COUNT_IS_UNLIMITED(cnt))
		cnt = INT_MAX;

	while ((n = deliver(p, cnt, callback, user)) == 0) {
		if (p->break_loop) {
			p->break_loop = 0;
			clear_wake(pt);
			n = PCAP_ERROR_BREAK;
			break;
		}
		if (steps == 0 && p->opt.timeout > 0 && !pt->nonblock)
			until = pcap_tcp_now() + p->opt.timeout;
		else if (until != PCAP_TCP_NEVER && pcap_tcp_now() >= until)
			break;
		steps++;

		progress = pcap_tcp_source_advance(&pt->source);
		if (progress == PCAP_TCP_WAIT) {
			wait_for_source(p, until);
			if (pt->nonblock && !p->break_loop)
				break;
		} else if (progress == PCAP_TCP_PROGRESS) {
			if (pt->nonblock && steps >= NONBLOCK_STEPS) {
				/* There is more: that takes another edge. */
				wake(pt);
				pt->ready = 1;
				return (0);
			}
		} else {
			n = report_end(pt, progress);
			if (n != 0)
				break;
		}
	}
	settle(p);
	return (n);
}

static int
pcap_tcp_stats(pcap_t *p, struct pcap_stat *ps)
{
	const struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_source *s = &pt->source;

	ps->ps_recv = (u_int)s->received;
	ps->ps_drop = (u_int)s->decoder.dropped;
	ps->ps_ifdrop = (u_int)s->decoder.if_dropped;
	return (0);
}

static int
pcap_tcp_inject(pcap_t *p, const void *buf _U_, int size _U_)
{
	snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
	    "Packet injection is not supported on PCAP-over-IP devices");
	return (PCAP_ERROR);
}

static int
pcap_tcp_setdirection(pcap_t *p, pcap_direction_t direction)
{
	if (direction == PCAP_D_INOUT)
		return (0);
	snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
	    "PCAP-over-IP devices don't tell the direction of a packet");
	return (PCAP_ERROR);
}

static int
pcap_tcp_getnonblock(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	return (pt->nonblock);
}

static int
pcap_tcp_setnonblock(pcap_t *p, int nonblock)
{
	struct pcap_tcp *pt = p->priv;

	pt->nonblock = nonblock;
	return (0);
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void
pcap_tcp_cleanup(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	pcap_tcp_source_close(&pt->source);
	close_fd(&pt->wake_fd);
	close_fd(&pt->timer_fd);
	pcapint_cleanup_live_common(p);
}

static int
open_descriptors(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	struct epoll_event event;

	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	pt->timer = PCAP_TCP_NEVER;
	pt->ready = 0;
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->fd != -1)
		pt->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (pt->wake_fd != -1)
		pt->timer_fd = timerfd_create(CLOCK_MONOTONIC,
		    TFD_NONBLOCK | TFD_CLOEXEC);
	if (pt->timer_fd == -1 ||
	    epoll_ctl(p->fd, EPOLL_CTL_ADD, pt->wake_fd, &event) == -1 ||
	    epoll_ctl(p->fd, EPOLL_CTL_ADD, pt->timer_fd, &event) == -1) {
		pcapint_fmt_errmsg_for_errno(p->errbuf, PCAP_ERRBUF_SIZE,
		    errno, "can't create the device's descriptors");
		return (-1);
	}
	return (0);
}

/* Waits for the first stream header; 0, or -1 with errbuf and errno set. */
static int
await_stream(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	struct pcap_tcp_source *s = &pt->source;
	int64_t until = s->attempt_end;
	enum pcap_tcp_progress progress;

	for (;;) {
		pcap_tcp_source_decode_start(s);
		if (s->decoder.started)
			return (0);
		if (p->break_loop) {
			snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
			    "interrupted while waiting for %s", s->peer);
			errno = EINTR;
			return (-1);
		}
		progress = pcap_tcp_source_advance(s);
		if (progress == PCAP_TCP_WAIT)
			wait_for_source(p, PCAP_TCP_NEVER);
		else if (progress != PCAP_TCP_PROGRESS) {
			if (pt->device.reconnect != PCAP_TCP_RECONNECT_YES ||
			    s->deadline >= until)
				return (-1);
			s->attempt_end = until;
		}
	}
}

static int
pcap_tcp_activate(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	struct pcap_tcp_source *s = &pt->source;
	int max_snaplen, saved_errno;

	if (p->opt.rfmon)
		return (PCAP_ERROR_RFMON_NOTSUP);

	p->breakloop_op = pcap_tcp_breakloop;
	if (open_descriptors(p) == -1 ||
	    pcap_tcp_source_open(s, &pt->device, &pt->device.source[0],
	    p->opt.tstamp_precision, p->fd, pt->wake_fd, p->errbuf) == -1 ||
	    await_stream(p) == -1) {
		saved_errno = errno;
		p->break_loop = 0;
		pcap_tcp_cleanup(p);
		errno = saved_errno;
		return (PCAP_ERROR);
	}

	p->linktype = s->decoder.dlt;
	pt->must_align = has_pseudo_header(p->linktype);
	pt->must_swap = has_sender_order(p->linktype);
	p->linktype_ext = s->decoder.linktype_ext;
	p->swapped = s->decoder.swapped;
	p->version_major = s->decoder.version_major;
	p->version_minor = s->decoder.version_minor;
	/*
	 * Not the stream's own, which another one may exceed: what the
	 * program did not ask to be cut is not cut.
	 */
	max_snaplen = (int)max_snaplen_for_dlt(p->linktype);
	if (p->snapshot <= 0 || p->snapshot > max_snaplen)
		p->snapshot = max_snaplen;
	p->bufsize = (u_int)s->capacity;
	p->selectable_fd = p->fd;
	p->read_op = pcap_tcp_read;
	p->inject_op = pcap_tcp_inject;
	p->setfilter_op = pcapint_install_bpf_program;
	p->setdirection_op = pcap_tcp_setdirection;
	p->set_datalink_op = NULL;
	p->getnonblock_op = pcap_tcp_getnonblock;
	p->setnonblock_op = pcap_tcp_setnonblock;
	p->stats_op = pcap_tcp_stats;
	p->cleanup_op = pcap_tcp_cleanup;
	/* Filters are for packets of another host, as with a file. */
	p->bpf_codegen_flags |= BPF_OFFLINE_AF_HANDLING;
	settle(p);
	return (0);
}

int
pcap_tcp_is_device(const char *name)
{
	return (pcap_tcp_device_is_ours(name));
}

pcap_t *
pcap_tcp_create(const char *device, char *ebuf, int *is_ours)
{
	struct pcap_tcp *pt;
	pcap_t *p;

	*is_ours = pcap_tcp_is_device(device);
	if (!*is_ours)
		return (NULL);

	p = PCAP_CREATE_COMMON(ebuf, struct pcap_tcp);
	if (p == NULL)
		return (NULL);
	pt = p->priv;
	pt->source.fd = pt->wake_fd = pt->timer_fd = -1;
	p->activate_op = pcap_tcp_activate;
	if (pcap_tcp_device_parse(&pt->device, device, ebuf,
	    PCAP_ERRBUF_SIZE) == -1) {
		pcap_close(p);
		return (NULL);
	}

	p->tstamp_precision_list = malloc(2 * sizeof(u_int));
	if (p->tstamp_precision_list == NULL) {
		pcapint_fmt_errmsg_for_errno(ebuf, PCAP_ERRBUF_SIZE, errno,
		    "malloc");
		pcap_close(p);
		return (NULL);
	}
	p->tstamp_precision_list[0] = PCAP_TSTAMP_PRECISION_MICRO;
	p->tstamp_precision_list[1] = PCAP_TSTAMP_PRECISION_NANO;
	p->tstamp_precision_count = 2;
	return (p);
}

/* As netmap's: the names say how to set a device up, there is no list. */
int
pcap_tcp_findalldevs(pcap_if_list_t *devlistp _U_, char *errbuf _U_)
{
	return (0);
}
