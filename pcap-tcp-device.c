/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-device.c - from a device name to a struct
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "pcap-tcp-device.h"

#define MAX_SHOWN	60	/* bytes of a name that an error repeats */

#define IS_DIGIT(c)	((c) >= '0' && (c) <= '9')

static const struct scheme {
	const char *prefix;
	enum pcap_tcp_scheme scheme;
	int need_port;
} schemes[] = {
	/* The first prefix that fits counts. */
	{ "tcp://", PCAP_TCP_SCHEME_TCP, 0 },
	{ "tcp:", PCAP_TCP_SCHEME_TCP, 0 },
	/* Wireshark's default port is 19000, so the user has to choose. */
	{ "TCP@", PCAP_TCP_SCHEME_TCP, 1 },
	{ "tls:", PCAP_TCP_SCHEME_TLS, 0 },
	{ "tcp-listen:", PCAP_TCP_SCHEME_TCP_LISTEN, 0 },
	{ "tls-listen:", PCAP_TCP_SCHEME_TLS_LISTEN, 0 },
	{ "unix:", PCAP_TCP_SCHEME_UNIX, 0 },
	{ NULL, PCAP_TCP_SCHEME_TCP, 0 }
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

/*
 * Names come from command lines and web forms, and errors go to terminals
 * and logs, so nothing unprintable passes.
 */
static const char *
show(const char *text, char shown[MAX_SHOWN + 4])
{
	size_t i;

	for (i = 0; i < MAX_SHOWN && text[i] != '\0'; i++) {
		unsigned char c = (unsigned char)text[i];

		shown[i] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
	}
	strcpy(&shown[i], text[i] != '\0' ? "..." : "");
	return (shown);
}

/* "DEVICE: bad WHAT "PART": expected EXPECTED"; returns -1. */
static int
refuse(const struct error *err, const char *what, const char *part,
    const char *expected)
{
	char shown_device[MAX_SHOWN + 4], shown_part[MAX_SHOWN + 4];

	snprintf(err->buf, err->size, "%s: bad %s \"%s\": expected %s",
	    show(err->device, shown_device), what, show(part, shown_part),
	    expected);
	return (-1);
}

/*
 * A decimal number from low to high; -1 if it is none.  Leading zeros are
 * let through.
 */
static long
parse_number(const char *text, long low, long high)
{
	long n = 0;

	if (*text == '\0')
		return (-1);
	for (; *text != '\0'; text++) {
		if (!IS_DIGIT(*text))
			return (-1);
		n = n * 10 + (*text - '0');
		if (n > high)
			return (-1);
	}
	return (n < low ? -1 : n);
}

static int
parse_port(const char *text, unsigned short *port, const struct error *err)
{
	long n = parse_number(text, 1, USHRT_MAX);

	if (n == -1)
		return (refuse(err, "port", text, "a number from 1 to 65535"));
	*port = (unsigned short)n;
	return (0);
}

/* An IPv6 address and zone without its brackets; getaddrinfo() judges it. */
static int
check_ipv6(const char *host, const struct error *err)
{
	size_t address = strspn(host, "0123456789abcdefABCDEF:.");
	const char *zone = host + address;

	if (memchr(host, ':', address) == NULL ||
	    (*zone != '\0' && (*zone != '%' || zone[1] == '\0')))
		return (refuse(err, "address", host,
		    "an IPv6 address with or without a %zone in the brackets"));
	return (0);
}

static int
check_name(const char *what, const char *host, const struct error *err)
{
	const char *c;

	for (c = host; *c != '\0'; c++) {
		unsigned char u = (unsigned char)*c;

		if (u <= ' ' || u >= 0x7f || strchr("/@[]%=\"\\", u) != NULL)
			break;
	}
	if (*host == '\0' || *host == '-' || *c != '\0' ||
	    strlen(host) > PCAP_TCP_MAX_HOST)
		return (refuse(err, what, host,
		    "a name, an IPv4 address or an [IPv6] address"));
	return (0);
}

/*
 * HOST, HOST:PORT, [IPv6] or [IPv6]:PORT.  Cuts the text in two and sets
 * *port_text to the port's part, NULL if there is none.
 */
static int
split_host_port(char *text, const char **host, const char **port_text,
    const struct error *err)
{
	char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (end == NULL)
			return (refuse(err, "address", text,
			    "a \"]\" behind the IPv6 address"));
		if (end[1] != '\0' && end[1] != ':')
			return (refuse(err, "address", text,
			    "\":PORT\" behind the \"]\""));
		*end++ = '\0';
		*host = text + 1;
		*port_text = *end == ':' ? end + 1 : NULL;
		return (check_ipv6(*host, err));
	}
	end = strchr(text, ':');
	if (end != NULL && strchr(end + 1, ':') != NULL)
		return (refuse(err, "address", text,
		    "HOST:PORT, with brackets around an IPv6 address: "
		    "[::1]:57012"));
	if (end != NULL)
		*end++ = '\0';
	*host = text;
	*port_text = end;
	return (check_name("host", *host, err));
}

static int
parse_address(char *text, const struct scheme *scheme,
    struct pcap_tcp_address *address, const struct error *err)
{
	const char *port_text;

	address->scheme = scheme->scheme;
	address->host = NULL;
	address->port = 0;
	if (scheme->scheme == PCAP_TCP_SCHEME_UNIX) {
		if (*text == '\0' ||
		    strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return (refuse(err, "path", text,
			    "the path of a socket, of at most 107 bytes"));
		address->host = text;
		return (0);
	}
	if (pcap_tcp_is_listening(scheme->scheme) &&
	    text[strspn(text, "0123456789")] == '\0')
		return (parse_port(text, &address->port, err));

	if (split_host_port(text, &address->host, &port_text, err) == -1)
		return (-1);
	if (port_text != NULL)
		return (parse_port(port_text, &address->port, err));
	if (scheme->need_port)
		return (refuse(err, "address", text,
		    "HOST:PORT behind \"TCP@\" (which has two default ports: "
		    "57012 here, 19000 in Wireshark)"));
	address->port = PCAP_TCP_DEFAULT_PORT;
	return (0);
}

static int
parse_sources(struct pcap_tcp_device *device, char *text,
    const struct error *err)
{
	const struct scheme *scheme = NULL;
	char *next;

	for (; text != NULL; text = next) {
		const struct scheme *own = find_scheme(text);

		next = strchr(text, '+');
		if (next != NULL)
			*next++ = '\0';
		if (device->nsources == PCAP_TCP_MAX_SOURCES)
			return (refuse(err, "source", text,
			    "at most 64 sources in one device"));
		if (own != NULL) {
			scheme = own;
			text += strlen(own->prefix);
		}
		if (scheme == NULL)
			return (refuse(err, "device", text,
			    "a scheme: tcp:HOST:PORT"));
		if (parse_address(text, scheme,
		    &device->source[device->nsources], err) == -1)
			return (-1);
		device->nsources++;
	}
	return (0);
}

static int
parse_seconds(const char *option, const char *value, int low, int *seconds,
    const struct error *err)
{
	const long high = 32767;	/* TCP_KEEPIDLE's */
	long n = parse_number(value, low, high);
	char expected[64];

	if (n == -1) {
		snprintf(expected, sizeof(expected),
		    "seconds, a number from %d to %ld", low, high);
		return (refuse(err, option, value, expected));
	}
	*seconds = (int)n;
	return (0);
}

/* Returns 1 or 0, or -1 if it is neither. */
static int
parse_yes_no(const char *option, const char *value, const struct error *err)
{
	if (strcasecmp(value, "yes") == 0)
		return (1);
	if (strcasecmp(value, "no") == 0)
		return (0);
	return (refuse(err, option, value, "yes or no"));
}

static int
parse_string(const char *option, const char *value, const char **string,
    const struct error *err)
{
	if (*value == '\0')
		return (refuse(err, option, value, "a value behind \"=\""));
	*string = value;
	return (0);
}

static int
parse_option(struct pcap_tcp_device *device, const char *name,
    const char *value, const struct error *err)
{
	int yes;

	if (strcasecmp(name, "timeout") == 0)
		return (parse_seconds("timeout", value, 0, &device->timeout,
		    err));
	if (strcasecmp(name, "keepalive") == 0)
		return (parse_seconds("keepalive", value, 1,
		    &device->keepalive, err));
	if (strcasecmp(name, "reconnect") == 0) {
		yes = parse_yes_no("reconnect", value, err);
		device->reconnect = yes == 1 ? PCAP_TCP_RECONNECT_YES :
		    PCAP_TCP_RECONNECT_NO;
		return (yes == -1 ? -1 : 0);
	}
	if (strcasecmp(name, "verify") == 0) {
		device->verify = parse_yes_no("verify", value, err);
		return (device->verify == -1 ? -1 : 0);
	}
	if (strcasecmp(name, "linktype") == 0)
		return (parse_string(name, value, &device->linktype, err));
	if (strcasecmp(name, "ca") == 0)
		return (parse_string(name, value, &device->ca, err));
	if (strcasecmp(name, "cert") == 0)
		return (parse_string(name, value, &device->cert, err));
	if (strcasecmp(name, "key") == 0)
		return (parse_string(name, value, &device->key, err));
	if (strcasecmp(name, "servername") == 0) {
		if (check_name(name, value, err) == -1)
			return (-1);
		device->servername = value;
		return (0);
	}
	return (refuse(err, "option", name, "one of timeout, reconnect, "
	    "keepalive, linktype, ca, cert, key, verify, servername"));
}

static int
parse_options(struct pcap_tcp_device *device, char *text,
    const struct error *err)
{
	char *next, *value;

	for (; text != NULL; text = next) {
		next = strchr(text, ',');
		if (next != NULL)
			*next++ = '\0';
		value = strchr(text, '=');
		if (value != NULL)
			*value++ = '\0';
		if (parse_option(device, text, value != NULL ? value : "",
		    err) == -1)
			return (-1);
	}
	return (0);
}

static int
has_scheme(const struct pcap_tcp_device *device, enum pcap_tcp_scheme scheme)
{
	unsigned int i;

	for (i = 0; i < device->nsources; i++) {
		if (device->source[i].scheme == scheme)
			return (1);
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
	int dials = has_scheme(device, PCAP_TCP_SCHEME_TLS);
	int listens = has_scheme(device, PCAP_TCP_SCHEME_TLS_LISTEN);
	const char *option = device->ca != NULL ? "ca" :
	    device->cert != NULL ? "cert" : device->key != NULL ? "key" :
	    device->verify ? NULL : "verify";

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

int
pcap_tcp_device_refuse(const char *name, const char *what, const char *part,
    const char *expected, char *errbuf, size_t size)
{
	const struct error err = { errbuf, size, name };

	return (refuse(&err, what, part, expected));
}

int
pcap_tcp_device_parse(struct pcap_tcp_device *device, const char *name,
    char *errbuf, size_t size)
{
	const struct error err = { errbuf, size, name };
	size_t length = strlen(name);
	char *options;

	memset(device, 0, sizeof(*device));
	device->timeout = -1;
	device->keepalive = 30;
	device->verify = 1;
	if (length >= sizeof(device->text))
		return (refuse(&err, "device", name, "at most 4095 bytes"));
	memcpy(device->text, name, length + 1);

	options = strchr(device->text, ',');
	if (options != NULL)
		*options++ = '\0';
	if (parse_sources(device, device->text, &err) == -1 ||
	    parse_options(device, options, &err) == -1)
		return (-1);
	return (check_tls_options(device, &err));
}
