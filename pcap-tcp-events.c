/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-events.c - what a device waits for, on Linux
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-events.h"

int64_t
pcap_tcp_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

int
pcap_tcp_flag_new(void)
{
	return (eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

void
pcap_tcp_flag_raise(int fd)
{
	const uint64_t one = 1;

	/* It can only fail if it is readable already. */
	(void)!write(fd, &one, sizeof(one));
}

int
pcap_tcp_flag_take(int fd)
{
	uint64_t count;

	return (read(fd, &count, sizeof(count)) == sizeof(count));
}

/* Puts a descriptor into the set, or changes what the set looks for. */
static int
control(const struct pcap_tcp_events *e, int operation, int fd, short wanted)
{
	/* POLLIN and POLLOUT are EPOLLIN and EPOLLOUT. */
	struct epoll_event event = { .events = (uint32_t)wanted };

	return (epoll_ctl(e->fd, operation, fd, &event));
}

void
pcap_tcp_events_init(struct pcap_tcp_events *e)
{
	e->fd = e->wake_fd = e->timer_fd = -1;
	e->wake_is_set = 0;
	e->timer = PCAP_TCP_NEVER;
}

int
pcap_tcp_events_open(struct pcap_tcp_events *e)
{
	e->fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->fd != -1)
		e->wake_fd = pcap_tcp_flag_new();
	if (e->wake_fd != -1)
		e->timer_fd = timerfd_create(CLOCK_MONOTONIC,
		    TFD_NONBLOCK | TFD_CLOEXEC);
	if (e->timer_fd == -1 ||
	    control(e, EPOLL_CTL_ADD, e->wake_fd, POLLIN) == -1)
		return (-1);
	return (control(e, EPOLL_CTL_ADD, e->timer_fd, POLLIN));
}

void
pcap_tcp_events_close(struct pcap_tcp_events *e)
{
	if (e->timer_fd != -1)
		close(e->timer_fd);
	if (e->wake_fd != -1)
		close(e->wake_fd);
	if (e->fd != -1)
		close(e->fd);
	pcap_tcp_events_init(e);
}

void
pcap_tcp_events_wake(const struct pcap_tcp_events *e)
{
	if (e->wake_fd != -1)
		pcap_tcp_flag_raise(e->wake_fd);
}

void
pcap_tcp_events_clear_wake(struct pcap_tcp_events *e)
{
	(void)pcap_tcp_flag_take(e->wake_fd);
	e->wake_is_set = 0;
}

void
pcap_tcp_events_set_ready(struct pcap_tcp_events *e, int ready)
{
	if (ready == e->wake_is_set)
		return;
	if (ready)
		pcap_tcp_events_wake(e);
	else
		pcap_tcp_events_clear_wake(e);
	e->wake_is_set = ready;
}

void
pcap_tcp_events_set_timer(struct pcap_tcp_events *e, int64_t when)
{
	struct itimerspec timer = { .it_value.tv_sec = 0 };

	if (when == e->timer)
		return;
	if (when != PCAP_TCP_NEVER) {
		timer.it_value.tv_sec = (time_t)(when / 1000);
		timer.it_value.tv_nsec = (long)(when % 1000) * 1000000;
	}
	if (timerfd_settime(e->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL) == 0)
		e->timer = when;
}

void
pcap_tcp_watch_enable(struct pcap_tcp_watch *w, int on)
{
	short wanted = on ? w->wanted : 0;

	if (w->fd == -1 || w->watched == wanted)
		return;
	/* In the set without events, it would still report a hang-up. */
	if (control(w->events, wanted == 0 ? EPOLL_CTL_DEL :
	    w->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, w->fd,
	    wanted) == 0)
		w->watched = wanted;
}

int
pcap_tcp_watch_start(struct pcap_tcp_watch *w, int fd, short wanted)
{
	w->fd = fd;
	w->wanted = wanted;
	w->watched = 0;
	pcap_tcp_watch_enable(w, 1);
	return (w->watched == wanted ? 0 : -1);
}

void
pcap_tcp_watch_stop(struct pcap_tcp_watch *w)
{
	pcap_tcp_watch_enable(w, 0);
	w->fd = -1;
}

void
pcap_tcp_watch_change(struct pcap_tcp_watch *w, short wanted)
{
	if (w->wanted == wanted)
		return;
	w->wanted = wanted;
	pcap_tcp_watch_enable(w, 1);
}

/* Milliseconds that poll(2) has to wait; some weeks are for ever. */
static int
poll_timeout(int64_t until)
{
	int64_t wait = until - pcap_tcp_now();

	if (wait <= 0)
		return (0);
	return (wait > INT_MAX ? INT_MAX : (int)wait);
}

int
pcap_tcp_events_wait(struct pcap_tcp_events *e,
    struct pcap_tcp_watch **watches, size_t n, int stop_fd, int64_t until)
{
	struct pollfd fds[2 + PCAP_TCP_MAX_WATCHES];
	int events = 0;
	size_t i;

	memset(fds, 0, (2 + n) * sizeof(fds[0]));
	fds[0].fd = e->wake_fd;
	fds[1].fd = stop_fd;
	fds[0].events = fds[1].events = POLLIN;
	for (i = 0; i < n; i++) {
		fds[2 + i].fd = watches[i]->fd;
		fds[2 + i].events = watches[i]->wanted;
	}
	if (poll(fds, 2 + n, poll_timeout(until)) == -1 && errno != EINTR)
		return (-1);
	for (i = 0; i < n; i++) {
		if (fds[2 + i].revents != 0)
			watches[i]->waiting = 0;
		if (!watches[i]->waiting)
			events |= PCAP_TCP_EVENT_WATCH;
	}
	if (fds[0].revents != 0) {
		events |= PCAP_TCP_EVENT_WAKE;
		pcap_tcp_events_clear_wake(e);
	}
	if (fds[1].revents != 0)
		events |= PCAP_TCP_EVENT_STOP;
	return (events);
}
