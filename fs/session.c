/* session.c - see session.h. */
#include "session.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel.h"
#include "pacer.h"
#include "resent.h"
#include "ops.h"
#include "waiters.h"

/* A large save keeps one busy: chunking runs on the thread that was asked to save. */
#define THREADS 8

static struct waiters waiters;

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
}

void session_block_signals(struct mount *m)
{
	sigset_t set;

	stop_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	m->signal_thread = pthread_self();
}

/* What the kernel said when it was mounted is told to libfuse again; its answer goes nowhere. */
static void replay_init(struct mount *m)
{
	struct fuse_buf buf = { .size = m->region->init_len, .mem = m->region->init };

	if (!m->region->init_len)
		return;
	kernel_expect_replay(m->region);
	fuse_session_process_buf(m->session, &buf);
}

int session_new(struct mount *m, int device, struct error *e)
{
	static const struct fuse_custom_io io = { .writev = kernel_writev, .read = kernel_read };
	char *argv[] = { "daybookd", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	m->session = fuse_session_new(&args, &ops_table, sizeof(ops_table), m);
	fuse_opt_free_args(&args);
	if (!m->session || fuse_session_custom_io(m->session, &io, device) != 0)
		return error_set(e, -E_NO_MEMORY, "libfuse could not make a session");
	m->fd = device;
	replay_init(m);
	return 0;
}

static void answer(struct mount *m, const struct fuse_buf *request)
{
	request_begin(request);
	if (!resent_handle(m, m->fd, request) && !kernel_handle(m, m->fd, request))
		fuse_session_process_buf(m->session, request);
}

/* One of the threads that serve: reads a request, answers it, until the connection ends. */
static void *serve(void *arg)
{
	struct mount *m = arg;
	struct fuse_buf buf = { 0 };

	while (!fuse_session_exited(m->session)) {
		waiters_join(&waiters);
		int n = fuse_session_receive_buf(m->session, &buf);
		waiters_leave(&waiters);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		if (!pacer_take(m->pacer, &buf))
			answer(m, &buf);
		waiters_rest(&waiters);
	}
	free(buf.mem);
	fuse_session_exit(m->session);
	waiters_end(&waiters);
	pthread_kill(m->signal_thread, SIGUSR1); /* whoever waits for signals need not any more */
	return NULL;
}

static void wake(int number)
{
	(void)number;
}

int session_run(struct mount *m, struct error *e)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, interrupt = { .sa_handler = wake };
	pthread_t threads[THREADS];
	int started = 0, number = SIGUSR1;
	sigset_t set;

	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGUSR2, &interrupt, NULL); /* without SA_RESTART: ends a read of the device */
	int rc = pacer_start(answer, m, &m->pacer, e);
	if (rc < 0)
		return rc;
	if (m->region->workers > 1)
		kernel_resend(m->fd); /* before anything is read: what is read already would be sent
					 again too */
	waiters_init(&waiters);
	while (started < THREADS && pthread_create(&threads[started], NULL, serve, m) == 0)
		started++;
	if (!started)
		rc = error_set(e, -EAGAIN, "no thread could be started");
	stop_signals(&set);
	/* SIGINT and SIGHUP are the holder's to hear. */
	while (rc == 0 && !fuse_session_exited(m->session)) {
		if (sigwait(&set, &number) == 0 && number == SIGTERM)
			fuse_session_exit(m->session);
	}
	waiters_end(&waiters);
	for (int i = 0; i < started; i++) {
		while (pthread_tryjoin_np(threads[i], NULL) == EBUSY) {
			pthread_kill(threads[i], SIGUSR2);
			usleep(2000);
		}
	}
	waiters_destroy(&waiters);
	pacer_stop(m->pacer);
	return rc;
}

void session_stop(struct mount *m)
{
	fuse_session_exit(m->session);
	pthread_kill(m->signal_thread, SIGUSR1);
}

void session_end(struct mount *m)
{
	if (m->session)
		fuse_session_destroy(m->session);
	m->session = NULL;
}
