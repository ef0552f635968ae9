/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-device - the device name grammar
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap-tcp-device.h"

static struct pcap_tcp_device device;
static char errbuf[256];

static int
parse(const char *name)
{
	errbuf[0] = '\0';
	return (pcap_tcp_device_parse(&device, name, errbuf, sizeof(errbuf)));
}

static void
assert_source(unsigned int i, enum pcap_tcp_scheme scheme, const char *host,
    unsigned short port)
{
	assert_true(i < device.nsources);
	assert_int_equal(device.source[i].scheme, scheme);
	assert_int_equal(device.source[i].port, port);
	if (host == NULL)
		assert_null(device.source[i].host);
	else
		assert_string_equal(device.source[i].host, host);
}

static void
claims_its_schemes_and_no_others(void **state)
{
	static const char *const ours[] = { "tcp:", "TCP:x", "tls:h", "unix:/x",
	    "tcp-listen:1", "TLS-Listen:1", "tcp://h:1" };
	static const char *const others[] = { "", "eth0", "tcp", "tcp0", "lo",
	    "any", "rpcap://h/eth0", "tcpx:h", " tcp:h", "udp:h:1", "tls@h",
	    "tcp-listen", "dbus://", "netmap:eth0",
	    "TCP@h:1", "tcp@h:1" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_int_equal(pcap_tcp_device_is_ours(ours[i]), 1);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(pcap_tcp_device_is_ours(others[i]), 0);
}

static void
accepts_hosts_and_ports(void **state)
{
	static const struct {
		const char *name, *host;
		unsigned short port;
	} good[] = {
		{ "tcp:10.0.0.5:57012", "10.0.0.5", 57012 },
		{ "tcp:10.0.0.5", "10.0.0.5", 57012 },
		{ "TCP:sensor-1.example.com:1", "sensor-1.example.com", 1 },
		{ "tcp:a_b:65535", "a_b", 65535 },
		{ "tcp:h:000000000000000000000000000000000000057", "h", 57 },
		{ "tcp:[::1]:5000", "::1", 5000 },
		{ "tcp:[::1]", "::1", 57012 },
		{ "tcp:[fe80::1%eth0.5]:80", "fe80::1%eth0.5", 80 },
		{ "tcp:[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1", 80 },
		{ "tcp://192.0.2.1:80", "192.0.2.1", 80 },
		{ "tcp://192.0.2.1", "192.0.2.1", 57012 },
		{ "TCP://[::1]:80 ,timeout=1", "::1", 80 },
		{ "tcp:0:80", "0", 80 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i].name), 0);
		assert_int_equal(device.nsources, 1);
		assert_source(0, PCAP_TCP_SCHEME_TCP, good[i].host,
		    good[i].port);
	}
}

static void
options_have_their_defaults_and_values(void **state)
{
	(void)state;
	assert_int_equal(parse("tcp:h"), 0);
	assert_int_equal(device.timeout, -1);
	assert_int_equal(device.keepalive, 30);
	assert_int_equal(device.reconnect, PCAP_TCP_RECONNECT_AFTER_REPORT);
	assert_int_equal(device.verify, 1);

	assert_int_equal(parse("tcp:h:1,TimeOut=0,keepalive=7,reconnect=YES"),
	    0);
	assert_int_equal(device.timeout, 0);
	assert_int_equal(device.keepalive, 7);
	assert_int_equal(device.reconnect, PCAP_TCP_RECONNECT_YES);
	assert_int_equal(parse("tcp:h:1,reconnect=no"), 0);
	assert_int_equal(device.reconnect, PCAP_TCP_RECONNECT_NO);
}

static void
yes_and_no_have_other_words(void **state)
{
	static const char *const yes[] = { "", "=true", "=on", "=1", "=True" };
	static const char *const no[] = { "=false", "=off", "=0", "=OFF" };
	char name[80];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		snprintf(name, sizeof(name), "tls:h,reconnect%s,verify%s",
		    yes[i], yes[i]);
		assert_int_equal(parse(name), 0);
		assert_int_equal(device.reconnect, PCAP_TCP_RECONNECT_YES);
		assert_int_equal(device.verify, 1);
	}
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		snprintf(name, sizeof(name), "tls:h,reconnect%s,verify%s",
		    no[i], no[i]);
		assert_int_equal(parse(name), 0);
		assert_int_equal(device.reconnect, PCAP_TCP_RECONNECT_NO);
		assert_int_equal(device.verify, 0);
	}
}

static void
blanks_may_stand_around_a_comma(void **state)
{
	(void)state;
	assert_int_equal(parse("tcp:h:1 , timeout=7,  reconnect ,keepalive=9"),
	    0);
	assert_source(0, PCAP_TCP_SCHEME_TCP, "h", 1);
	assert_int_equal(device.timeout, 7);
	assert_int_equal(device.reconnect, PCAP_TCP_RECONNECT_YES);
	assert_int_equal(device.keepalive, 9);
	assert_int_equal(parse("tls:h, ca=/a b.pem, cert=c , key=k "), 0);
	assert_string_equal(device.ca, "/a b.pem");
	assert_string_equal(device.cert, "c");
	assert_string_equal(device.key, "k ");
}

struct refusal {
	const char *name, *error;
};

static void
assert_refused(const struct refusal *bad, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		assert_int_equal(parse(bad[i].name), -1);
		if (strstr(errbuf, bad[i].error) == NULL)
			fail_msg("%s: \"%s\" lacks \"%s\"", bad[i].name,
			    errbuf, bad[i].error);
		assert_memory_equal(errbuf, bad[i].name, strlen(bad[i].name));
		assert_null(strchr(errbuf, '\n'));
	}
}

static void
refuses_with_the_part_and_what_was_expected(void **state)
{
	static const struct refusal bad[] = {
		{ "tcp:", "bad host \"\": expected a name" },
		{ "tcp::80", "bad host \"\"" },
		{ "tcp:h:", "bad port \"\": expected a number from 1 to" },
		{ "tcp:h:0", "bad port \"0\"" },
		{ "tcp:h:65536", "bad port \"65536\"" },
		{ "tcp:h:99999999999999999999", "bad port \"999999999999" },
		{ "tcp:h:12x", "bad port \"12x\"" },
		{ "tcp:h:-1", "bad port \"-1\"" },
		{ "tcp:h: 1", "bad port \" 1\"" },
		{ "tcp:-h:1", "bad host \"-h\"" },
		{ "tcp:a b:1", "bad host \"a b\"" },
		{ "tcp:h/x", "bad host \"h/x\"" },
		{ "tcp:user@h", "bad host \"user@h\"" },
		{ "tcp:::1:80", "bad address \"::1:80\": expected HOST:PORT" },
		{ "tcp:[::1", "bad address \"[::1\": expected a \"]\"" },
		{ "tcp:[::1]80", "expected \":PORT\"" },
		{ "tcp:[]:80", "an IPv6 address" },
		{ "tcp:[h]:80", "bad address \"h\": expected an IPv6 address" },
		{ "tcp:[fe80::1%]:80", "an IPv6 address" },
		{ "tcp:[::1]:x", "bad port \"x\"" },
		{ "tcp://h:1/", "bad port \"1/\"" },
		{ "tcp:h,", "bad option \"\": expected one of timeout" },
		{ "tcp:h,colour=red", "bad option \"colour\"" },
		{ "tcp:h,timeout", "bad timeout \"\": expected seconds" },
		{ "tcp:h,timeout=-1", "bad timeout \"-1\"" },
		{ "tcp:h,timeout=1.5", "bad timeout \"1.5\"" },
		{ "tcp:h,timeout=32768", "from 0 to 32767" },
		{ "tcp:h,keepalive=0", "from 1 to 32767" },
		{ "tcp:h,keepalive=32768", "from 1 to 32767" },
		{ "tcp:h,reconnect=maybe", "bad reconnect \"maybe\"" },
		{ "tcp:h,verify=", "bad verify \"\": expected yes or no" },
		{ "tls:h,ca=", "bad ca \"\": expected a value" },
		{ "tcp-listen:", "bad port \"\"" },
		{ "tcp:7201", "bad address \"7201\": expected HOST:PORT, such "
		    "as 127.0.0.1:57012" },
		{ "tcp-listen:127.0.0.1", "bad address \"127.0.0.1\": "
		    "expected HOST:PORT, such as" },
		{ "tls-listen:[::],cert=c,key=k", "bad address \"::\"" },
		{ "tls://7201,reconnect", "bad address \"7201\"" },
		{ "tcp:h:1+7201", "bad address \"7201\"" },
		{ "tcp:h:1,reconnect=", "bad reconnect \"\": expected yes or" },
		{ "tcp:h:1,timeout = 7", "bad option \"timeout \"" },
		{ "tcp:h:1, ", "bad option \"\"" },
		{ "tcp:////h:1", "bad host \"//h\"" },
		{ "unix:", "bad path \"\": expected the path" },
		{ "tcp:h+", "bad host \"\"" },
		{ "tcp:h:1+:2", "bad host \"\"" },
		{ "tcp:h:1+TCP@g:1", "bad host \"TCP@g\"" },
	};

	(void)state;
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
}

static void
schemes_take_their_addresses(void **state)
{
	char name[200] = "unix:/";

	(void)state;
	assert_int_equal(parse("tls:h:1,ca=/c.pem,servername=x"), 0);
	assert_source(0, PCAP_TCP_SCHEME_TLS, "h", 1);
	assert_string_equal(device.ca, "/c.pem");
	assert_string_equal(device.servername, "x");
	assert_int_equal(parse("tls:h,verify=no"), 0);
	assert_int_equal(device.verify, 0);
	assert_int_equal(parse("tls://h:1"), 0);
	assert_source(0, PCAP_TCP_SCHEME_TLS, "h", 1);

	assert_int_equal(parse("tcp-listen:57000"), 0);
	assert_source(0, PCAP_TCP_SCHEME_TCP_LISTEN, NULL, 57000);
	assert_int_equal(parse("tcp-listen:0.0.0.0:57000"), 0);
	assert_source(0, PCAP_TCP_SCHEME_TCP_LISTEN, "0.0.0.0", 57000);
	assert_int_equal(parse("tls-listen:[::]:57012,cert=c,key=k"), 0);
	assert_source(0, PCAP_TCP_SCHEME_TLS_LISTEN, "::", 57012);
	assert_string_equal(device.cert, "c");
	assert_string_equal(device.key, "k");

	assert_int_equal(parse("unix:/run/a b:c"), 0);
	assert_source(0, PCAP_TCP_SCHEME_UNIX, "/run/a b:c", 0);
	assert_int_equal(parse("unix:///run/a+tcp-listen://0.0.0.0:57000"), 0);
	assert_source(0, PCAP_TCP_SCHEME_UNIX, "/run/a", 0);
	assert_source(1, PCAP_TCP_SCHEME_TCP_LISTEN, "0.0.0.0", 57000);
	memset(name + 6, 'x', 106);
	assert_int_equal(parse(name), 0);
	name[6 + 106] = 'x';
	assert_int_equal(parse(name), -1);
	assert_non_null(strstr(errbuf, "at most 107 bytes"));

	assert_int_equal(parse("tcp:a,linktype=EN10MB"), 0);
	assert_string_equal(device.linktype, "EN10MB");
}

static void
workers_are_counted_from_one(void **state)
{
	static const struct {
		const char *name;
		unsigned int worker, nworkers;
	} good[] = {
		{ "tcp:h", 0, 0 },
		{ "tcp:h,fanout=1", 0, 1 },
		{ "tcp:h,fanout=256", 0, 256 },
		{ "tcp:h,fanout=1/1", 1, 1 },
		{ "tcp:h,Fanout=256/256", 256, 256 },
		{ "tcp-listen:1,fanout=2/4", 2, 4 },
	};
	static const struct refusal bad[] = {
		{ "tcp:h,fanout", "bad fanout \"\": expected N or K/N, N from "
		    "1 to 256, K from 1 to N" },
		{ "tcp:h,fanout=0", "bad fanout \"0\"" },
		{ "tcp:h,fanout=257", "bad fanout \"257\"" },
		{ "tcp:h,fanout=4294967297", "bad fanout \"4294967297\"" },
		{ "tcp:h,fanout=0/4", "bad fanout \"0/4\"" },
		{ "tcp:h,fanout=5/4", "bad fanout \"5/4\"" },
		{ "tcp:h,fanout=1/257", "bad fanout \"1/257\"" },
		{ "tcp:h,fanout=1/0", "bad fanout \"1/0\"" },
		{ "tcp:h,fanout=/4", "bad fanout \"/4\"" },
		{ "tcp:h,fanout=1/", "bad fanout \"1/\"" },
		{ "tcp:h,fanout=1/4/", "bad fanout \"1/4/\"" },
		{ "tcp:h,fanout=-1", "bad fanout \"-1\"" },
		{ "tcp:h,fanout= 1/4", "bad fanout \" 1/4\"" },
		{ "tcp:h,fanout=1/ 4", "bad fanout \"1/ 4\"" },
		{ "tcp:h,fanout=1x/4", "bad fanout \"1x/4\"" },
		{ "tcp:h,fanout=1/4,fanout=4", "bad fanout \"4\": expected one "
		    "fanout=, with N or with K/N" },
		{ "tcp-listen:1,fanout=4", "bad option \"fanout\": expected "
		    "fanout=K/N and a port for each worker" },
		{ "tcp:h+tcp-listen:1,fanout=4", "bad option \"fanout\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i].name), 0);
		assert_int_equal(device.worker, good[i].worker);
		assert_int_equal(device.nworkers, good[i].nworkers);
	}
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
}

static void
the_same_text_has_the_same_id(void **state)
{
	uint64_t id;

	(void)state;
	assert_int_equal(parse("tcp:h:1,fanout=4,timeout=1"), 0);
	id = device.id;
	assert_int_equal(parse("tcp:h:1,fanout=4,timeout=2"), 0);
	assert_true(device.id != id);
	assert_int_equal(parse("tcp:h:1,fanout=4,timeout=1"), 0);
	assert_true(device.id == id);
}

static void
sources_inherit_the_scheme_in_front_of_them(void **state)
{
	(void)state;
	assert_int_equal(parse("tcp:a:1+b:2+tls:c+d:4+unix:/e+tcp-listen:6+7"),
	    0);
	assert_int_equal(device.nsources, 7);
	assert_source(0, PCAP_TCP_SCHEME_TCP, "a", 1);
	assert_source(1, PCAP_TCP_SCHEME_TCP, "b", 2);
	assert_source(2, PCAP_TCP_SCHEME_TLS, "c", 57012);
	assert_source(3, PCAP_TCP_SCHEME_TLS, "d", 4);
	assert_source(4, PCAP_TCP_SCHEME_UNIX, "/e", 0);
	assert_source(5, PCAP_TCP_SCHEME_TCP_LISTEN, NULL, 6);
	assert_source(6, PCAP_TCP_SCHEME_TCP_LISTEN, NULL, 7);
	assert_int_equal(parse("tcp:a+a"), 0);
	assert_int_equal(device.nsources, 2);
}

#define A64	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_NAME	A64 A64 A64 A64

/* Nobody may get a stream without TLS who asked for what TLS gives. */
static void
tls_options_need_a_tls_source(void **state)
{
	static const struct refusal bad[] = {
		{ "tcp:h,ca=c", "bad option \"ca\": expected that on tls:" },
		{ "unix:/h,cert=c,key=k", "bad option \"cert\"" },
		{ "tcp-listen:1,key=k", "bad option \"key\"" },
		{ "tcp:h,verify=no", "bad option \"verify\"" },
		{ "tcp:h,servername=x", "bad option \"servername\"" },
		{ "tls:h,servername=", "bad servername \"\": expected a name" },
		{ "tls-listen:1,cert=c,key=k,servername=x",
		    "bad option \"servername\": expected that on tls:" },
		{ "tls:h,cert=c", "bad option \"cert\": expected both" },
		{ "tls:h,key=k", "bad option \"key\": expected both" },
		{ "tls-listen:1,cert=c,key=k,ca=c,verify=no",
		    "bad option \"verify\"" },
		{ "tls-listen:1", "cert= and key=, which tls-listen: needs" },
		{ "tls-listen:1,ca=c", "cert= and key=" },
	};

	(void)state;
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]));
	assert_int_equal(parse("tls:h,servername"), -1);
	assert_null(device.servername);
	assert_int_equal(parse("tls:h,servername=" LONG_NAME), -1);
	assert_non_null(strstr(errbuf, "bad servername \"aaaa"));
	assert_int_equal(parse("tcp:a+tls:b,ca=c"), 0);
}

static void
counts_the_sources(void **state)
{
	char name[PCAP_TCP_MAX_DEVICE] = "tcp:h";
	int i;

	(void)state;
	for (i = 1; i < PCAP_TCP_MAX_SOURCES; i++)
		strcat(name, "+h");
	assert_int_equal(parse(name), 0);
	assert_int_equal(device.nsources, 64);
	strcat(name, "+h");
	assert_int_equal(parse(name), -1);
	assert_non_null(strstr(errbuf, "at most 64 sources"));
}

static void
shows_long_and_unprintable_names_safely(void **state)
{
	char name[8192];
	size_t i;

	(void)state;
	assert_int_equal(parse("tcp:\033[2Jh\n\x9b:1"), -1);
	for (i = 0; errbuf[i] != '\0'; i++)
		assert_in_range((unsigned char)errbuf[i], 0x20, 0x7e);

	memset(name, 'x', sizeof(name));
	memcpy(name, "tcp:", 4);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(parse(name), -1);
	assert_non_null(strstr(errbuf, "...\": expected at most 4095 bytes"));
	name[4 + 256] = '\0';
	assert_int_equal(parse(name), -1);
	assert_non_null(strstr(errbuf, "bad host"));
	name[4 + 255] = '\0';
	assert_int_equal(parse(name), 0);
}

/* Else they would come out of the errors about these paths. */
static void
control_characters_are_refused(void **state)
{
	static const char *const bad[] = { "unix:/a\033[2J", "unix:/a\n",
	    "tls:h,ca=\x7f", "tls:h,cert=\001,key=k", "tls:h,cert=c,key=\t",
	    "tcp:h\r", "unix:/\xc2\x80", "unix:/\xc2\x9b" "2J" };
	static const char *const good[] = { "unix:/a b", "unix:/caf\xc3\xa9",
	    "unix:/\xc2\xa0", "unix:/\xc5\x9b", "unix:/\xc2" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i]), -1);
		assert_non_null(strstr(errbuf, "expected no control"));
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(parse(good[i]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims_its_schemes_and_no_others),
		cmocka_unit_test(accepts_hosts_and_ports),
		cmocka_unit_test(options_have_their_defaults_and_values),
		cmocka_unit_test(yes_and_no_have_other_words),
		cmocka_unit_test(blanks_may_stand_around_a_comma),
		cmocka_unit_test(refuses_with_the_part_and_what_was_expected),
		cmocka_unit_test(schemes_take_their_addresses),
		cmocka_unit_test(workers_are_counted_from_one),
		cmocka_unit_test(the_same_text_has_the_same_id),
		cmocka_unit_test(sources_inherit_the_scheme_in_front_of_them),
		cmocka_unit_test(tls_options_need_a_tls_source),
		cmocka_unit_test(counts_the_sources),
		cmocka_unit_test(shows_long_and_unprintable_names_safely),
		cmocka_unit_test(control_characters_are_refused),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
