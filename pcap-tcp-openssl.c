/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-openssl.c - loads OpenSSL 3
 */

#define _GNU_SOURCE	/* dlvsym() */

#include <config.h>

#ifdef PCAP_TCP_TLS

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "pcap-tcp-openssl.h"

#define STRING(x)	#x
#define SONAME(version)	"libssl.so." STRING(version)

#ifndef __GLIBC__	/* Others have no versions of symbols. */
#define dlvsym(library, name, version)	NULL
#endif

struct pcap_tcp_openssl pcap_tcp_openssl;

/*
 * A program may export an OpenSSL, or BoringSSL, that is linked into it: the
 * library's own calls would end there.  They don't in a shared OpenSSL 1.1.
 */
static int
is_called(void *library)
{
	void *first = dlsym(RTLD_DEFAULT, "ERR_clear_error");

	return (first == NULL || first == dlsym(library, "ERR_clear_error") ||
	    first == dlvsym(RTLD_DEFAULT, "ERR_clear_error", "OPENSSL_1_1_0"));
}

/* Returns NULL, or what is missing. */
static const char *
load(void)
{
	void *library = dlopen(SONAME(OPENSSL_SHLIB_VERSION),
	    RTLD_NOW | RTLD_LOCAL);
	void *address;

	if (library == NULL)
		return (dlerror());
#define LOAD(function) \
	address = dlsym(library, #function); \
	if (address == NULL) \
		return (#function); \
	memcpy(&pcap_tcp_openssl.function, &address, sizeof(address));
	PCAP_TCP_OPENSSL_FUNCTIONS(LOAD)
	return (is_called(library) ? NULL :
	    "the program has another one inside, which would be called");
}

const char *
pcap_tcp_openssl_load(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int loaded;
	const char *missing = NULL;

	pthread_mutex_lock(&mutex);
	if (!loaded)
		missing = load();
	loaded = missing == NULL;
	pthread_mutex_unlock(&mutex);
	return (missing);
}

const char *
pcap_tcp_openssl_reason(void)
{
	const char *reason = pcap_tcp_openssl.ERR_reason_error_string(
	    pcap_tcp_openssl.ERR_peek_error());

	return (reason != NULL ? reason : "unknown error");
}

void
pcap_tcp_openssl_enter(struct pcap_tcp_openssl_errors *errors)
{
	unsigned long code;

	errors->n = 0;
	while ((code = pcap_tcp_openssl.ERR_get_error()) != 0 && errors->n < 16)
		errors->code[errors->n++] = code;
}

void
pcap_tcp_openssl_leave(const struct pcap_tcp_openssl_errors *errors)
{
	unsigned int i;

	pcap_tcp_openssl.ERR_clear_error();
	for (i = 0; i < errors->n; i++) {
		pcap_tcp_openssl.ERR_new();
		pcap_tcp_openssl.ERR_set_error(ERR_GET_LIB(errors->code[i]),
		    ERR_GET_REASON(errors->code[i]), NULL);
	}
}

#endif
