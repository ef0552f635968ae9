/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * probe - what pcap-tcp-run asks that a shell cannot answer
 *
 *	probe LIBRARY			which libpcap it is, and its devices
 *	probe --capabilities FILE	has it file capabilities?
 *
 * The library is loaded by name, so that one program can ask any of them.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include <pcap/pcap.h>

struct library {
	const char *(*lib_version)(void);
	int	(*lookupnet)(const char *, bpf_u_int32 *, bpf_u_int32 *,
		    char *);
	int	(*findalldevs)(pcap_if_t **, char *);
	void	(*freealldevs)(pcap_if_t *);
	pcap_t *(*create)(const char *, char *);
	int	(*activate)(pcap_t *);
	char *(*geterr)(pcap_t *);
};

static int
load(struct library *library, const char *name)
{
	void *handle = dlopen(name, RTLD_NOW);

	if (handle == NULL)
		return (-1);
	/* The way to say it that C and POSIX agree on. */
	*(void **)&library->lib_version = dlsym(handle, "pcap_lib_version");
	*(void **)&library->lookupnet = dlsym(handle, "pcap_lookupnet");
	*(void **)&library->findalldevs = dlsym(handle, "pcap_findalldevs");
	*(void **)&library->freealldevs = dlsym(handle, "pcap_freealldevs");
	*(void **)&library->create = dlsym(handle, "pcap_create");
	*(void **)&library->activate = dlsym(handle, "pcap_activate");
	*(void **)&library->geterr = dlsym(handle, "pcap_geterr");
	if (library->lib_version == NULL || library->lookupnet == NULL ||
	    library->findalldevs == NULL || library->freealldevs == NULL ||
	    library->create == NULL || library->activate == NULL ||
	    library->geterr == NULL)
		return (-1);
	return (0);
}

/*
 * A file of named devices that cannot be read has none to list.  The error of
 * a name that is none says so.
 */
static void
print_fault(const struct library *library)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	pcap_t *p = library->create("?", errbuf);

	if (p != NULL && library->activate(p) < 0 &&
	    strncmp(library->geterr(p), "cannot read ", 12) == 0)
		printf("%s\n", library->geterr(p));
}

static void
print_devices(const struct library *library)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	pcap_if_t *devices, *d;

	if (library->findalldevs(&devices, errbuf) != 0) {
		printf("no list of devices: %s\n", errbuf);
		return;
	}
	for (d = devices; d != NULL; d = d->next) {
		printf("  %s", d->name);
		if (d->description != NULL)
			printf(" (%s)", d->description);
		printf("\n");
	}
	library->freealldevs(devices);
}

int
main(int argc, char **argv)
{
	struct library library;
	bpf_u_int32 net, mask;
	char errbuf[PCAP_ERRBUF_SIZE];
	int has_tcp;

	if (argc == 3 && strcmp(argv[1], "--capabilities") == 0)
		return (getxattr(argv[2], "security.capability", NULL, 0) <= 0);
	if (argc != 2 || load(&library, argv[1]) != 0) {
		fprintf(stderr, "probe: %s\n",
		    argc == 2 ? dlerror() : "one library, please");
		return (1);
	}
	/* It has a network, 0/0, where it is a device; else it is none. */
	has_tcp = library.lookupnet("tcp:localhost:1", &net, &mask,
	    errbuf) == 0;
	printf("%s, with%s tcp: devices\n", library.lib_version(),
	    has_tcp ? "" : "out");
	if (has_tcp)
		print_fault(&library);
	print_devices(&library);
	return (0);
}
