/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-events.h - what a device waits for, and the one descriptor that
 * tells a program of it.
 *
 * The descriptor is an epoll(7) set: a program polls it as if it were a
 * socket.  In it are the watched sockets, a descriptor that wakes, and a
 * timer.  The device itself waits by poll(2), which sandboxed programs allow.
 * Another system needs another pcap-tcp-events.c, and no other file.
 *
 * Errors are errno values.  Only pcap_tcp_events_wake() and
 * pcap_tcp_flag_raise() may be called from a signal handler or another thread.
 */
#ifndef pcap_tcp_events_h
#define pcap_tcp_events_h

#include <stddef.h>
#include <stdint.h>

#define PCAP_TCP_NEVER	INT64_MAX	/* a time that does not come */

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t	pcap_tcp_now(void);

struct pcap_tcp_events {
	int fd;			/* selectable, for the life of the handle */
	int wake_fd;
	int timer_fd;
	int wake_is_set;	/* by pcap_tcp_events_set_ready() */
	int64_t timer;		/* when timer_fd becomes readable */
};

/* To be called before all others; pcap_tcp_events_close() may follow. */
void	pcap_tcp_events_init(struct pcap_tcp_events *e);

/* Returns 0, or -1; then, too, pcap_tcp_events_close() releases what it has. */
int	pcap_tcp_events_open(struct pcap_tcp_events *e);
void	pcap_tcp_events_close(struct pcap_tcp_events *e);

/*
 * Makes the descriptor readable until pcap_tcp_events_clear_wake(), and ends a
 * wait.  Each call is an edge to an edge-triggered program.
 */
void	pcap_tcp_events_wake(const struct pcap_tcp_events *e);
void	pcap_tcp_events_clear_wake(struct pcap_tcp_events *e);

/*
 * Makes the descriptor readable, or no longer; costs a system call only when
 * that changes.  Not ready also takes back pcap_tcp_events_wake().
 */
void	pcap_tcp_events_set_ready(struct pcap_tcp_events *e, int ready);

/* Makes the descriptor readable from that time on. */
void	pcap_tcp_events_set_timer(struct pcap_tcp_events *e, int64_t when);

/* A descriptor that somebody waits for. */
struct pcap_tcp_watch {
	const struct pcap_tcp_events *events;
	int fd;			/* -1: none */
	short wanted;		/* POLLIN or POLLOUT */
	short watched;		/* what the set looks for; 0: not in it */
	int waiting;		/* nothing to do before an event */
};

/*
 * Waits for a descriptor, which stays the caller's, from now on.  Returns 0
 * or -1.
 */
int	pcap_tcp_watch_start(struct pcap_tcp_watch *w, int fd, short wanted);

/* Waits for the descriptor no longer; to be called before it is closed. */
void	pcap_tcp_watch_stop(struct pcap_tcp_watch *w);

/* Waits for something else. */
void	pcap_tcp_watch_change(struct pcap_tcp_watch *w, short wanted);

/* Has the set look for what is wanted, or for nothing. */
void	pcap_tcp_watch_enable(struct pcap_tcp_watch *w, int on);

/* What pcap_tcp_events_wait() returns: */
#define PCAP_TCP_EVENT_WAKE	1	/* pcap_tcp_events_wake() was called */
#define PCAP_TCP_EVENT_STOP	2	/* stop_fd is readable */
#define PCAP_TCP_EVENT_WATCH	4	/* a watch no longer waits */

/*
 * Waits for one of n watches, for pcap_tcp_events_wake(), which this takes
 * back, for stop_fd (-1: none), or until that time; not at all if it has
 * passed.  Returns what came, 0 if nothing did, or -1.
 */
int	pcap_tcp_events_wait(struct pcap_tcp_events *e,
    struct pcap_tcp_watch **watches, size_t n, int stop_fd, int64_t until);
#define PCAP_TCP_MAX_WATCHES	256

/*
 * A flag that one thread raises for another: a descriptor that is readable
 * from then on.  Returns -1 on failure; close(2) releases it.
 */
int	pcap_tcp_flag_new(void);
void	pcap_tcp_flag_raise(int fd);

/*
 * Takes the flag down.  Returns 1, or 0 if it was not up; what was written
 * before it was raised is seen after.
 */
int	pcap_tcp_flag_take(int fd);

#endif
