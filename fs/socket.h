/* socket.h - the daemon's Unix sockets, on which `daybook` asks.
 *
 * Each client connection has a thread of its own, at most SOCKET_CONNECTIONS_MAX at a time and
 * SOCKET_PER_USER_MAX of one user; SOCKET_FOR_ROOT of them are for uid 0 alone, which may use all.
 * Whoever comes on top is told to try again.  A client that neither sends nor reads for
 * SOCKET_TIMEOUT_MS is dropped.  Who asks is what the kernel says (SO_PEERCRED, SO_PEERGROUPS),
 * never what the client says.  Nothing here holds a lock while it waits for a client. */
#ifndef DAYBOOK_SOCKET_H
#define DAYBOOK_SOCKET_H

#include "store/control.h"

#define SOCKET_CONNECTIONS_MAX 16
#define SOCKET_PER_USER_MAX 6
#define SOCKET_FOR_ROOT 2
#define SOCKET_TIMEOUT_MS 10000

struct socket_server;

/* Begins to listen at both places of store/wire.h (a leftover socket of a daemon that died is
 * replaced; the store's lock is held, so nobody else listens) and to answer on threads of its own.
 * To be called after daemonizing. context: store, mountpoint, changed, settle and arg are taken
 * from it for every request, and must live until socket_stop(); who and actor are filled per
 * client.  changed and settle are called on the connections' threads. Fails only when neither place
 * can be listened at; that one could not is told in *ret_warning ("" when both could; may be NULL).
 * *ret is the caller's for socket_stop(). */
int socket_start(const struct control_context *context, struct socket_server **ret,
		 struct error *ret_warning, struct error *e);

/* Makes the directory of the public sockets when it is not there: for a process that may not do so
 * later. */
void socket_make_place(void);

/* Stops listening, ends what is being answered, waits for its threads and removes the sockets.
 * Accepts NULL. To be called before the store is closed, with no lock held. */
void socket_stop(struct socket_server *server);

#endif
