/* wire.h - how a request and its answer travel between the tool and the daemon, and where they
 * meet.
 *
 * A *message* is u32 length (of what follows, 1 to WIRE_MESSAGE_MAX), u8 type, payload.  The client
 * sends one REQUEST and reads ROWs and PROGRESSes until END or ERROR; then both close.  The
 * payloads:
 *   REQUEST   u8 WIRE_PROTOCOL, string command, varint count, count times (string name, string
 *             value)
 *   ROW       varint count, count times (string name, u8 cell kind, string text | u64 number)
 *   PROGRESS  varint done, varint total
 *   END       nothing
 *   ERROR     varint positive code, string sentence
 * What does not decode exactly to its end is -E_PROTOCOL.
 *
 * The daemon listens at two places.  STORE/socket is reached by whoever may search the store's
 * directory, also when /run is read-only or another one (a chroot).  WIRE_DIRECTORY/NAME.sock is
 * for everybody; NAME comes from the store's path as the mount table shows it, so a client that
 * sees the mount needs nothing else. */
#ifndef DAYBOOK_WIRE_H
#define DAYBOOK_WIRE_H

#include "control.h"

#define WIRE_PROTOCOL 1
#define WIRE_MESSAGE_MAX (1u << 20)
#define WIRE_DIRECTORY "/run/daybook"
#define WIRE_STORE_SOCKET "socket"

enum message_type {
	MESSAGE_REQUEST = 1,
	MESSAGE_ROW = 2,
	MESSAGE_PROGRESS = 3,
	MESSAGE_END = 4,
	MESSAGE_ERROR = 5,
};

/* Encoders append a payload to out (check with buf_check()).  Decoders: what they give borrows from
 * payload. */
void request_encode(struct buf *out, const struct request *request);
int request_decode(struct request *r, struct view payload, struct error *e);
void row_encode(struct buf *out, const struct cell *cells, size_t count);
/* Decodes into cells[max].  The cells' names point into *names, which is cleared first.  The count,
 * or a code. */
int row_decode(struct cell *cells, size_t max, struct view payload, struct buf *names,
	       struct error *e);
void progress_encode(struct buf *out, uint64_t done, uint64_t total);
int progress_decode(uint64_t *ret_done, uint64_t *ret_total, struct view payload, struct error *e);
void failure_encode(struct buf *out, const struct error *failure);
int failure_decode(struct error *ret_failure, struct view payload, struct error *e);

/* Sends or receives one message, whole within timeout_ms (negative: however long it takes): a side
 * that sends or takes a byte now and then is as one that does nothing.
 * message_receive: 1, *payload is cleared and owns the payload; 0: the other side closed.
 * -E_TIMEOUT, -E_PROTOCOL, -errno (EPIPE, ECONNRESET: the other side is gone). */
int message_send(int fd, enum message_type type, struct view payload, int timeout_ms,
		 struct error *e);
int message_receive(int fd, enum message_type *ret_type, struct buf *payload, int timeout_ms,
		    struct error *e);

/* The socket's path below WIRE_DIRECTORY for a store whose path is store_path (absolute, without
 * symlinks). */
#define WIRE_PATH_MAX 64
void wire_path(char out[WIRE_PATH_MAX], const char *store_path);

#endif
