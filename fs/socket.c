/* socket.c - see socket.h. */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proc.h"
#include "store/wire.h"

#define GROUPS_MAX 65536
#define COMMAND_MAX 16 /* comm of a process, TASK_COMM_LEN */

struct connection {
	struct socket_server *server;
	pthread_t thread;
	int fd;          /* -1: free */
	bool ended;      /* its thread only remains to be joined */
	struct ucred peer;
};

struct socket_server {
	const struct control_context *context;
	char public_path[WIRE_PATH_MAX];
	int store_fd;       /* the store's directory */
	int listeners[2];   /* the store's, the public one; -1: could not */
	int wake[2];        /* a pipe: closing its end stops the listening thread */
	pthread_t thread;
	pthread_mutex_t lock; /* guards connections[].fd and .ended, and stopping */
	bool stopping;
	struct connection connections[SOCKET_CONNECTIONS_MAX];
};

/* --- one client ----------------------------------------------------------- */

/* The client's supplementary groups, allocated; none when the kernel does not tell. */
static uint32_t *peer_groups(int fd, size_t *ret_count)
{
	socklen_t size = 64 * sizeof(gid_t);
	uint32_t *groups = NULL;

	*ret_count = 0;
	for (int tries = 0; tries < 2; tries++) {
		uint32_t *grown = realloc(groups, size ? size : sizeof(*groups));

		if (!grown)
			break;
		groups = grown;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
			*ret_count = size / sizeof(gid_t);
			return groups;
		}
		if (errno != ERANGE || size > GROUPS_MAX * sizeof(gid_t))
			break;
	}
	free(groups);
	return NULL;
}

static void peer_name(uint32_t uid, char *out, size_t size)
{
	struct passwd entry, *found = NULL;
	char memory[4096];

	if (getpwuid_r(uid, &entry, memory, sizeof(memory), &found) == 0 && found)
		snprintf(out, size, "%s", found->pw_name);
	else
		snprintf(out, size, "%u", uid);
}

static void peer_command(pid_t pid, char out[COMMAND_MAX])
{
	ssize_t n = -1;
	int fd = proc_open(pid, "comm");

	if (fd >= 0) {
		n = read(fd, out, COMMAND_MAX - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

struct reply {
	struct socket_server *server;
	int fd;
	struct buf payload;
};

static bool is_stopping(struct socket_server *server)
{
	pthread_mutex_lock(&server->lock);
	bool stopping = server->stopping;
	pthread_mutex_unlock(&server->lock);
	return stopping;
}

/* Sends reply->payload; false when the client is gone or the server stops. */
static bool reply_send(struct reply *reply, enum message_type type)
{
	return !is_stopping(reply->server) && !reply->payload.failed &&
	       message_send(reply->fd, type, buf_view(&reply->payload), SOCKET_TIMEOUT_MS, NULL) ==
		       0;
}

static bool reply_row(void *arg, const struct cell *cells, size_t count)
{
	struct reply *reply = arg;

	buf_clear(&reply->payload);
	row_encode(&reply->payload, cells, count);
	return reply_send(reply, MESSAGE_ROW);
}

static bool reply_progress(void *arg, uint64_t done, uint64_t total)
{
	struct reply *reply = arg;

	buf_clear(&reply->payload);
	progress_encode(&reply->payload, done, total);
	return reply_send(reply, MESSAGE_PROGRESS);
}

static void reply_end(struct reply *reply, int r, const struct error *failure)
{
	buf_clear(&reply->payload);
	if (r < 0)
		failure_encode(&reply->payload, failure);
	reply_send(reply, r < 0 ? MESSAGE_ERROR : MESSAGE_END);
}

/* Runs the request as the client. */
static int run(struct connection *c, const struct request *request, const struct answer *answer,
	       struct error *e)
{
	struct control_context context = *c->server->context;
	struct credentials who = { .uid = c->peer.uid, .gid = c->peer.gid };
	char name[256], command[COMMAND_MAX];
	uint32_t *groups = peer_groups(c->fd, &who.group_count);
	int r;

	peer_name(who.uid, name, sizeof(name));
	peer_command(c->peer.pid, command);
	who.groups = groups;
	context.who = &who;
	context.actor = (struct actor){ .uid = who.uid,
					.gid = who.gid,
					.tgid = (uint32_t)c->peer.pid,
					.name = view_str(name),
					.command = view_str(command) };
	r = control_run(&context, request, answer, e);
	free(groups);
	return r;
}

static void serve(struct connection *c)
{
	CLEANUP(buf_release) struct buf payload = { 0 };
	struct reply reply = { .server = c->server, .fd = c->fd };
	struct answer answer = { reply_row, reply_progress, &reply };
	struct error failure = { 0 };
	enum message_type type;
	struct request request;
	int r = message_receive(c->fd, &type, &payload, SOCKET_TIMEOUT_MS, &failure);

	if (r == 0)
		return;
	if (r > 0 && type != MESSAGE_REQUEST)
		r = error_set(&failure, -E_PROTOCOL, "a request was expected");
	if (r > 0)
		r = request_decode(&request, buf_view(&payload), &failure);
	if (r >= 0)
		r = run(c, &request, &answer, &failure);
	if (r < 0 && failure.code == 0)
		error_set(&failure, r, "%s", "");
	reply_end(&reply, r, &failure);
	buf_release(&reply.payload);
}

static void *connection_main(void *arg)
{
	struct connection *c = arg;

	serve(c);
	pthread_mutex_lock(&c->server->lock);
	close(c->fd);
	c->fd = -1;
	c->ended = true;
	pthread_mutex_unlock(&c->server->lock);
	return NULL;
}

/* --- listening ------------------------------------------------------------ */

/* Joins threads that ended; called by the listening thread, and when it is gone. */
static void reap(struct socket_server *server)
{
	for (size_t i = 0; i < SOCKET_CONNECTIONS_MAX; i++) {
		struct connection *c = &server->connections[i];

		pthread_mutex_lock(&server->lock);
		bool ended = c->ended;
		c->ended = false;
		pthread_mutex_unlock(&server->lock);
		if (ended)
			pthread_join(c->thread, NULL);
	}
}

/* A free place for this user, or NULL.  Only the listening thread fills places. */
static struct connection *find_place(struct socket_server *server, uint32_t uid)
{
	struct connection *place = NULL;
	size_t of_user = 0, used = 0;

	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < SOCKET_CONNECTIONS_MAX; i++) {
		struct connection *c = &server->connections[i];

		if (c->fd < 0 && !c->ended && !place)
			place = c;
		used += c->fd >= 0;
		of_user += c->fd >= 0 && c->peer.uid == uid;
	}
	pthread_mutex_unlock(&server->lock);
	if (uid != 0 &&
	    (of_user >= SOCKET_PER_USER_MAX || used >= SOCKET_CONNECTIONS_MAX - SOCKET_FOR_ROOT))
		return NULL;
	return place;
}

static void refuse(struct socket_server *server, int fd)
{
	struct reply reply = { .server = server, .fd = fd };
	struct error failure;

	error_set(&failure, -EBUSY,
		  "daybookd answers as many requests as it may at once: try again in a moment");
	failure_encode(&reply.payload, &failure);
	/* Never waits: an empty socket buffer takes it. */
	if (message_send(fd, MESSAGE_ERROR, buf_view(&reply.payload), 0, NULL) == 0)
		shutdown(fd, SHUT_WR);
	buf_release(&reply.payload);
	close(fd);
}

static void take_client(struct socket_server *server, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct connection *c;

	if (fd < 0) {
		/* Out of descriptors: the client stays in the queue, and this loop must not spin on
		 * it. */
		if (errno == EMFILE || errno == ENFILE)
			usleep(100000);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		close(fd);
		return;
	}
	reap(server);
	c = find_place(server, peer.uid);
	if (!c) {
		refuse(server, fd);
		return;
	}
	pthread_mutex_lock(&server->lock);
	c->server = server;
	c->peer = peer;
	c->fd = fd;
	if (pthread_create(&c->thread, NULL, connection_main, c) != 0) {
		close(fd);
		c->fd = -1;
	}
	pthread_mutex_unlock(&server->lock);
}

static void *listen_main(void *arg)
{
	struct socket_server *server = arg;
	struct pollfd fds[] = { { .fd = server->listeners[0], .events = POLLIN },
				{ .fd = server->listeners[1], .events = POLLIN },
				{ .fd = server->wake[0], .events = POLLIN } };

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[2].revents)
			return NULL;
		for (size_t i = 0; i < 2; i++) {
			if (fds[i].fd >= 0 && fds[i].revents)
				take_client(server, fds[i].fd);
		}
	}
}

/* --- beginning and ending ------------------------------------------------- */

/* Listens at path; whoever had it is dead, for we have the store's lock. */
static int listen_at(const char *path, int *ret_fd, struct error *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(e, -ENAMETOOLONG, "%s: too long a path for a socket", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_system(e, "cannot make a socket");
	if ((unlink(path) < 0 && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, SOCKET_CONNECTIONS_MAX) < 0) {
		int r = error_system(e, "cannot listen at %s", path);

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* The store's socket goes by the directory's descriptor: its path may be longer than an address can
 * be. */
static int listen_in_store(struct socket_server *server, struct error *e)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/" WIRE_STORE_SOCKET, server->store_fd);
	r = listen_at(path, &server->listeners[0], e);
	return r < 0 ? error_prefix(e, r, "%s", store_path(server->context->store)) : 0;
}

void socket_make_place(void)
{
	/* 0755 whatever the umask; one that stands there stays as its owner made it. */
	if (mkdir(WIRE_DIRECTORY, 0755) == 0)
		(void)!chmod(WIRE_DIRECTORY, 0755);
}

static int listen_in_public(struct socket_server *server, struct error *e)
{
	socket_make_place();
	return listen_at(server->public_path, &server->listeners[1], e);
}

static int open_places(struct socket_server *server, struct error *warning, struct error *e)
{
	struct error in_store = { 0 }, in_public = { 0 };
	int a = listen_in_store(server, &in_store), b = listen_in_public(server, &in_public);

	if (a < 0 && b < 0) {
		if (e)
			*e = in_public;
		return b;
	}
	if (warning)
		*warning = a < 0 ? in_store : b < 0 ? in_public : (struct error){ 0 };
	return 0;
}

static void close_places(struct socket_server *server)
{
	if (server->listeners[0] >= 0) {
		unlinkat(server->store_fd, WIRE_STORE_SOCKET, 0);
		close(server->listeners[0]);
	}
	if (server->listeners[1] >= 0) {
		unlink(server->public_path);
		close(server->listeners[1]);
	}
	for (size_t i = 0; i < 2; i++) {
		if (server->wake[i] >= 0)
			close(server->wake[i]);
	}
	if (server->store_fd >= 0)
		close(server->store_fd);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

/* Signals are for the mount's main thread; the connections' threads inherit the mask from the
 * listening one. */
static int start_listening(struct socket_server *server, struct error *e)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&server->thread, NULL, listen_main, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? error_set(e, -r, "cannot start a thread that listens for requests") : 0;
}

int socket_start(const struct control_context *context, struct socket_server **ret,
		 struct error *ret_warning, struct error *e)
{
	struct socket_server *server = calloc(1, sizeof(*server));
	char *real;
	int r;

	if (!server)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	real = realpath(store_path(context->store), NULL);
	server->context = context;
	server->listeners[0] = server->listeners[1] = server->wake[0] = server->wake[1] = -1;
	for (size_t i = 0; i < SOCKET_CONNECTIONS_MAX; i++)
		server->connections[i].fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	wire_path(server->public_path, real ? real : store_path(context->store));
	free(real);
	server->store_fd = open(store_path(context->store), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server->store_fd < 0 || pipe2(server->wake, O_CLOEXEC) < 0) {
		r = error_system(e, "%s: cannot listen for requests", store_path(context->store));
		close_places(server);
		return r;
	}
	r = open_places(server, ret_warning, e);
	if (r == 0)
		r = start_listening(server, e);
	if (r < 0)
		close_places(server);
	else
		*ret = server;
	return r;
}

void socket_stop(struct socket_server *server)
{
	if (!server)
		return;
	close(server->wake[1]);
	server->wake[1] = -1;
	pthread_join(server->thread, NULL);
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	for (size_t i = 0; i < SOCKET_CONNECTIONS_MAX; i++) {
		if (server->connections[i].fd >= 0)
			shutdown(server->connections[i].fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server->lock);
	for (size_t i = 0; i < SOCKET_CONNECTIONS_MAX; i++) {
		pthread_mutex_lock(&server->lock);
		bool used = server->connections[i].fd >= 0 || server->connections[i].ended;
		pthread_mutex_unlock(&server->lock);
		if (used)
			pthread_join(server->connections[i].thread, NULL);
	}
	close_places(server);
}
