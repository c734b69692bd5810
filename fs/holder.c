/* holder.c - see holder.h. */
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "notify.h"
#include "readiness.h"
#include "region.h"
#include "store/clock.h"
#include "store/store.h"

extern char **environ;

#define SAID_MAX 512
/* More would be faster still, but a page fault in a mapped file takes in as much. */
#define READ_AHEAD_KIB "2048"

struct holder {
	const struct config *config;
	char **arguments;
	char program[4096];      /* where it is on the disk: of `daybook restart`'s worker */
	int own_program;         /* the one that this process runs, whatever is on the disk now */
	int device, region_fd, signals, ready;
	int lock;                /* the store's, kept between two workers; 0: none */
	int notices[2];          /* from the workers, to notices_pass() */
	/* The workers write in it: nothing that root acts upon is read from it. */
	struct region *region;
	char store[4096], mountpoint[4096]; /* absolute */
	pid_t worker;            /* 0: none */
	int talk;                /* to it; -1: none */
	bool serving;            /* it was told to go */
	bool use_own;            /* the program on the disk did not come up */
	bool mounted, stopping, told;
	int failures;            /* workers in a row that served no second */
	int64_t start_at, started_at, serving_since; /* clock_monotonic() */
};

/* ------------------------------------------------------- the worker's side */

int worker_ready(const struct worker_ends *ends, const char *sentence, struct error *e)
{
	char go;

	if (send(ends->talk, sentence, strlen(sentence), MSG_NOSIGNAL) < 0)
		return error_system(e, "the holder of the mount is gone");
	if (strcmp(sentence, "ready") != 0)
		return 0;
	while (recv(ends->talk, &go, 1, 0) != 1) {
		if (errno != EINTR)
			return error_set(e, -ECONNRESET, "the share could not be mounted");
	}
	return 0;
}

/* ------------------------------------------------------------ the parent's */

static void tell_parent(struct holder *h, const char *sentence)
{
	if (h->ready < 0)
		return;
	if (write(h->ready, sentence, strlen(sentence)) < 0)
		log_line(LOG_WARNING, "nobody waits for the daemon to be ready");
	close(h->ready);
	h->ready = -1;
}

/* Says why the share is not there, to whoever listens. */
static void tell_failure(struct holder *h, const char *sentence)
{
	if (h->ready < 0 && !h->told)
		log_line(LOG_ERR, "%s", sentence);
	h->told = true;
	tell_parent(h, sentence);
}

/* ---------------------------------------------------------------- mounting */

static int check_mountpoint(const char *path, struct error *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_system(e, "%s: cannot mount here", path);
	return S_ISDIR(st.st_mode)
		       ? 0
		       : error_set(e, -ENOTDIR, "%s: cannot mount here: not a directory", path);
}

static int mount_share(struct holder *h, struct error *e)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME | h->config->mount_flags |
			      (h->config->read_only ? MS_RDONLY : 0);
	char options[256];

	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
		 h->device);
	if (mount(h->store, h->mountpoint, "fuse.daybookd", flags, options) < 0)
		return error_system(e, "%s: cannot mount here", h->config->mountpoint);
	h->mounted = true;
	return 0;
}

/* Asks the kernel to end the mount: at once when nobody is on it, else as soon as the last one
 * leaves it. */
static void unmount_share(struct holder *h)
{
	if (h->mounted && umount2(h->mountpoint, 0) < 0 && errno == EBUSY) {
		log_line(LOG_NOTICE,
			 "%s is in use: it is detached, and ends for those who have files open",
			 h->mountpoint);
		umount2(h->mountpoint, MNT_DETACH);
	}
	h->mounted = false;
}

/* Nobody serves any more: what waits is answered with errors, and the mount goes. */
static void abort_mount(struct holder *h)
{
	if (!h->mounted)
		return;
	umount2(h->mountpoint, MNT_FORCE);
	umount2(h->mountpoint, MNT_DETACH);
	h->mounted = false;
}

/* ----------------------------------------------------------------- workers */

static void exec_worker(const struct holder *h, int talk)
{
	char ends[80];
	int count = 0;
	sigset_t none;

	while (h->arguments[count])
		count++;
	char **arguments = calloc((size_t)count + 3, sizeof(*arguments));
	if (!arguments)
		_exit(127);
	snprintf(ends, sizeof(ends), "%d,%d,%d,%d,%d", h->device, h->region_fd, talk,
		 h->notices[1], h->lock);
	arguments[0] = h->arguments[0];
	arguments[1] = "--worker";
	arguments[2] = ends;
	memcpy(&arguments[3], &h->arguments[1], (size_t)(count - 1) * sizeof(*arguments));
	fcntl(h->device, F_SETFD, 0);
	fcntl(h->region_fd, F_SETFD, 0);
	fcntl(talk, F_SETFD, 0);
	fcntl(h->notices[1], F_SETFD, 0);
	if (h->lock)
		fcntl(h->lock, F_SETFD, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!h->use_own)
		execve(h->program, arguments, environ);
	fexecve(h->own_program, arguments, environ);
	_exit(127);
}

static int start_worker(struct holder *h, struct error *e)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_system(e, "socketpair");
	pid_t child = fork();
	if (child == 0)
		exec_worker(h, ends[1]);
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return error_system(e, "fork");
	}
	h->worker = child;
	h->talk = ends[0];
	h->started_at = clock_monotonic();
	return 0;
}

/* The program on the disk is another one than this process runs. */
static bool is_replaced(const struct holder *h)
{
	struct stat own, there;

	return fstat(h->own_program, &own) < 0 || stat(h->program, &there) < 0 ||
	       own.st_dev != there.st_dev || own.st_ino != there.st_ino;
}

/* One that serves for a while before it dies can go on doing so, and one that was killed while it
 * served did not die of what it serves; one that dies at once will do it again. */
static bool is_hopeless(struct holder *h, bool served, int status)
{
	int64_t now = clock_monotonic();
	bool from_outside = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	h->failures = served && (from_outside || now - h->serving_since >= NS_PER_SECOND)
			      ? 0
			      : h->failures + 1;
	/* What was short may be back. */
	h->start_at = now + (h->failures > 1 ? (h->failures - 1) * NS_PER_SECOND / 2 : 0);
	return h->failures >= HOLDER_TRIES;
}

static void describe_end(char *out, size_t n, int status)
{
	if (WIFSIGNALED(status))
		snprintf(out, n, "was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(out, n, "ended with status %d", WEXITSTATUS(status));
}

static int give_up(struct holder *h, const char *why)
{
	log_line(LOG_ERR, "%s: the share is unmounted: %s", h->mountpoint, why);
	abort_mount(h);
	return 1;
}

/* Plans the next worker after one that ended with status: -1 when the holder goes on, else the exit
 * status. */
static int plan_next(struct holder *h, int status)
{
	bool served = h->serving,
	     asked = served && WIFEXITED(status) && WEXITSTATUS(status) == WORKER_RESTART;
	char how[128];

	h->serving = false;
	h->start_at = 0;
	describe_end(how, sizeof(how), status);
	if (asked) {
		h->use_own = false;
		h->failures = 0;
		return -1;
	}
	if (!h->region->resends)
		return give_up(h, "the process that served it died, and this kernel cannot hand "
				  "over to another");
	if (!served && !h->use_own && is_replaced(h)) {
		log_line(LOG_ERR,
			 "%s cannot serve %s, it %s: the program that served it before goes on",
			 h->program, h->mountpoint, how);
		h->use_own = true;
		return -1;
	}
	if (is_hopeless(h, served, status))
		return give_up(h, "the process that serves it dies again and again");
	log_line(LOG_WARNING, "the process that served %s %s: another one takes over",
		 h->mountpoint, how);
	return -1;
}

/* The worker has ended: -1 when the holder goes on, else the exit status. */
static int worker_ended(struct holder *h, int status)
{
	char how[128], sentence[256];

	h->worker = 0;
	close(h->talk);
	h->talk = -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && h->serving)
		return 0; /* unmounted */
	if (!h->mounted && !h->serving && !h->stopping) {
		describe_end(how, sizeof(how), status);
		snprintf(sentence, sizeof(sentence), "the daemon %s before it was ready", how);
		tell_failure(h, sentence);
		return 1;
	}
	if (h->stopping) {
		abort_mount(h);
		return 1;
	}
	return plan_next(h, status);
}

void detach_from_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") < 0 || null < 0)
		return;
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
}

static void stop(struct holder *h)
{
	h->stopping = true;
	readiness_tell("STOPPING=1");
	if (!h->serving)
		return; /* when it is ready */
	unmount_share(h);
	if (h->worker)
		kill(h->worker, SIGTERM);
}

/* The kernel reads 128 KiB ahead, one request at a time; with more, several threads load and
 * decompress chunks while the reader works.  It can be told only now: its answer to the greeting
 * cuts what was set before.  Nothing here asks anything of the worker. */
static void widen_read_ahead(const struct holder *h)
{
	char path[64];
	struct statx st;

	if (statx(AT_FDCWD, h->mountpoint, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &st) < 0 ||
	    !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", st.stx_dev_major,
		 st.stx_dev_minor);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, READ_AHEAD_KIB, strlen(READ_AHEAD_KIB)) < 0)
		log_line(LOG_DEBUG, "%s could not be set: large files are read slower", path);
	if (fd >= 0)
		close(fd);
}

/* The worker has opened the store: what is left to do before it may go. */
static void worker_is_ready(struct holder *h)
{
	struct error e = { 0 };

	if (!h->mounted && (h->stopping || mount_share(h, &e) < 0)) {
		tell_failure(h,
			     h->stopping ? "asked to stop before the share was mounted" : e.text);
		close(h->talk);
		h->talk = -1;
		h->stopping = true;
		return;
	}
	if (send(h->talk, "g", 1, MSG_NOSIGNAL) != 1)
		return; /* it died: SIGCHLD tells */
	h->serving = true;
	h->serving_since = clock_monotonic();
	readiness_tell("READY=1");
	if (h->ready >= 0 && !h->config->foreground)
		detach_from_terminal();
	tell_parent(h, "ready");
	if (h->stopping)
		stop(h);
}

static void worker_speaks(struct holder *h)
{
	char said[SAID_MAX];
	ssize_t n = recv(h->talk, said, sizeof(said) - 1, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0) { /* its end follows */
			close(h->talk);
			h->talk = -1;
		}
		return;
	}
	said[n] = '\0';
	if (strcmp(said, "ready") == 0)
		worker_is_ready(h);
	else if (strcmp(said, HOLDER_GREETED) == 0)
		widen_read_ahead(h);
	else
		tell_failure(h, said);
}

/* ---------------------------------------------------------------- the loop */

/* -1: go on; else the exit status. */
static int signalled(struct holder *h)
{
	struct signalfd_siginfo info;
	int status;

	if (read(h->signals, &info, sizeof(info)) != sizeof(info))
		return -1;
	if (info.ssi_signo != SIGCHLD) {
		stop(h);
		return -1;
	}
	while (h->worker && waitpid(h->worker, &status, WNOHANG) == h->worker) {
		if (h->talk >= 0)
			worker_speaks(h); /* its last words */
		int done = worker_ended(h, status);
		if (done >= 0)
			return done;
	}
	return -1;
}

/* Until what the clock will make due, ms; -1: nothing. */
static int patience(const struct holder *h)
{
	int64_t due;

	if (!h->worker)
		due = h->start_at;
	else if (h->mounted && !h->serving && !h->use_own)
		due = h->started_at + HOLDER_START_S * NS_PER_SECOND;
	else
		return -1;
	int64_t left = (due - clock_monotonic()) / 1000000 + 1;
	return due && left > 0 ? (int)left : 0;
}

/* What the clock has made due: -1: go on; else the exit status. */
static int on_time(struct holder *h)
{
	struct error e = { 0 };

	if (patience(h) != 0)
		return -1;
	if (!h->worker)
		return start_worker(h, &e) < 0 ? give_up(h, e.text) : -1;
	if (is_replaced(h))
		kill(h->worker,
		     SIGKILL); /* its end makes the program that was there before go on */
	h->started_at = clock_monotonic();
	return -1;
}

static int keep(struct holder *h)
{
	int done = -1;

	while (done < 0) {
		struct pollfd on[2] = { { h->signals, POLLIN, 0 }, { h->talk, POLLIN, 0 } };
		int n = poll(on, 2, patience(h));

		if (n < 0 && errno != EINTR)
			return give_up(h, strerror(errno));
		if (n <= 0) {
			done = n == 0 ? on_time(h) : -1;
			continue;
		}
		if (h->talk >= 0 && (on[1].revents & (POLLIN | POLLHUP)))
			worker_speaks(h);
		if (on[0].revents & POLLIN)
			done = signalled(h);
	}
	return done;
}

static int open_signals(struct error *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? error_system(e, "signalfd") : fd;
}

/* When memory runs out, the worker is the better one to kill. */
static void outlive_the_worker(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "-900", 4) < 0)
		log_line(LOG_DEBUG, "oom_score_adj cannot be set");
	if (fd >= 0)
		close(fd);
}

/* A thread beside the loop that never allocates, so that a fork() at any moment is safe for what
 * exec_worker() does. */
static void *pass_notices(void *arg)
{
	struct holder *h = arg;

	notices_pass(h->notices[0], h->device);
	return NULL;
}

static int start_passing(struct holder *h, struct error *e)
{
	pthread_t thread;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, h->notices) < 0)
		return error_system(e, "socketpair");
	int err = pthread_create(&thread, NULL, pass_notices, h);
	if (err)
		return error_set(e, -err, "cannot start a thread: %s", strerror(err));
	pthread_detach(thread);
	return 0;
}

static int prepare(struct holder *h, struct error *e)
{
	ssize_t n = readlink("/proc/self/exe", h->program, sizeof(h->program) - 1);
	int rc = check_mountpoint(h->config->mountpoint, e);

	if (rc < 0)
		return rc;
	h->program[n > 0 ? n : 0] = '\0';
	h->own_program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	h->device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (h->device < 0)
		return error_system(e, "/dev/fuse: the kernel's FUSE device cannot be opened");
	h->signals = open_signals(e);
	rc = h->signals < 0 ? h->signals : region_new(&h->region_fd, e);
	if (rc == 0)
		rc = region_map(h->region_fd, &h->region, e);
	if (rc < 0)
		return rc;
	if (!realpath(h->config->store, h->store))
		return error_system(e, "%s", h->config->store);
	if (!realpath(h->config->mountpoint, h->mountpoint))
		return error_system(e, "%s: cannot mount here", h->config->mountpoint);
	int lock = store_open_lock(h->store, NULL); /* why not is for the worker to say */
	h->lock = lock < 0 ? 0 : lock;
	memcpy(h->region->store, h->store, sizeof(h->store));
	memcpy(h->region->mountpoint, h->mountpoint, sizeof(h->mountpoint));
	h->region->holder = getpid();
	outlive_the_worker();
	rc = start_passing(h, e);
	return rc < 0 ? rc : start_worker(h, e);
}

int holder_run(const struct config *config, char **arguments, int ready)
{
	struct holder h = {
		.config = config, .arguments = arguments, .ready = ready, .talk = -1, .device = -1
	};
	struct error e = { 0 };
	int status = 1;

	if (prepare(&h, &e) < 0)
		tell_failure(&h, e.text);
	else
		status = keep(&h);
	return status;
}
