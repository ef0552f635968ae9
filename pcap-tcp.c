/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp.c - PCAP-over-IP: reads the pcap streams that TCP peers send as
 * if they came from a network interface.
 *
 *	socket -> source's buffer -> decoder -> merge -> filter -> callback
 */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-events.h"
#include "pcap-tcp-feed.h"
#include "pcap-tcp-named.h"
#include "pcap-tcp-signal.h"

/* Limit on one non-blocking read whose packets are all filtered out. */
#define NONBLOCK_STEPS	16

/* How long a source may hold the others back, where no timeout is shorter. */
#define MAX_HOLD	100	/* ms */

struct pcap_tcp {
	struct pcap_tcp_feed feed;
	struct pcap_tcp_events events;
	int nonblock;
	int has_pseudo_header;
	int dlt;		/* what the device name says, or -1 */
	struct pcap_tcp_device device;
};

/* Async-signal-safe. */
static void
pcap_tcp_breakloop(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	pcapint_breakloop_common(p);
	pcap_tcp_events_wake(&pt->events);
}

/*
 * Waits until the sources can go on, the loop is broken, or the time has
 * come; not at all if the handle is non-blocking.  Returns 1, 0 if there is
 * nothing to go on with, or PCAP_ERROR.
 */
static int
wait_for_sources(pcap_t *p, int64_t until)
{
	struct pcap_tcp *pt = p->priv;
	int events;

	pcap_tcp_events_set_ready(&pt->events, 0);
	/* That may have consumed pcap_breakloop()'s wake-up. */
	if (p->break_loop)
		return (1);
	events = pcap_tcp_feed_wait(&pt->feed, -1, pt->nonblock ? 0 : until);
	if (events == -1)
		return (PCAP_ERROR);
	if (events & PCAP_TCP_EVENT_WAKE)
		pcap_tcp_events_clear_wake(&pt->events);
	return (!pt->nonblock || events != 0);
}

/*
 * Makes the descriptor readable if, and only if, the next read would return
 * something.
 */
static void
update_readiness(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	int64_t deadline;

	if (pcap_tcp_feed_has_next(&pt->feed) ||
	    pcap_tcp_feed_ready(&pt->feed, &deadline))
		pcap_tcp_events_set_ready(&pt->events, 1);
	else {
		pcap_tcp_events_set_ready(&pt->events, 0);
		pcap_tcp_events_set_timer(&pt->events, deadline);
	}
	if (p->break_loop)
		pcap_tcp_events_wake(&pt->events);
}

/*
 * Link types whose packets begin with a pseudo-header that libpcap puts into
 * this machine's byte order, or that filters expect in the first stream's.
 */
static int
has_pseudo_header(int dlt)
{
	switch (dlt) {

	case DLT_ENC:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_NFLOG:
	case DLT_NULL:
	case DLT_PFLOG:
	case DLT_USB_LINUX:
	case DLT_USB_LINUX_MMAPPED:
		return (1);

	default:
		return (0);
	}
}

static void
swap_family(u_char *data)
{
	u_char family[4] = { data[3], data[2], data[1], data[0] };

	memcpy(data, family, sizeof(family));
}

/*
 * Brings a packet's pseudo-header into order, in place or a little in front
 * of it: libpcap wants it aligned, and there is room, as the record's header
 * has been parsed and may be overwritten.  Returns where the packet is.
 */
static u_char *
fix_pseudo_header(const pcap_t *p, int swapped, struct pcap_pkthdr *h,
    u_char *data)
{
	if (p->linktype == DLT_NULL || p->linktype == DLT_ENC) {
		/*
		 * Filters are made for an AF_ value in the byte order of the
		 * sender, which must not change when the sender's does.
		 */
		if (swapped != p->swapped && h->caplen >= 4)
			swap_family(data);
		return (data);
	}
	data = memmove(data - (uintptr_t)data % sizeof(uint64_t), data,
	    h->caplen);
	pcapint_post_process(p->linktype, swapped, h, data);
	return (data);
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
	struct pcap_tcp_feed *f = &pt->feed;
	const struct bpf_insn *fcode;
	struct pcap_pkthdr h;
	u_char *data;
	int left = cnt;

	while (left > 0 && !p->break_loop && pcap_tcp_feed_has_next(f)) {
		h = f->next->h;
		data = f->next->data;
		f->next++;
		if (pt->has_pseudo_header)
			data = fix_pseudo_header(p, f->swapped, &h, data);
		/* As in a kernel, the filter sees more than the snapshot. */
		fcode = p->fcode.bf_insns;
		if (fcode == NULL ||
		    pcapint_filter(fcode, data, h.len, h.caplen) != 0) {
			if (h.caplen > (bpf_u_int32)p->snapshot)
				h.caplen = (bpf_u_int32)p->snapshot;
			(*callback)(user, &h, data);
			left--;
		}
	}
	return (cnt - left);
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

/* Waits for records and delivers them; nothing is at hand. */
static int
wait_and_deliver(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	enum pcap_tcp_progress progress;
	int64_t until = PCAP_TCP_NEVER;
	int n = 0, steps = 0;

	do {
		if (p->break_loop) {
			p->break_loop = 0;
			pcap_tcp_events_clear_wake(&pt->events);
			n = PCAP_ERROR_BREAK;
			break;
		}
		if (steps == 0 && p->opt.timeout > 0 && !pt->nonblock)
			until = pcap_tcp_now() + p->opt.timeout;
		else if (until != PCAP_TCP_NEVER && pcap_tcp_now() >= until)
			break;
		steps++;

		progress = pcap_tcp_feed_advance(&pt->feed);
		if (progress == PCAP_TCP_WAIT) {
			n = wait_for_sources(p, until);
			if (n <= 0)
				break;
		} else if (progress == PCAP_TCP_PROGRESS) {
			if (pt->nonblock && steps >= NONBLOCK_STEPS) {
				/*
				 * More is pending; edge-triggered callers need
				 * a new edge.
				 */
				pcap_tcp_events_wake(&pt->events);
				pt->events.wake_is_set = 1;
				return (0);
			}
		} else {
			n = report_end(pt, progress);
			if (n != 0)
				break;
		}
	} while ((n = deliver(p, cnt, callback, user)) == 0);
	update_readiness(p);
	return (n);
}

static int
pcap_tcp_read(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct pcap_tcp *pt = p->priv;
	int n;

	if (PACKET_COUNT_IS_UNLIMITED(cnt))
		cnt = INT_MAX;
	n = deliver(p, cnt, callback, user);
	if (n == 0)
		return (wait_and_deliver(p, cnt, callback, user));
	/* Fast path: records remain, and the descriptor already says so. */
	if (!pt->events.wake_is_set || p->break_loop ||
	    !pcap_tcp_feed_has_next(&pt->feed))
		update_readiness(p);
	return (n);
}

static int
pcap_tcp_stats(pcap_t *p, struct pcap_stat *ps)
{
	const struct pcap_tcp *pt = p->priv;

	pcap_tcp_feed_stats(&pt->feed, ps);
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
pcap_tcp_cleanup(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	pcap_tcp_feed_close(&pt->feed);
	pcap_tcp_events_close(&pt->events);
	p->fd = -1;
	pcapint_cleanup_live_common(p);
}

static int
open_descriptors(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	if (pcap_tcp_events_open(&pt->events) == -1) {
		pcapint_fmt_errmsg_for_errno(p->errbuf, PCAP_ERRBUF_SIZE,
		    errno, "can't create the device's descriptors");
		return (-1);
	}
	p->fd = pt->events.fd;
	return (0);
}

/*
 * Waits for the first stream headers; 0, or -1 with errbuf and errno set.
 */
static int
await_streams(pcap_t *p, int stop_fd)
{
	struct pcap_tcp *pt = p->priv;
	int events, opened;

	while ((opened = pcap_tcp_feed_opened(&pt->feed)) == 0) {
		events = 0;
		if (pcap_tcp_feed_advance(&pt->feed) == PCAP_TCP_WAIT)
			events = pcap_tcp_feed_wait(&pt->feed, stop_fd,
			    PCAP_TCP_NEVER);
		if (events == -1)
			return (-1);
		if (p->break_loop || (events & PCAP_TCP_EVENT_STOP)) {
			snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
			    "interrupted while waiting for %s",
			    pt->feed.ndialed == 1 ? pt->feed.source[0]->peer :
			    "a pcap stream");
			errno = EINTR;
			return (-1);
		}
		if (events & PCAP_TCP_EVENT_WAKE)
			pcap_tcp_events_clear_wake(&pt->events);
	}
	return (opened == 1 ? 0 : -1);
}

static int
open_streams(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_common common = {
		.device = &pt->device,
		.precision = p->opt.tstamp_precision,
		.events = &pt->events
	};
	int hold = p->opt.timeout > 0 && p->opt.timeout < MAX_HOLD ?
	    p->opt.timeout : MAX_HOLD;
	int stop_fd, status, saved_errno;
	sigset_t saved;

	if (pcap_tcp_feed_open(&pt->feed, &common, hold, pt->dlt,
	    p->errbuf) == -1)
		return (-1);
	stop_fd = pcap_tcp_signal_hold(&saved);
	status = await_streams(p, stop_fd);
	saved_errno = errno;
	pcap_tcp_signal_release(stop_fd, &saved);
	errno = saved_errno;
	return (status);
}

static void
describe_stream(pcap_t *p, const struct pcap_tcp_decoder *d)
{
	p->linktype = d->dlt;
	p->linktype_ext = d->linktype_ext;
	p->swapped = d->swapped;
	p->version_major = d->version_major;
	p->version_minor = d->version_minor;
}

static int
pcap_tcp_activate(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_source *s;
	int max_snaplen, saved_errno;

	if (p->opt.rfmon)
		return (PCAP_ERROR_RFMON_NOTSUP);

	p->breakloop_op = pcap_tcp_breakloop;
	if (open_descriptors(p) == -1 || open_streams(p) == -1) {
		saved_errno = errno;
		p->break_loop = 0;
		pcap_tcp_cleanup(p);
		errno = saved_errno;
		return (PCAP_ERROR);
	}

	s = pcap_tcp_feed_first_stream(&pt->feed);
	if (s != NULL)
		describe_stream(p, &s->decoder);
	else
		p->linktype = pt->dlt;
	pt->has_pseudo_header = has_pseudo_header(p->linktype);
	/*
	 * Not the stream's own, which another one may exceed: what the
	 * program did not ask to be cut is not cut.
	 */
	max_snaplen = (int)max_snaplen_for_dlt(p->linktype);
	if (p->snapshot <= 0 || p->snapshot > max_snaplen)
		p->snapshot = max_snaplen;
	p->bufsize = PCAP_TCP_BUFFER_SIZE;
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
	pcap_tcp_feed_start(&pt->feed);
	update_readiness(p);
	return (0);
}

int
pcap_tcp_is_device(const char *name)
{
	struct pcap_tcp_named named = { 0 };
	int is_ours = pcap_tcp_device_is_ours(name) ||
	    pcap_tcp_named_find(&named, name);

	pcap_tcp_named_close(&named);
	return (is_ours);
}

/* A link type's name, or its number in files; -1 if it is none. */
static int
parse_linktype(const char *text)
{
	char *end;
	unsigned long number;
	int dlt = pcap_datalink_name_to_val(text);

	if (dlt != -1 || !PCAP_ISDIGIT(*text))
		return (dlt);
	number = strtoul(text, &end, 10);
	if (*end != '\0' || number > UINT16_MAX)
		return (-1);
	return (linktype_to_dlt((int)number));
}

static int
parse_device(struct pcap_tcp *pt, const char *device, char *ebuf)
{
	const char *linktype;

	if (pcap_tcp_device_parse(&pt->device, device, ebuf,
	    PCAP_ERRBUF_SIZE) == -1)
		return (-1);
	linktype = pt->device.linktype;
	pt->dlt = linktype == NULL ? -1 : parse_linktype(linktype);
	if (linktype != NULL && pt->dlt == -1)
		return (pcap_tcp_device_refuse(device, "linktype", linktype,
		    "a link type's name (EN10MB) or number", ebuf,
		    PCAP_ERRBUF_SIZE));
	return (0);
}

/* The line of a named device; an error says where it is. */
static int
parse_named(struct pcap_tcp *pt, const struct pcap_tcp_named *named,
    char *ebuf)
{
	char why[PCAP_ERRBUF_SIZE];

	if (pcap_tcp_device_is_ours(named->device)) {
		if (parse_device(pt, named->device, why) == 0)
			return (0);
	} else
		(void)pcap_tcp_device_refuse(named->name, "device",
		    named->device, "tcp:HOST:PORT or the like", why,
		    sizeof(why));
	snprintf(ebuf, PCAP_ERRBUF_SIZE,
	    "line %u of the named devices: %.200s", named->line, why);
	return (-1);
}

static int
list_precisions(pcap_t *p, char *ebuf)
{
	p->tstamp_precision_list = malloc(2 * sizeof(u_int));
	if (p->tstamp_precision_list == NULL) {
		pcapint_fmt_errmsg_for_errno(ebuf, PCAP_ERRBUF_SIZE, errno,
		    "malloc");
		return (-1);
	}
	p->tstamp_precision_list[0] = PCAP_TSTAMP_PRECISION_MICRO;
	p->tstamp_precision_list[1] = PCAP_TSTAMP_PRECISION_NANO;
	p->tstamp_precision_count = 2;
	return (0);
}

pcap_t *
pcap_tcp_create(const char *device, char *ebuf, int *is_ours)
{
	struct pcap_tcp_named named = { 0 };
	struct pcap_tcp *pt;
	pcap_t *p = NULL;
	int has_scheme = pcap_tcp_device_is_ours(device);

	*is_ours = has_scheme || pcap_tcp_named_find(&named, device);
	if (*is_ours)
		p = PCAP_CREATE_COMMON(ebuf, struct pcap_tcp);
	if (p != NULL) {
		pt = p->priv;
		pcap_tcp_events_init(&pt->events);
		p->activate_op = pcap_tcp_activate;
		if ((has_scheme ? parse_device(pt, device, ebuf) :
		    parse_named(pt, &named, ebuf)) == -1 ||
		    list_precisions(p, ebuf) == -1) {
			pcap_close(p);
			p = NULL;
		}
	}
	pcap_tcp_named_close(&named);
	return (p);
}

/*
 * The named devices.  They have no flags, so that none of them becomes the
 * device of a program that was given none.  Never fails: the other modules'
 * devices would be gone, too.
 */
int
pcap_tcp_findalldevs(pcap_if_list_t *devlistp, char *errbuf)
{
	struct pcap_tcp_named named = { 0 }, first = { 0 };
	const char *description;
	pcap_if_t *shadowed;

	while (pcap_tcp_named_next(&named)) {
		/* Of lines with the same name, the first one counts. */
		if (pcap_tcp_named_find(&first, named.name) &&
		    first.line != named.line) {
			pcap_tcp_named_close(&first);
			continue;
		}
		pcap_tcp_named_close(&first);
		description = *named.description != '\0' ?
		    named.description : named.device;
		shadowed = pcapint_find_dev(devlistp, named.name);
		if (shadowed != NULL) {
			shadowed->flags = 0;
			free(shadowed->description);
			shadowed->description = strdup(description);
		} else
			(void)pcapint_add_dev(devlistp, named.name, 0,
			    description, errbuf);
	}
	pcap_tcp_named_close(&named);
	return (0);
}
