/*
 * daq.c: -i DEVICE | -r FILE [FILTER]: a line per packet, through Snort's data
 * acquisition library and its pcap module.
 */
#include <sys/time.h>
#include <daq.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static DAQ_Verdict
on_packet(void *user, const DAQ_PktHdr_t *h, const uint8_t *data)
{
	(void)user;
	(void)data;
	printf("P %ld.%06ld %u\n", (long)h->ts.tv_sec, (long)h->ts.tv_usec,
	    h->caplen);
	fflush(stdout);
	return (DAQ_VERDICT_PASS);
}

int
main(int argc, char **argv)
{
	const char *folders[] = { DAQ_FOLDER, NULL };
	const DAQ_Module_t *module;
	DAQ_Config_t config;
	char error[512] = "";
	void *daq = NULL;

	daq_load_modules(folders);
	module = daq_find_module("pcap");
	if (module == NULL)
		return (2);
	memset(&config, 0, sizeof(config));
	config.name = argv[2];
	config.snaplen = 65535;
	config.timeout = 100;
	config.mode = strcmp(argv[1], "-r") == 0 ? DAQ_MODE_READ_FILE :
	    DAQ_MODE_PASSIVE;
	if (daq_initialize(module, &config, &daq, error, sizeof(error)) != 0) {
		fprintf(stderr, "daq: %s\n", error);
		return (1);
	}
	if (argc > 3 && daq_set_filter(module, daq, argv[3]) != 0)
		return (1);
	if (daq_start(module, daq) != 0) {
		fprintf(stderr, "daq: %s\n", daq_get_error(module, daq));
		return (1);
	}
	/* As Snort does: until it is told that there is no more. */
	for (;;) {
		int status = daq_acquire(module, daq, 0, on_packet, NULL);

		if (status != 0) {
			fprintf(stderr, "daq: %d %s\n", status,
			    daq_get_error(module, daq));
			return (status == DAQ_READFILE_EOF ? 0 : 1);
		}
	}
}
