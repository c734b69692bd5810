/* client.c - see client.h. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mounts.h"
#include "store/clock.h"
#include "store/store.h"
#include "store/wire.h"

#define ANSWER_TIMEOUT_MS 120000
/* While another process takes over there is nobody to ask. */
#define TAKEOVER_MS 5000
/* Of a question that needs no work: whoever does not answer it by then is not at work. */
#define RESTART_TIMEOUT_MS 5000

/* --- asking the daemon ---------------------------------------------------- */

/* A connection to the socket at path: the descriptor, or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd >= 0 ? fd : -errno;
}

/* A connection to the store's daemon: the descriptor, or -errno when none of its sockets
 * answers. */
static int try_daemon(const char *store)
{
	char path[WIRE_PATH_MAX];
	int directory = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (directory >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/" WIRE_STORE_SOCKET, directory);
		fd = connect_to(path);
		close(directory);
		if (fd >= 0)
			return fd;
	}
	wire_path(path, store);
	return connect_to(path);
}

/* wait: there is a daemon, or will be at once. */
static int connect_daemon(const struct whereabouts *place, bool wait)
{
	int64_t until = clock_monotonic() + TAKEOVER_MS * 1000000ll;

	for (;;) {
		int fd = try_daemon(place->store);

		if (fd >= 0 || !wait || clock_monotonic() > until ||
		    (fd != -ECONNREFUSED && fd != -ENOENT))
			return fd;
		usleep(20000);
	}
}

static int pass_row(const struct answer *answer, struct view payload, struct error *e)
{
	CLEANUP(buf_release) struct buf names = { 0 };
	struct cell cells[ROW_CELLS_MAX];
	int count = row_decode(cells, ROW_CELLS_MAX, payload, &names, e);

	if (count < 0)
		return count;
	return answer->row(answer->arg, cells, (size_t)count) ? 0
							      : error_set(e, -ECANCELED, "stopped");
}

static int pass_progress(const struct answer *answer, struct view payload, struct error *e)
{
	uint64_t done, total;
	int r = progress_decode(&done, &total, payload, e);

	if (r == 0 && answer->progress)
		answer->progress(answer->arg, done, total);
	return r;
}

static int pass_failure(struct view payload, struct error *e)
{
	struct error failure;
	int r = failure_decode(&failure, payload, e);

	return r < 0 ? r : error_set(e, failure.code, "%s", failure.text);
}

/* One message of the answer: 1 when there are more. */
static int pass_message(const struct answer *answer, enum message_type type, struct view payload,
			struct error *e)
{
	int r;

	switch (type) {
	case MESSAGE_ROW:
		r = pass_row(answer, payload, e);
		return r < 0 ? r : 1;
	case MESSAGE_PROGRESS:
		r = pass_progress(answer, payload, e);
		return r < 0 ? r : 1;
	case MESSAGE_END:
		return 0;
	case MESSAGE_ERROR:
		return pass_failure(payload, e);
	case MESSAGE_REQUEST:
		break;
	}
	return error_set(e, -E_PROTOCOL,
			 "daybookd sent a message that this daybook does not know: upgrade it");
}

/* How long an answer, or the rest of one, may take, ms. */
static int patience(const char *command)
{
	if (strcmp(command, "verify") == 0 || strcmp(command, "pack") == 0)
		return -1; /* they read everything: between two messages may lie a long while */
	return strcmp(command, "restart") == 0 ? RESTART_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
}

static int ask_daemon(int fd, const struct request *request, const struct answer *answer,
		      struct error *e)
{
	CLEANUP(buf_release) struct buf payload = { 0 };
	enum message_type type;
	int timeout = patience(request->command), r;

	request_encode(&payload, request);
	r = buf_check(&payload, e);
	if (r == 0)
		r = message_send(fd, MESSAGE_REQUEST, buf_view(&payload), ANSWER_TIMEOUT_MS, e);
	/* A daemon that refuses at once may close before it reads: what it said is still there to
	 * be read. */
	if (r == -EPIPE || r == 0)
		r = 1;
	while (r > 0) {
		r = message_receive(fd, &type, &payload, timeout, e);
		if (r == 0)
			return error_set(e, -E_NO_DAEMON,
					 "daybookd ended before it had answered: see its log");
		if (r > 0)
			r = pass_message(answer, type, buf_view(&payload), e);
	}
	return r;
}

/* --- running it here ------------------------------------------------------ */

/* This process's identity, as the kernel would check it. */
static int own_credentials(struct credentials *ret, gid_t **ret_groups, struct error *e)
{
	int n = getgroups(0, NULL);

	*ret = (struct credentials){ .uid = geteuid(), .gid = getegid() };
	*ret_groups = n >= 0 ? malloc(((size_t)n + 1) * sizeof(gid_t)) : NULL;
	if (!*ret_groups)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	n = getgroups(n, *ret_groups);
	ret->group_count = n > 0 ? (size_t)n : 0;
	ret->groups = *ret_groups;
	return 0;
}

static int run_on(struct store *store, const struct request *request, const struct answer *answer,
		  struct error *e)
{
	struct credentials who;
	struct passwd *user = getpwuid(geteuid());
	char number[16];
	gid_t *groups;
	int r = own_credentials(&who, &groups, e);

	snprintf(number, sizeof(number), "%u", geteuid());
	struct control_context context = { .store = store,
					   .who = &who,
					   .actor = {
						   .uid = geteuid(),
						   .gid = getegid(),
						   .tgid = (uint32_t)getpid(),
						   .name = view_str(user ? user->pw_name : number),
						   .command = view_str("daybook") } };
	if (r == 0)
		r = control_run(&context, request, answer, e);
	free(groups);
	return r;
}

static int run_here(const struct whereabouts *place, const struct request *request, bool changing,
		    const struct answer *answer, struct error *e)
{
	struct store_options options = { .read_only = !changing };
	struct store *store = NULL;
	int r = store_open(place->store, &options, &store, e);

	if (r == 0 && store_recovery_report(store)[0])
		fprintf(stderr, "%s", store_recovery_report(store));
	if (r == 0)
		r = run_on(store, request, answer, e);
	store_close(store);
	return r;
}

static int no_daemon(const struct whereabouts *place, int code, struct error *e)
{
	return error_set(e, -E_NO_DAEMON,
			 "%s: its daybookd does not answer (%s); unmount it and ask the store "
			 "itself with --store %s",
			 place->mountpoint ? place->mountpoint : place->store, strerror(-code),
			 place->store);
}

int client_ask(const struct whereabouts *place, const struct request *request, bool changing,
	       const struct answer *answer, struct error *e)
{
	int fd = connect_daemon(place, place->mountpoint != NULL), r;

	if (fd < 0 && !place->mountpoint) {
		r = run_here(place, request, changing, answer, e);
		/* A daemon has it, or has opened it in between. */
		if (r != -E_LOCKED || (fd = connect_daemon(place, true)) < 0)
			return r;
	}
	if (fd < 0)
		return no_daemon(place, fd, e);
	r = ask_daemon(fd, request, answer, e);
	close(fd);
	return r;
}

/* The one that listens.  Its number was its own when pidfd_open() was done if it listens still. */
int client_server(const struct whereabouts *place, pid_t *ret_pid, struct error *e)
{
	int fd = connect_daemon(place, place->mountpoint != NULL), process = -1;
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return no_daemon(place, fd, e);
	struct pollfd still = { .fd = fd, .events = POLLIN };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		process = pidfd_open(peer.pid, 0);
	int code = errno;
	bool gone = process >= 0 && poll(&still, 1, 0) != 0;
	close(fd);
	if (process < 0)
		return error_set(e, -code, "process %d: %s", (int)peer.pid, strerror(code));
	if (gone) {
		close(process);
		return no_daemon(place, -ECONNRESET, e);
	}
	*ret_pid = peer.pid;
	return process;
}
