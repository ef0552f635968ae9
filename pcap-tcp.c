/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp.c - PCAP-over-IP: reads the pcap streams that TCP peers send as
 * if they came from a network interface.
 *
 *	socket -> stream -> decoder -> merge -> stages -> filter -> callback
 */

#include <config.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp.h"
#include "pcap-tcp-named.h"
#include "pcap-tcp-read.h"
#include "pcap-tcp-signal.h"

#define MAX_HOLD	100	/* ms that a source may hold the others back */

static int
pcap_tcp_stats(pcap_t *p, struct pcap_stat *ps)
{
	const struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_decoding *d = &pt->feed.peers.common.decoding;

	ps->ps_recv = (u_int)(pt->feed.received - pt->ethernet.left_out -
	    pt->fanout.others - (uint64_t)(pt->run.end - pt->run.next));
	ps->ps_drop = (u_int)d->dropped;
	ps->ps_ifdrop = (u_int)(d->if_dropped + pt->ethernet.left_out);
	return (0);
}

static int
pcap_tcp_inject(pcap_t *p, const void *buf _U_, int size _U_)
{
	snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
	    "Packet injection is not supported on PCAP-over-IP devices");
	return (PCAP_ERROR);
}

/* At any time, also from a callback, whose packet has passed by then. */
static int
pcap_tcp_setfilter(pcap_t *p, struct bpf_program *program)
{
	struct pcap_tcp *pt = p->priv;

	if (pcapint_install_bpf_program(p, program) == -1)
		return (-1);
	pcap_tcp_filter_free(&pt->filter);
	pcap_tcp_filter_compile(&pt->filter, p->fcode.bf_insns,
	    p->fcode.bf_len);
	return (0);
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
	return (((struct pcap_tcp *)p->priv)->nonblock);
}

static int
pcap_tcp_setnonblock(pcap_t *p, int nonblock)
{
	((struct pcap_tcp *)p->priv)->nonblock = nonblock;
	return (0);
}

static void
report_totals(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	struct pcap_tcp_log_line line;
	struct pcap_stat ps;

	if (!pt->feed.is_open || !pcap_tcp_log_begin(&line, &pt->log, NULL,
	    PCAP_TCP_LOG_INFO, "closed"))
		return;
	(void)pcap_tcp_stats(p, &ps);
	pcap_tcp_log_number(&line, "records", pt->feed.received);
	pcap_tcp_log_number(&line, "dropped", ps.ps_drop);
	pcap_tcp_log_number(&line, "ifdropped", ps.ps_ifdrop);
	pcap_tcp_log_number(&line, "left_out", pt->ethernet.left_out);
	pcap_tcp_log_end(&line, &pt->log, &pt->feed.peers.common.senders_share);
}

static void
pcap_tcp_cleanup(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;

	report_totals(p);
	pcap_tcp_log_close(&pt->log);
	pcap_tcp_feed_close(&pt->feed);
	pcap_tcp_events_close(&pt->events);
	if (pt->worker_fd != -1)
		close(pt->worker_fd);
	pt->worker_fd = -1;
	pcap_tcp_filter_free(&pt->filter);
	p->fd = -1;
	pcapint_cleanup_live_common(p);
}

static int
open_streams(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_common common = {
		.device = &pt->device,
		.name = p->opt.device,
		.log = &pt->log,
		.events = &pt->events,
		.decoding.linktypes = &pcap_tcp_linktypes,
		.decoding.precision = p->opt.tstamp_precision,
		.decoding.stamps_arrival = p->opt.tstamp_type == -1 ?
		    pt->device.arrival :
		    p->opt.tstamp_type == PCAP_TSTAMP_HOST,
		.decoding.dlt = pt->dlt,
		.decoding.dlt_is_given = pt->dlt != -1
	};
	int hold = p->opt.timeout > 0 && p->opt.timeout < MAX_HOLD ?
	    p->opt.timeout : MAX_HOLD;
	int stop_fd, status;
	sigset_t saved;

	/* First, or it may take a descriptor of ours for stderr. */
	if (pcap_tcp_log_open(&pt->log, pt->device.log, p->opt.device,
	    p->errbuf, PCAP_ERRBUF_SIZE) == -1)
		return (-1);
	if (pcap_tcp_events_open(&pt->events) == -1) {
		pcapint_fmt_errmsg_for_errno(p->errbuf, PCAP_ERRBUF_SIZE,
		    errno, "can't create the device's descriptors");
		return (-1);
	}
	p->fd = p->selectable_fd = pt->events.fd;
	if (pcap_tcp_feed_open(&pt->feed, &common, hold, p->errbuf) == -1)
		return (-1);
	/* Programs open what they only list: the first read begins. */
	if (pt->dlt != -1)
		return (0);
	if (pcap_tcp_begin(p) == -1)
		return (-1);
	stop_fd = pcap_tcp_signal_hold(&saved);
	status = pcap_tcp_feed_await(&pt->feed, stop_fd, &p->break_loop);
	pcap_tcp_signal_release(stop_fd, &saved);
	return (status);
}

static void
add_stage(struct pcap_tcp *pt, pcap_tcp_stage *run, void *state)
{
	if (run == NULL)
		return;
	pt->stage[pt->nstages].run = run;
	pt->stage[pt->nstages++].state = state;
}

/*
 * What is done with the packets of the device, whose link type is known.
 * Fan-out stands behind the merge, which needs the times of others' packets,
 * too, to know whom it has to wait for.
 */
static int
set_stages(pcap_t *p, int dlt)
{
	struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_decoding *d = &pt->feed.peers.common.decoding;

	pt->nstages = 0;
	add_stage(pt, pcap_tcp_linktype_stage(&pt->pseudo_headers, dlt,
	    p->swapped), &pt->pseudo_headers);
	pt->ethernet.is_needed = &d->is_mixed;
	if (dlt == DLT_EN10MB && d->dlt_is_given)
		add_stage(pt, pcap_tcp_ethernet_stage, &pt->ethernet);
	if (pt->device.nworkers == 0)
		return (0);
	if (!pcap_tcp_link_is_known(dlt)) {
		snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
		    "fanout= needs packets of a link type in which IP is "
		    "found, and not %s",
		    pcap_datalink_val_to_description_or_dlt(dlt));
		errno = EINVAL;
		return (-1);
	}
	pt->fanout.dlt = dlt;
	pt->fanout.nworkers = pt->device.nworkers;
	if (pt->device.worker != 0)
		pt->fanout.worker = pt->device.worker;
	add_stage(pt, pcap_tcp_fanout_stage, &pt->fanout);
	return (0);
}

/*
 * pcap_set_datalink(3PCAP), for one of those that list_linktypes() lists.  What
 * has become Ethernet has lost what it was.
 */
static int
pcap_tcp_set_datalink(pcap_t *p, int dlt)
{
	struct pcap_tcp *pt = p->priv;
	struct pcap_tcp_decoding *d = &pt->feed.peers.common.decoding;
	struct pcap_tcp_batch *run = &pt->run;

	if (dlt == p->linktype)
		return (0);
	if (dlt != DLT_EN10MB) {
		snprintf(p->errbuf, PCAP_ERRBUF_SIZE,
		    "the device's packets have been made Ethernet");
		return (PCAP_ERROR);
	}
	d->dlt = dlt;
	d->dlt_is_given = d->is_mixed = 1;
	if (set_stages(p, dlt) == -1)
		return (PCAP_ERROR);
	/* The other stages have had these. */
	run->end = run->next + pcap_tcp_ethernet_stage(&pt->ethernet,
	    run->next, (size_t)(run->end - run->next));
	pcap_tcp_update_readiness(p);
	return (0);
}

/* Its own, and Ethernet, if its packets can become that. */
static int
list_linktypes(pcap_t *p)
{
	if (p->linktype == DLT_EN10MB || !pcap_tcp_link_is_known(p->linktype))
		return (0);
	p->dlt_list = malloc(2 * sizeof(*p->dlt_list));
	if (p->dlt_list == NULL) {
		pcapint_fmt_errmsg_for_errno(p->errbuf, PCAP_ERRBUF_SIZE,
		    errno, "malloc");
		return (-1);
	}
	p->dlt_list[0] = (u_int)p->linktype;
	p->dlt_list[1] = DLT_EN10MB;
	p->dlt_count = 2;
	return (0);
}

/* What the first stream says of the device, or else the device name. */
static void
describe_device(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	const struct pcap_tcp_peer *first =
	    pcap_tcp_peers_first_stream(&pt->feed.peers);
	int max_snaplen;

	p->linktype = pt->dlt;
	if (first != NULL) {
		p->linktype = first->stream.decoder.dlt;
		p->linktype_ext = first->stream.decoder.linktype_ext;
		p->swapped = first->stream.decoder.swapped;
		p->version_major = first->stream.decoder.version_major;
		p->version_minor = first->stream.decoder.version_minor;
	}
	/* Not the stream's own: another one may have longer packets. */
	max_snaplen = (int)max_snaplen_for_dlt(p->linktype);
	if (p->snapshot <= 0 || p->snapshot > max_snaplen)
		p->snapshot = max_snaplen;
	p->bufsize = PCAP_TCP_BUFFER_SIZE;
}

static int
pcap_tcp_activate(pcap_t *p)
{
	struct pcap_tcp *pt = p->priv;
	int saved_errno, status;

	if (p->opt.rfmon)
		return (PCAP_ERROR_RFMON_NOTSUP);

	p->breakloop_op = pcap_tcp_breakloop;
	status = open_streams(p);
	if (status == 0) {
		describe_device(p);
		status = list_linktypes(p) == -1 ? -1 :
		    set_stages(p, p->linktype);
	}
	if (status == -1) {
		saved_errno = errno;
		p->break_loop = 0;
		pcap_tcp_cleanup(p);
		errno = saved_errno;
		return (PCAP_ERROR);
	}

	p->read_op = pcap_tcp_read;
	p->inject_op = pcap_tcp_inject;
	p->setfilter_op = pcap_tcp_setfilter;
	p->setdirection_op = pcap_tcp_setdirection;
	p->set_datalink_op = pcap_tcp_set_datalink;
	p->getnonblock_op = pcap_tcp_getnonblock;
	p->setnonblock_op = pcap_tcp_setnonblock;
	p->stats_op = pcap_tcp_stats;
	p->cleanup_op = pcap_tcp_cleanup;
	/* Filters are for packets of another host, as with a file. */
	p->bpf_codegen_flags |= BPF_OFFLINE_AF_HANDLING;
	if (pt->feed.opened != 0)
		pcap_tcp_feed_start(&pt->feed);
	pt->left_at = pt->feed.opened != 0 ? pcap_tcp_now() : 0;
	pt->next_left_out = 1;
	pcap_tcp_update_readiness(p);
	return (0);
}

int
pcap_tcp_is_device(const char *name)
{
	struct pcap_tcp_named named = { 0 };
	int is_ours = pcap_tcp_named_find(&named, name);

	pcap_tcp_named_close(&named);
	return (is_ours);
}

/* The sender's clock or the arrival's; the first of each, without asking. */
static int
list_time_stamps(pcap_t *p, char *ebuf)
{
	p->tstamp_type_list = malloc(2 * sizeof(u_int));
	p->tstamp_precision_list = malloc(2 * sizeof(u_int));
	if (p->tstamp_type_list == NULL || p->tstamp_precision_list == NULL) {
		pcapint_fmt_errmsg_for_errno(ebuf, PCAP_ERRBUF_SIZE, errno,
		    "malloc");
		return (-1);
	}
	p->tstamp_type_list[0] = PCAP_TSTAMP_ADAPTER;
	p->tstamp_type_list[1] = PCAP_TSTAMP_HOST;
	p->tstamp_type_count = 2;
	p->tstamp_precision_list[0] = PCAP_TSTAMP_PRECISION_MICRO;
	p->tstamp_precision_list[1] = PCAP_TSTAMP_PRECISION_NANO;
	p->tstamp_precision_count = 2;
	return (0);
}

/* For a name that nobody knows: errbuf says why. */
static int
activate_unknown(pcap_t *p _U_)
{
	return (PCAP_ERROR_NO_SUCH_DEVICE);
}

/*
 * A name that is neither in the file of names nor an interface is ours, too:
 * who mistypes one would be told to get privileges.  Other modules have been
 * asked before.
 */
pcap_t *
pcap_tcp_create(const char *device, char *ebuf, int *is_ours)
{
	struct pcap_tcp_named named = { 0 };
	struct pcap_tcp *pt;
	pcap_t *p = NULL;
	int status = 0, is_known = pcap_tcp_named_find(&named, device);

	*is_ours = is_known || (named.path != NULL &&
	    strcmp(device, "any") != 0 && if_nametoindex(device) == 0);
	if (*is_ours)
		p = PCAP_CREATE_COMMON(ebuf, struct pcap_tcp);
	if (p != NULL) {
		pt = p->priv;
		pcap_tcp_events_init(&pt->events);
		pt->worker_fd = -1;
		p->activate_op = is_known ? pcap_tcp_activate :
		    activate_unknown;
		if (is_known)
			status = pcap_tcp_named_parse(&named, &pt->device,
			    &pt->dlt, ebuf, PCAP_ERRBUF_SIZE);
		else
			pcap_tcp_named_explain(&named, p->errbuf,
			    PCAP_ERRBUF_SIZE);
		if (status == -1 || list_time_stamps(p, ebuf) == -1) {
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
	struct pcap_tcp_named named = { 0 };
	struct pcap_tcp_device device;
	const char *description;
	char fault[PCAP_ERRBUF_SIZE];
	pcap_if_t *d;
	int dlt;

	while (pcap_tcp_named_next(&named)) {
		description = *named.description != '\0' ?
		    named.description : named.device;
		if (pcap_tcp_named_parse(&named, &device, &dlt, fault,
		    sizeof(fault)) == -1)
			description = fault;
		d = pcapint_find_dev(devlistp, named.name);
		if (d == NULL)
			(void)pcapint_add_dev(devlistp, named.name, 0,
			    description, errbuf);
		/* Of lines with the same name, the first one counts. */
		else if (d->flags != 0 || d->description == NULL) {
			d->flags = 0;
			free(d->description);
			d->description = strdup(description);
		}
	}
	pcap_tcp_named_close(&named);
	return (0);
}
