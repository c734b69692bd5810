/* main.c - daybookd: opens a store, mounts it, serves it. */
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
#include "publisher.h"
#include "session.h"

static void print_help(void)
{
	printf("usage: daybookd STORE MOUNTPOINT [-o option,...] [-f]\n"
	       "Mounts a Daybook store as a shared drive that forgets nothing; returns when it can be used.\n\n"
	       "  -f                     stay in the foreground, and log to stderr\n"
	       "  -h, --help             this\n"
	       "  -V, --version          the version\n\nOptions after -o:\n");
#define X(name, value, what) printf("  %-22s %s\n", name value, what);
	MOUNT_OPTIONS(X)
#undef X
	printf("\n`daybook init STORE` makes a store.  See daybookd(8).\n");
}

/* The daemon's child tells its parent, once, that it is ready (an empty line) or why it is not. */
static void tell_parent(int fd, const char *sentence)
{
	if (fd < 0)
		return;
	if (write(fd, sentence, strlen(sentence)) < 0)
		log_line(LOG_WARNING, "nobody waits for the daemon to be ready");
	close(fd);
}

/* Forks: in the child, *ret_pipe is where to tell; the parent waits, says what the child says, and exits. RocksDB does
 * not survive fork(), so this comes before the store is opened. */
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

static void detach_from_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") < 0 || null < 0)
		return;
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
}

/* What the start found from a daemon that did not close is said line by line. */
static void log_recovery(struct store *store)
{
	const char *at = store_recovery_report(store);

	while (*at) {
		size_t n = strcspn(at, "\n");

		log_line(LOG_NOTICE, "recovered: %.*s", (int)n, at);
		at += n + (at[n] == '\n');
	}
}

/* The tools put a version back: the kernel and open handles are told.  (control.h: changed) */
static void restored(void *arg, uint64_t ino, uint64_t parent, struct view name)
{
	struct mount *m = arg;

	files_restored(m->files, ino);
	notifier_inode(m->notifier, ino);
	notifier_inode(m->notifier, parent);
	notifier_entry(m->notifier, parent, name);
}

static int settle(void *arg, uint64_t ino, struct error *e)
{
	struct mount *m = arg;

	return files_settle(m->files, ino, e);
}

/* Without a socket the tools cannot ask, but the share works: that is said, and no reason not to mount. */
static void start_socket(struct mount *m)
{
	struct error warning = { 0 }, e = { 0 };

	m->control = (struct control_context){ .store = m->store,
					       .mountpoint = m->mountpoint,
					       .read_only = m->read_only,
					       .changed = restored,
					       .settle = settle,
					       .arg = m };
	if (socket_start(&m->control, &m->socket, &warning, &e) < 0)
		log_line(LOG_WARNING, "the tools cannot ask this daemon: %s", e.text);
	else if (warning.text[0])
		log_line(LOG_NOTICE, "the tools find this daemon at one place only: %s", warning.text);
}

static int start_parts(struct mount *m, struct bases **bases, struct error *e)
{
	int rc = bases_new(bases, e);

	if (rc == 0)
		rc = files_new(m->store, *bases, &m->files, e);
	if (rc == 0)
		rc = handles_new(&m->handles, e);
	if (rc == 0)
		rc = history_open(m->store, &m->history, e);
	if (rc == 0)
		rc = syncer_start(m->store, &m->syncer, e);
	if (rc == 0)
		rc = publisher_start(m->files, &m->publisher, e);
	return rc;
}

/* Lets go of everything in the reverse order; unsaved bytes are saved, the store is flushed. */
static void stop_parts(struct mount *m, struct bases *bases)
{
	socket_stop(m->socket);
	notifier_stop(m->notifier);
	publisher_stop(m->publisher);
	syncer_stop(m->syncer);
	session_end(m);
	files_free(m->files);
	handles_free(m->handles);
	history_close(m->history);
	bases_free(bases);
	store_close(m->store);
}

/* A mount for reading recovers what the last start left, as any; on a full disk it makes do with what is there. */
static int open_store(const struct config *config, struct store **ret, struct error *e)
{
	struct store_options options = { .cache_bytes = config->cache_bytes };
	int rc = store_open(config->store, &options, ret, e);

	if (rc != -E_NO_SPACE || !config->read_only)
		return rc;
	log_line(LOG_WARNING, "%s; unsaved bytes, if there are any, wait for a start with room", e->text);
	options.read_only = true;
	return store_open(config->store, &options, ret, e);
}

static int run(const struct config *config, int pipe, struct error *e)
{
	struct mount m = { .fd = -1, .read_only = config->read_only, .show_history = config->show_history };
	char *mountpoint = realpath(config->mountpoint, NULL);
	struct bases *bases = NULL;
	int rc = mountpoint ? 0 : error_system(e, "%s: cannot mount here", config->mountpoint);

	m.mountpoint = mountpoint;
	if (rc == 0)
		rc = open_store(config, &m.store, e);
	if (rc == 0) {
		log_recovery(m.store);
		rc = start_parts(&m, &bases, e);
	}
	if (rc == 0)
		rc = session_mount(&m, config, e);
	if (rc == 0)
		rc = notifier_start(m.session, &m.notifier, e);
	if (rc == 0) {
		start_socket(&m);
		if (!config->foreground)
			detach_from_terminal();
		tell_parent(pipe, "ready");
		rc = session_run(&m, e);
	} else {
		tell_parent(pipe, e->text);
	}
	stop_parts(&m, bases);
	free(mountpoint);
	return rc;
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
	session_block_signals();
	if (!config.foreground)
		rc = daemonize(&pipe, &e);
	log_open(config.foreground, config.debug);
	if (rc == 0)
		rc = run(&config, pipe, &e);
	if (rc < 0 && config.foreground)
		fprintf(stderr, "daybookd: %s\n", e.text);
	config_release(&config);
	return rc < 0 ? 1 : 0;
}
