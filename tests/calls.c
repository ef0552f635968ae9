/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * calls - what programs call beyond reading, a line for each answer:
 *
 *	calls ask DEVICE	every call that asks or sets something
 *	calls find DEVICE	is it in pcap_findalldevs()' list?
 *	calls again DEVICE	activates until it works, twice at most
 *	calls live DEVICE	pcap_open_live()
 *	calls signals DEVICE	activates while SIGALRM, SIGCHLD and SIGHUP
 *				come, with SIGINT and SIGTERM caught by a flag
 *	calls ignore DEVICE	the same, with these two ignored
 *	calls chroot DEVICE	a line P for each packet that is read after a
 *				chroot() to an empty folder
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pcap/pcap.h>

static char errbuf[PCAP_ERRBUF_SIZE];
static volatile sig_atomic_t ending, alarms, children;

static pcap_t *
create(const char *device)
{
	pcap_t *p = pcap_create(device, errbuf);

	if (p == NULL) {
		printf("create: %s\n", errbuf);
		exit(1);
	}
	return (p);
}

static void
tell(const char *call, int result, const char *text)
{
	printf("%s: %d%s%s\n", call, result, result < 0 ? " " : "",
	    result < 0 ? text : "");
}

static void
ask_before(pcap_t *p)
{
	int *types, n;

	/* As real devices say it: not before the activation. */
	tell("early datalink", pcap_datalink(p), pcap_statustostr(
	    pcap_datalink(p)));
	tell("early inject", pcap_inject(p, "x", 1), pcap_geterr(p));
	tell("can_set_rfmon", pcap_can_set_rfmon(p), pcap_geterr(p));
	n = pcap_list_tstamp_types(p, &types);
	tell("tstamp_types", n, pcap_geterr(p));
	if (n > 0)
		pcap_free_tstamp_types(types);
	tell("set_tstamp_type", pcap_set_tstamp_type(p, PCAP_TSTAMP_HOST),
	    "");
	tell("set_tstamp_type adapter", pcap_set_tstamp_type(p,
	    PCAP_TSTAMP_ADAPTER), "");
	tell("set_tstamp_precision", pcap_set_tstamp_precision(p,
	    PCAP_TSTAMP_PRECISION_NANO), "");
	tell("set_promisc", pcap_set_promisc(p, 1), "");
	tell("set_immediate_mode", pcap_set_immediate_mode(p, 1), "");
	tell("set_buffer_size", pcap_set_buffer_size(p, 128 << 20), "");
	tell("set_protocol_linux", pcap_set_protocol_linux(p, 3), "");
}

static void
ask_after(pcap_t *p)
{
	struct bpf_program program;
	int *types, dlt, i, n;

	tell("datalink", pcap_datalink(p), "");
	n = pcap_list_datalinks(p, &types);
	printf("list_datalinks:");
	for (i = 0; i < n; i++)
		printf(" %d", types[i]);
	printf("\n");
	pcap_free_datalinks(types);
	tell("set_datalink same", pcap_set_datalink(p, pcap_datalink(p)),
	    pcap_geterr(p));
	tell("set_datalink other", pcap_set_datalink(p, DLT_PPP),
	    pcap_geterr(p));
	tell("setdirection inout", pcap_setdirection(p, PCAP_D_INOUT),
	    pcap_geterr(p));
	tell("setdirection in", pcap_setdirection(p, PCAP_D_IN),
	    pcap_geterr(p));
	tell("setdirection out", pcap_setdirection(p, PCAP_D_OUT),
	    pcap_geterr(p));
	tell("sendpacket", pcap_sendpacket(p, (const u_char *)"x", 1),
	    pcap_geterr(p));
	tell("inject", pcap_inject(p, "x", 1), pcap_geterr(p));
	tell("precision", pcap_get_tstamp_precision(p), "");
	tell("is_swapped", pcap_is_swapped(p), "");
	tell("major", pcap_major_version(p), "");
	tell("fileno", pcap_fileno(p) == pcap_get_selectable_fd(p), "");
	printf("required_select_timeout: %s\n",
	    pcap_get_required_select_timeout(p) == NULL ? "none" : "some");
	printf("file: %s\n", pcap_file(p) == NULL ? "none" : "some");
	tell("activate", pcap_activate(p), pcap_geterr(p));
	dlt = pcap_datalink(p);
	tell("set_datalink ethernet", pcap_set_datalink(p, DLT_EN10MB),
	    pcap_geterr(p));
	tell("datalink then", pcap_datalink(p), "");
	tell("set_datalink back", pcap_set_datalink(p, dlt), pcap_geterr(p));
	tell("datalink at last", pcap_datalink(p), "");
	tell("set_snaplen", pcap_set_snaplen(p, 100), pcap_geterr(p));
	tell("compile", pcap_compile(p, &program, "inbound", 1, 0),
	    pcap_geterr(p));
}

static void
ask(const char *device)
{
	bpf_u_int32 net = 1, mask = 1;
	pcap_t *p;

	tell("lookupnet", pcap_lookupnet(device, &net, &mask, errbuf),
	    errbuf);
	printf("net: %u/%u\n", net, mask);
	p = create(device);
	pcap_set_rfmon(p, 1);
	tell("activate rfmon", pcap_activate(p), pcap_statustostr(
	    PCAP_ERROR_RFMON_NOTSUP));
	pcap_close(p);

	p = create(device);
	ask_before(p);
	tell("activate", pcap_activate(p), pcap_geterr(p));
	ask_after(p);
	pcap_close(p);
}

static void
find(const char *device)
{
	pcap_if_t *list, *d;
	int found = 0;

	tell("findalldevs", pcap_findalldevs(&list, errbuf), errbuf);
	for (d = list; d != NULL; d = d->next)
		if (strcmp(d->name, device) == 0)
			found = 1;
	printf("listed: %d\n", found);
	pcap_freealldevs(list);
}

static void
again(const char *device)
{
	pcap_t *p = create(device);
	int i, status = -1;

	for (i = 0; i < 2 && status != 0; i++) {
		errno = 0;
		status = pcap_activate(p);
		tell("activate", status, pcap_geterr(p));
		if (status != 0) {
			printf("errno: %s\n", strerror(errno));
			tell("read", pcap_dispatch(p, 1, NULL, NULL), "");
			/* A program may do something about it. */
			printf("again?\n");
			getchar();
		}
	}
	pcap_close(p);
}

static void
on_ending(int number)
{
	ending = number;
}

static void
on_alarm(int number)
{
	(void)number;
	alarms++;
}

static void
on_child(int number)
{
	(void)number;
	children++;
	waitpid(-1, NULL, WNOHANG);
}

static void
signals(const char *device, void (*on_end)(int))
{
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
	struct sigaction action;
	sigset_t mask;
	pcap_t *p;
	int status;

	/* Without SA_RESTART: each of them interrupts a poll(). */
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_end;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = on_alarm;
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = on_child;
	sigaction(SIGCHLD, &action, NULL);
	if (fork() == 0) {
		usleep(100000);
		_exit(0);
	}
	setitimer(ITIMER_REAL, &often, NULL);

	p = create(device);
	printf("activating\n");
	status = pcap_activate(p);
	/* The handler has run when the call returns. */
	printf("ending: %d\n", (int)ending);
	printf("activate: %d %s (%s)\n", status, pcap_geterr(p),
	    status == 0 ? "" : strerror(errno));
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("blocked: %d\n", sigismember(&mask, SIGINT) +
	    sigismember(&mask, SIGTERM));
	printf("alarms: %s\n", alarms > 0 ? "some" : "none");
	printf("children: %d\n", (int)children);
	pcap_close(p);
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	(void)h;
	(void)data;
	printf("P\n");
}

static void
read_in_chroot(const char *device)
{
	char folder[] = "/tmp/pcap-tcp-calls-XXXXXX";
	pcap_t *p = pcap_open_live(device, 65535, 1, 100, errbuf);

	if (p == NULL || mkdtemp(folder) == NULL || chroot(folder) == -1) {
		printf("chroot: %s, %s\n", errbuf, strerror(errno));
		exit(1);
	}
	tell("loop", pcap_loop(p, -1, on_packet, NULL), pcap_geterr(p));
	pcap_close(p);
}

int
main(int argc, char **argv)
{
	pcap_t *p;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return (2);
	if (strcmp(argv[1], "ask") == 0)
		ask(argv[2]);
	else if (strcmp(argv[1], "find") == 0)
		find(argv[2]);
	else if (strcmp(argv[1], "again") == 0)
		again(argv[2]);
	else if (strcmp(argv[1], "signals") == 0)
		signals(argv[2], on_ending);
	else if (strcmp(argv[1], "ignore") == 0)
		signals(argv[2], SIG_IGN);
	else if (strcmp(argv[1], "chroot") == 0)
		read_in_chroot(argv[2]);
	else if (strcmp(argv[1], "live") == 0) {
		p = pcap_open_live(argv[2], 65535, 1, 100, errbuf);
		printf("open_live: %s\n", p == NULL ? errbuf : "0");
		if (p != NULL)
			pcap_close(p);
	}
	return (0);
}
