/* worker.c - see worker.h. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine.h"
#include "log.h"
#include "proc.h"
#include "resent.h"
#include "session.h"
#include "store/clock.h"

/* What recovery did for a daemon that did not close is said line by line. */
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

static void await_kernel(void *arg)
{
	struct mount *m = arg;

	notifier_wait(m->notifier);
}

static int settle(void *arg, uint64_t ino, struct error *e)
{
	struct mount *m = arg;

	return files_settle(m->files, ino, e);
}

/* Known once the kernel has greeted, which it does after the tools can ask. */
static bool can_restart(void *arg)
{
	struct mount *m = arg;

	return m->region->resends;
}

static void restart(void *arg)
{
	struct mount *m = arg;

	m->restart = true;
	session_stop(m);
}

/* What the store's disk refused is over, but not for this process. */
static void store_stopped(void *arg)
{
	struct mount *m = arg;

	if (!can_restart(m)) {
		log_line(LOG_ERR,
			 "%s takes no changes since a write to its disk failed: unmount the share "
			 "and mount it again",
			 store_path(m->store));
		return;
	}
	log_line(LOG_WARNING,
		 "%s takes no changes since a write to its disk failed, which takes writes again: "
		 "another process "
		 "opens it",
		 store_path(m->store));
	restart(m);
}

/* Without a socket the tools cannot ask, but the share works: that is said, and no reason not to
 * mount. */
static void start_socket(struct mount *m)
{
	struct error warning = { 0 }, e = { 0 };

	m->control = (struct control_context){ .store = m->store,
					       .mountpoint = m->mountpoint,
					       .read_only = m->read_only,
					       .changed = restored, .await_kernel = await_kernel,
					       .settle = settle,
					       .can_restart = can_restart,
					       .restart = restart,
					       .holder = (uint32_t)m->region->holder,
					       .workers = m->region->workers,
					       .mounted_ns = m->region->mounted_ns,
					       .started_ns = m->region->started_ns,
					       .arg = m };
	if (socket_start(&m->control, &m->socket, &warning, &e) < 0)
		log_line(LOG_WARNING, "the tools cannot ask this daemon: %s", e.text);
	else if (warning.text[0])
		log_line(LOG_NOTICE, "the tools find this daemon at one place only: %s",
			 warning.text);
}

static int start_parts(struct mount *m, struct error *e)
{
	int rc = bases_new(region_bases(m->region), &m->bases, e);

	if (rc == 0)
		rc = files_new(m->store, m->bases, &m->files, e);
	if (rc == 0)
		rc = handles_new(region_handles(m->region), &m->handles, e);
	if (rc == 0)
		rc = history_open(m->store, region_nodes(m->region), &m->history, e);
	if (rc == 0)
		rc = syncer_start(m->store, &m->syncer, e);
	return rc;
}

/* What is open of the past; the next worker opens it again. */
static void release_past(struct mount *m)
{
	struct handle *handle = NULL;

	while (m->handles && (handle = handle_next(m->handles, handle ? handle->id : 0))) {
		history_release(handle->past);
		handle->past = NULL;
	}
}

/* Lets go of everything in the reverse order; the store is flushed.  Unsaved bytes are saved, or
 * left in their journals for a worker that goes on. */
static void stop_parts(struct mount *m)
{
	socket_stop(m->socket);
	notifier_stop(m->notifier);
	packer_stop(m->packer);
	publisher_stop(m->publisher);
	syncer_stop(m->syncer);
	session_end(m);
	files_free(m->files, m->restart);
	release_past(m);
	handles_free(m->handles);
	inode_set_release(&m->listed, NULL, NULL);
	history_close(m->history);
	resent_free(m->resent);
	bases_free(m->bases);
	store_close(m->store);
}

/* Each opening of a store takes a descriptor of its lock with it. */
static int another(int lock)
{
	int fd = lock ? fcntl(lock, F_DUPFD_CLOEXEC, 3) : 0;

	return fd < 0 ? 0 : fd;
}

/* A mount for reading recovers what the last start left, as any; on a full disk it makes do with
 * what is there. */
static int open_store(const char *path, const struct config *config, bool take_over,
		      struct store **ret, struct error *e)
{
	struct store_options options = { .cache_bytes = config->cache_bytes,
					 .take_over = take_over,
					 .lock = another(config->ends.lock) };
	int rc = store_open(path, &options, ret, e);

	if (rc != -E_NO_SPACE || !config->read_only)
		return rc;
	log_line(LOG_WARNING, "%s; unsaved bytes, if there are any, wait for a start with room",
		 e->text);
	options.read_only = true;
	options.lock = another(config->ends.lock);
	return store_open(path, &options, ret, e);
}

/* Before there is a second thread; the share is served all the same when something could not be
 * given up. */
static void confine(const struct config *config, const char *store)
{
	struct confinement confinement = { .store = store, .proc = proc_mount() };
	struct error e = { 0 };

	socket_make_place();
	if (config->unconfined)
		log_line(LOG_WARNING, "%s is served with all the rights of root, as asked", store);
	else if (confine_process(&confinement, &e) < 0)
		log_line(LOG_WARNING, "%s is served with more rights than needed: %s", store,
			 e.text);
}

/* Opens all that serves.  A region in which the kernel was greeted is one that another worker
 * left. */
static int prepare(struct mount *m, const struct config *config, const struct worker_ends *ends,
		   struct error *e)
{
	int rc = region_map(ends->region, &m->region, e);

	if (rc == 0 && getppid() != m->region->holder) /* it died before die_with_the_holder() */
		rc = error_set(e, -ECONNRESET, "the holder of the mount is gone");
	bool take_over = rc == 0 && m->region->workers > 0;

	if (rc == 0) {
		confine(config, m->region->store);
		m->mountpoint = m->region->mountpoint;
		rc = open_store(m->region->store, config, take_over, &m->store, e);
	}
	if (rc == 0)
		rc = start_parts(m, e);
	if (rc == 0 && take_over)
		rc = resent_prepare(m, e);
	if (rc < 0)
		return rc;
	log_recovery(m->store);
	if (!take_over) {
		int64_t time;

		store_head(m->store, &m->region->mounted_change, &time);
		m->region->mounted_ns = clock_now();
	}
	m->region->workers++;
	m->region->started_ns = clock_now();
	rc = session_new(m, ends->device, e);
	if (rc == 0)
		rc = notifier_start(ends->notices, &m->notifier, e);
	if (rc == 0)
		rc = resent_tell(m, e);
	if (rc == 0)
		rc = publisher_start(m->files, m->store, store_stopped, m, &m->publisher, e);
	if (rc == 0 && !store_is_read_only(m->store) && !m->read_only && !config->no_pack)
		rc = packer_start(m->store, config->pack_age_s, &m->packer, e);
	return rc;
}

static void stay_killable(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0", 1) < 0)
		log_line(LOG_DEBUG, "oom_score_adj cannot be set");
	if (fd >= 0)
		close(fd);
}

/* A file that is being written has its unsaved bytes in a file of the store's. */
static void open_many(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* Until the share is mounted there is nothing to serve without the process that mounts it: whoever
 * starts it again must not find the store taken. */
static void die_with_the_holder(bool yes)
{
	prctl(PR_SET_PDEATHSIG, yes ? SIGKILL : 0, 0, 0, 0);
}

int worker_run(const struct config *config, const struct worker_ends *ends)
{
	struct mount m = { .fd = ends->device, .holder = ends->talk, .read_only = config->read_only,
			   .show_history = config->show_history };
	struct error e = { 0 };

	die_with_the_holder(true);
	session_block_signals(&m);
	stay_killable();
	open_many();
	fcntl(ends->device, F_SETFD, FD_CLOEXEC);
	fcntl(ends->region, F_SETFD, FD_CLOEXEC);
	fcntl(ends->talk, F_SETFD, FD_CLOEXEC);
	fcntl(ends->notices, F_SETFD, FD_CLOEXEC);
	if (ends->lock)
		fcntl(ends->lock, F_SETFD, FD_CLOEXEC);
	inode_set_init(&m.listed);
	int rc = prepare(&m, config, ends, &e);
	if (rc < 0)
		worker_ready(ends, e.text, NULL);
	else
		rc = worker_ready(ends, "ready", &e);
	die_with_the_holder(false);
	if (rc == 0) {
		start_socket(&m);
		if (!config->foreground)
			detach_from_terminal();
		rc = session_run(&m, &e);
		if (rc < 0)
			log_line(LOG_ERR, "%s", e.text);
	}
	stop_parts(&m);
	return rc < 0 ? 1 : m.restart ? WORKER_RESTART : 0;
}
