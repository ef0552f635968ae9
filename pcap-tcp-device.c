/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-device.c - from a device name to a struct
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "pcap-tcp-device.h"
#include "pcap-tcp-hash.h"

#define MAX_SHOWN	60	/* bytes of a name that an error repeats */

#define DIGITS		"0123456789"

static const struct scheme {
	const char *prefix;
	enum pcap_tcp_scheme scheme;
} schemes[] = {
	{ "tcp:", PCAP_TCP_SCHEME_TCP },
	{ "tls:", PCAP_TCP_SCHEME_TLS },
	{ "tcp-listen:", PCAP_TCP_SCHEME_TCP_LISTEN },
	{ "tls-listen:", PCAP_TCP_SCHEME_TLS_LISTEN },
	{ "unix:", PCAP_TCP_SCHEME_UNIX },
	{ NULL, PCAP_TCP_SCHEME_TCP }
};

/* Where an error goes, and the device that it is about. */
struct error {
	char *buf;
	size_t size;
	const char *device;
};

static const struct scheme *
find_scheme(const char *text)
{
	const struct scheme *s;

	for (s = schemes; s->prefix != NULL; s++) {
		if (strncasecmp(text, s->prefix, strlen(s->prefix)) == 0)
			return (s);
	}
	return (NULL);
}

int
pcap_tcp_device_is_ours(const char *name)
{
	return (find_scheme(name) != NULL);
}

static const char *
dots(const char *text)
{
	return (strlen(text) > MAX_SHOWN ? "..." : "");
}

/*
 * "DEVICE: bad WHAT "PART": expected EXPECTED"; returns -1.  Names come from
 * command lines and web forms, and errors go to terminals and logs, so nothing
 * unprintable passes.
 */
static int
refuse(const struct error *err, const char *what, const char *part,
    const char *expected)
{
	char *c;

	snprintf(err->buf, err->size, "%.*s%s: bad %s \"%.*s%s\": expected %s",
	    MAX_SHOWN, err->device, dots(err->device), what, MAX_SHOWN, part,
	    dots(part), expected);
	for (c = err->buf; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return (-1);
}

/* A decimal number from low to high, or -1.  Leading zeros are let through. */
static int
parse_number(const char *what, const char *text, const char *unit, int low,
    int high, const struct error *err)
{
	long n = strtol(text, NULL, 10);
	char expected[64];

	if (*text != '\0' && text[strspn(text, DIGITS)] == '\0' && n >= low &&
	    n <= high)
		return ((int)n);
	snprintf(expected, sizeof(expected), "%sa number from %d to %d", unit,
	    low, high);
	return (refuse(err, what, text, expected));
}

static int
check_name(const char *what, const char *host, const struct error *err)
{
	const char *c = host;

	while (*c > ' ' && *c <= '~' && strchr("/@[]%=\"\\", *c) == NULL)
		c++;
	if (*host == '\0' || *host == '-' || *c != '\0' ||
	    strlen(host) > PCAP_TCP_MAX_HOST)
		return (refuse(err, what, host,
		    "a name, an IPv4 address or an [IPv6] address"));
	return (0);
}

/*
 * HOST, HOST:PORT, [IPv6] or [IPv6]:PORT.  Cuts the text in two and leaves in
 * *text the port's part, NULL if there is none.
 */
static int
parse_host(char **text, struct pcap_tcp_address *address,
    const struct error *err)
{
	char *host = *text, *end;
	size_t length;

	if (*host != '[') {
		if (strchr(host, ':') != strrchr(host, ':'))
			return (refuse(err, "address", host,
			    "HOST:PORT, with brackets around an IPv6 address: "
			    "[::1]:57012"));
		address->host = strsep(text, ":");
		return (check_name("host", host, err));
	}
	end = strchr(host, ']');
	if (end == NULL)
		return (refuse(err, "address", host,
		    "a \"]\" behind the IPv6 address"));
	if (end[1] != '\0' && end[1] != ':')
		return (refuse(err, "address", host,
		    "\":PORT\" behind the \"]\""));
	*end = '\0';
	*text = end[1] == ':' ? end + 2 : NULL;
	address->host = ++host;
	/* An address, and a zone or none; getaddrinfo() judges them. */
	length = strspn(host, DIGITS "abcdefABCDEF:.");
	if (memchr(host, ':', length) == NULL || (host[length] != '\0' &&
	    (host[length] != '%' || host[length + 1] == '\0')))
		return (refuse(err, "address", host,
		    "an IPv6 address with or without a %zone in the brackets"));
	return (0);
}

static int
parse_address(char *text, const struct scheme *scheme,
    struct pcap_tcp_address *address, const struct error *err)
{
	char *port = text;
	int listens = pcap_tcp_is_listening(scheme->scheme);
	int number, is_number = text[strspn(text, DIGITS)] == '\0';

	address->scheme = scheme->scheme;
	if (scheme->scheme == PCAP_TCP_SCHEME_UNIX) {
		if (*text == '\0' ||
		    strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return (refuse(err, "path", text,
			    "the path of a socket, of at most 107 bytes"));
		address->host = text;
		return (0);
	}
	if (!(listens && is_number) && parse_host(&port, address, err) == -1)
		return (-1);
	/* Only what connects has a default port, only what listens no host. */
	if (port == NULL && listens != is_number)
		return (refuse(err, "address", address->host,
		    "HOST:PORT, such as 127.0.0.1:57012"));
	number = port == NULL ? PCAP_TCP_DEFAULT_PORT :
	    parse_number("port", port, "", 1, 65535, err);
	if (number == -1)
		return (-1);
	address->port = (unsigned short)number;
	return (0);
}

static int
parse_sources(struct pcap_tcp_device *device, char *texts,
    const struct error *err)
{
	/* The first source has one: pcap_tcp_device_is_ours(). */
	const struct scheme *own, *scheme = NULL;
	char *text;

	while ((text = strsep(&texts, "+")) != NULL) {
		if (device->nsources == PCAP_TCP_MAX_SOURCES)
			return (refuse(err, "source", text,
			    "at most 64 sources in one device"));
		own = find_scheme(text);
		if (own != NULL) {
			scheme = own;
			text += strlen(own->prefix);
			/* As in a URL. */
			if (strncmp(text, "//", 2) == 0)
				text += 2;
		}
		if (parse_address(text, scheme,
		    &device->source[device->nsources], err) == -1)
			return (-1);
		device->nsources++;
	}
	return (0);
}

struct option {
	const char *name;
	enum { SECONDS, YES_NO, CLOCK, TEXT, HOST, WORKERS } kind;
	void *field;	/* an int *, a const char **, or the device */
	int low;	/* the least of SECONDS; what "no" stands for */
};

static uint64_t
hash_name(const char *name)
{
	uint64_t words[PCAP_TCP_MAX_DEVICE / sizeof(uint64_t)] = { 0 };

	memcpy(words, name, strlen(name));
	return (pcap_tcp_hash(words, sizeof(words) / sizeof(words[0])));
}

/* N or K/N */
static int
parse_workers(struct pcap_tcp_device *device, const char *value,
    const struct error *err)
{
	const char *second = value + strspn(value, DIGITS);
	const char *n = *second == '/' ? ++second : value;
	unsigned long k = strtoul(value, NULL, 10);
	unsigned long nworkers = strtoul(n, NULL, 10);

	if (device->nworkers != 0)
		return (refuse(err, "fanout", value,
		    "one fanout=, with N or with K/N"));
	if (*n == '\0' || n[strspn(n, DIGITS)] != '\0' || nworkers < 1 ||
	    nworkers > PCAP_TCP_MAX_WORKERS ||
	    (n != value && (k < 1 || k > nworkers)))
		return (refuse(err, "fanout", value,
		    "N or K/N, N from 1 to 256, K from 1 to N"));
	device->nworkers = (unsigned int)nworkers;
	if (n != value)
		device->worker = (unsigned int)k;
	else
		device->id = hash_name(err->device);
	return (0);
}

static int
parse_value(const struct option *o, const char *value, const struct error *err)
{
	static const char *const words[] = { "no", "yes", "false", "true",
	    "off", "on", "0", "1", NULL };
	const char **text = o->field;
	int *number = o->field, i = 0;

	switch (o->kind) {

	case SECONDS:
		/* The limit is that of TCP_KEEPIDLE. */
		*number = parse_number(o->name, value, "seconds, ", o->low,
		    32767, err);
		return (*number == -1 ? -1 : 0);

	case YES_NO:
		while (words[i] != NULL && strcasecmp(value, words[i]) != 0)
			i++;
		if (words[i] == NULL)
			return (refuse(err, o->name, value, "yes or no"));
		*number = i % 2 != 0 ? 1 : o->low;
		return (0);

	case CLOCK:
		*number = strcasecmp(value, "arrival") == 0;
		if (!*number && strcasecmp(value, "sender") != 0)
			return (refuse(err, o->name, value,
			    "sender or arrival"));
		return (0);

	case TEXT:
		if (*value == '\0')
			return (refuse(err, o->name, value,
			    "a value behind \"=\""));
		break;

	case HOST:
		if (check_name(o->name, value, err) == -1)
			return (-1);
		break;

	case WORKERS:
		return (parse_workers(o->field, value, err));
	}
	*text = value;
	return (0);
}

/* Like strsep() at a comma, around which there may be blanks. */
static char *
cut_at_comma(char **text)
{
	char *part = strsep(text, ","), *end;

	if (*text != NULL) {
		for (end = *text - 1; end > part && end[-1] == ' '; end--)
			end[-1] = '\0';
		*text += strspn(*text, " ");
	}
	return (part);
}

static int
parse_options(struct pcap_tcp_device *device, char *text,
    const struct error *err)
{
	const struct option *o, options[] = {
		{ "timeout", SECONDS, &device->timeout, 0 },
		{ "keepalive", SECONDS, &device->keepalive, 1 },
		{ "reconnect", YES_NO, &device->reconnect,
		    PCAP_TCP_RECONNECT_NO },
		{ "verify", YES_NO, &device->verify, 0 },
		{ "timestamps", CLOCK, &device->arrival, 0 },
		{ "linktype", TEXT, &device->linktype, 0 },
		{ "fanout", WORKERS, device, 0 },
		{ "ca", TEXT, &device->ca, 0 },
		{ "cert", TEXT, &device->cert, 0 },
		{ "key", TEXT, &device->key, 0 },
		{ "servername", HOST, &device->servername, 0 },
		{ "log", TEXT, &device->log, 0 },
		{ NULL, TEXT, NULL, 0 }
	};
	const char *name, *value;
	char *rest;

	while ((rest = cut_at_comma(&text)) != NULL) {
		name = strsep(&rest, "=");
		o = options;
		while (o->name != NULL && strcasecmp(name, o->name) != 0)
			o++;
		if (o->name == NULL)
			return (refuse(err, "option", name, "one of timeout, "
			    "reconnect, keepalive, timestamps, linktype, "
			    "fanout, log, ca, cert, key, verify, "
			    "servername"));
		value = rest != NULL ? rest : o->kind == YES_NO ? "yes" : "";
		if (parse_value(o, value, err) == -1)
			return (-1);
	}
	return (0);
}

/*
 * Who asks for what TLS gives must not get a stream without it because of a
 * wrong scheme.
 */
static int
check_tls_options(const struct pcap_tcp_device *device,
    const struct error *err)
{
	int dials = 0, listens = 0;
	unsigned int i;
	const char *option = device->ca != NULL ? "ca" :
	    device->cert != NULL ? "cert" : device->key != NULL ? "key" :
	    device->verify ? NULL : "verify";

	for (i = 0; i < device->nsources; i++) {
		dials |= device->source[i].scheme == PCAP_TCP_SCHEME_TLS;
		listens |= device->source[i].scheme ==
		    PCAP_TCP_SCHEME_TLS_LISTEN;
	}
	if (option != NULL && !dials && !listens)
		return (refuse(err, "option", option,
		    "that on tls: and tls-listen: sources only"));
	if (listens && device->ca != NULL && !device->verify)
		return (refuse(err, "option", "verify",
		    "ca= or verify=no for tls-listen:, not both"));
	if (device->servername != NULL && !dials)
		return (refuse(err, "option", "servername",
		    "that on tls: sources only"));
	if ((device->cert == NULL) != (device->key == NULL))
		return (refuse(err, "option",
		    device->cert != NULL ? "cert" : "key",
		    "both cert= and key="));
	if (listens && device->cert == NULL)
		return (refuse(err, "options", "",
		    "cert= and key=, which tls-listen: needs"));
	return (0);
}

/* Who is handed a number has the same text as others, and the same port. */
static int
check_fanout(const struct pcap_tcp_device *device, const struct error *err)
{
	unsigned int i;

	if (device->nworkers == 0 || device->worker != 0)
		return (0);
	for (i = 0; i < device->nsources; i++) {
		if (pcap_tcp_is_listening(device->source[i].scheme))
			return (refuse(err, "option", "fanout", "fanout=K/N "
			    "and a port for each worker where they listen"));
	}
	return (0);
}

int
pcap_tcp_device_refuse(const char *name, const char *what, const char *part,
    const char *expected, char *errbuf, size_t size)
{
	const struct error err = { errbuf, size, name };

	return (refuse(&err, what, part, expected));
}

/*
 * A path is repeated in errors as it is, and a terminal would obey these: those
 * of ASCII, and U+0080 to U+009F in UTF-8.
 */
static int
has_control_character(const char *name)
{
	const unsigned char *c = (const unsigned char *)name;

	for (; *c != '\0'; c++) {
		if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 &&
		    c[1] < 0xa0))
			return (1);
	}
	return (0);
}

int
pcap_tcp_device_parse(struct pcap_tcp_device *device, const char *name,
    char *errbuf, size_t size)
{
	const struct error err = { errbuf, size, name };
	char *options = device->text;

	if (strlen(name) >= sizeof(device->text))
		return (refuse(&err, "device", name, "at most 4095 bytes"));
	if (has_control_character(name))
		return (refuse(&err, "device", name, "no control characters"));
	memset(device, 0, sizeof(*device));
	device->timeout = -1;
	device->keepalive = 30;
	device->verify = 1;
	strcpy(device->text, name);

	if (parse_sources(device, cut_at_comma(&options), &err) == -1 ||
	    parse_options(device, options, &err) == -1 ||
	    check_fanout(device, &err) == -1)
		return (-1);
	return (check_tls_options(device, &err));
}
