/* main.c - daybookd: the command line, and the two processes of a mount (holder.h). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "worker.h"
#include "store/store.h"

static void print_help(void)
{
	printf("usage: daybookd STORE MOUNTPOINT [-o option,...] [-f]\n"
	       "Mounts a Daybook store as a shared drive that forgets nothing; returns when it can "
	       "be used.\n\n"
	       "  -f                     stay in the foreground, and log to stderr\n"
	       "  -h, --help             this\n"
	       "  -V, --version          the version\n\nOptions after -o:\n");
#define X(name, value, what) printf("  %-22s %s\n", name value, what);
	MOUNT_OPTIONS(X)
#undef X
	printf("\n`daybook init STORE` makes a store.  See daybookd(8).\n");
}

/* Forks: in the child, *ret_pipe is where to tell; the parent waits, says what the child says, and
 * exits. RocksDB does not survive fork(), so this comes before the store is opened. */
static int daemonize(int *ret_pipe, struct error *e)
{
	char said[512] = "";
	size_t n = 0;
	ssize_t got;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_system(e, "pipe");
	pid_t child = fork();
	if (child < 0)
		return error_system(e, "fork");
	if (child == 0) {
		close(ends[0]);
		setsid();
		*ret_pipe = ends[1];
		return 0;
	}
	close(ends[1]);
	while (n < sizeof(said) - 1 && (got = read(ends[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	if (n && strcmp(said, "ready") == 0)
		_exit(0);
	fprintf(stderr, "daybookd: %s\n", n ? said : "the daemon died before it was ready");
	_exit(1);
}

int main(int argc, char **argv)
{
	struct config config;
	struct error e = { 0 };
	int pipe = -1, rc = config_parse(argc, argv, &config, &e);

	if (rc < 0) {
		fprintf(stderr, "daybookd: %s\n", e.text);
		config_release(&config);
		return 2;
	}
	if (config.help || config.version) {
		if (config.help)
			print_help();
		else
			printf("daybookd %s\n", DAYBOOK_VERSION);
		config_release(&config);
		return 0;
	}
	if (!config.is_worker && !config.foreground)
		rc = daemonize(&pipe, &e);
	log_open(config.foreground, config.debug);
	if (rc < 0)
		fprintf(stderr, "daybookd: %s\n", e.text);
	else
		rc = config.is_worker ? worker_run(&config, &config.ends)
				      : holder_run(&config, argv, pipe);
	config_release(&config);
	return rc < 0 ? 1 : rc;
}
