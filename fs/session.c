/* session.c - see session.h. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"
#include "log.h"
#include "ops.h"

#define THREADS 8 /* a large save keeps one busy: chunking runs on the thread that was asked to save */

static int open_device(struct error *e)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : error_system(e, "/dev/fuse: the kernel's FUSE device cannot be opened");
}

static int mount_device(struct mount *m, const struct config *config, int fd, struct error *e)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME | config->mount_flags |
			      (config->read_only ? MS_RDONLY : 0);
	char options[256];
	struct stat st;

	if (stat(config->mountpoint, &st) < 0)
		return error_system(e, "%s: cannot mount here", config->mountpoint);
	if (!S_ISDIR(st.st_mode))
		return error_set(e, -ENOTDIR, "%s: cannot mount here: not a directory", config->mountpoint);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
		 fd);
	if (mount(store_path(m->store), config->mountpoint, "fuse.daybookd", flags, options) < 0)
		return error_system(e, "%s: cannot mount here", config->mountpoint);
	return 0;
}

int session_mount(struct mount *m, const struct config *config, struct error *e)
{
	static const struct fuse_custom_io io = { .writev = kernel_writev, .read = kernel_read };
	char *argv[] = { "daybookd", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int fd = open_device(e), rc;

	if (fd < 0)
		return fd;
	rc = mount_device(m, config, fd, e);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	m->session = fuse_session_new(&args, &ops_table, sizeof(ops_table), m);
	fuse_opt_free_args(&args);
	if (!m->session || fuse_session_custom_io(m->session, &io, fd) != 0) {
		umount2(config->mountpoint, MNT_DETACH);
		close(fd);
		return error_set(e, -E_NO_MEMORY, "libfuse could not make a session");
	}
	m->fd = fd;
	m->mounted = true;
	return 0;
}

/* One of the threads that serve: reads a request, answers it, until the connection ends. */
static void *serve(void *arg)
{
	struct mount *m = arg;
	struct fuse_buf buf = { 0 };

	while (!fuse_session_exited(m->session)) {
		int n = fuse_session_receive_buf(m->session, &buf);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		if (!kernel_handle(m, m->fd, &buf))
			fuse_session_process_buf(m->session, &buf);
	}
	free(buf.mem);
	fuse_session_exit(m->session);
	pthread_kill(m->signal_thread, SIGUSR1); /* whoever waits for signals need not any more */
	return NULL;
}

static void wake(int number)
{
	(void)number;
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
}

/* Asks the kernel to end the mount: at once when nobody is on it, else as soon as the last one leaves it. */
static void unmount(struct mount *m)
{
	if (umount2(m->mountpoint, 0) < 0 && errno == EBUSY) {
		log_line(LOG_NOTICE, "%s is in use: it is detached, and ends for those who have files open",
			 m->mountpoint);
		umount2(m->mountpoint, MNT_DETACH);
	}
	m->mounted = false;
}

int session_run(struct mount *m, struct error *e)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, interrupt = { .sa_handler = wake };
	pthread_t threads[THREADS];
	int started = 0, number = SIGUSR1;
	sigset_t set;

	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGUSR2, &interrupt, NULL); /* without SA_RESTART: ends a read of the device */
	m->signal_thread = pthread_self();
	while (started < THREADS && pthread_create(&threads[started], NULL, serve, m) == 0)
		started++;
	if (!started)
		return error_set(e, -EAGAIN, "no thread could be started");
	stop_signals(&set);
	while (!fuse_session_exited(m->session) && sigwait(&set, &number) == 0 && number == SIGUSR1)
		;
	if (number != SIGUSR1) {
		unmount(m);
		fuse_session_exit(m->session);
	} else {
		m->mounted = false; /* the connection ended because somebody unmounted */
	}
	for (int i = 0; i < started; i++) {
		while (pthread_tryjoin_np(threads[i], NULL) == EBUSY) {
			pthread_kill(threads[i], SIGUSR2);
			usleep(2000);
		}
	}
	return 0;
}

void session_block_signals(void)
{
	sigset_t set;

	stop_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void session_end(struct mount *m)
{
	if (m->mounted)
		umount2(m->mountpoint, MNT_DETACH);
	m->mounted = false;
	if (m->session)
		fuse_session_destroy(m->session);
	m->session = NULL;
}
