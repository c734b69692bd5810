/* config.c - the command line of daybookd and its options: fs/config.h.
 * Input: the arguments, each ended by a NUL. */
#include "fs/config.h"
#include "fuzz.h"

#define ARGUMENTS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *text = take_text(&in), *argv[ARGUMENTS + 1] = { "daybookd" };
	struct config config;
	struct error e = { 0 };
	int argc = 1;

	for (char *at = text; at < text + size && argc < ARGUMENTS; at += strlen(at) + 1)
		argv[argc++] = at;
	int rc = config_parse(argc, argv, &config, &e);
	must(rc == 0 || (rc == e.code && e.text[0]));
	if (rc == 0) {
		must(config.help || config.version || (config.store && config.mountpoint));
		must(config.cache_bytes == 0 ||
		     (config.cache_bytes >= 16u << 20 && config.cache_bytes <= 1ull << 40));
	}
	config_release(&config);
	free(text);
	return 0;
}
