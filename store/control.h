/* control.h - what the tools can ask: one table of commands, run by the daemon for its clients and by the tool
 * itself on a store that no daemon serves.  Both ends of the wire are described here too.
 *
 * A *request* is a command's name and a list of named string arguments.  An *answer* is a stream of rows; each row
 * is a list of (name, kind, value) cells in the stable order that daybook(1) documents.  Identity comes from the
 * transport (SO_PEERCRED), rights are checked per command and row with access.h. */
#ifndef DAYBOOK_CONTROL_H
#define DAYBOOK_CONTROL_H

#include "access.h"

#define CONTROL_PROTOCOL 1
#define CONTROL_MESSAGE_MAX (1u << 20)

enum cell_kind { CELL_TEXT, CELL_NUMBER, CELL_TIME, CELL_FLAG };
struct cell {
	const char *name; /* column: static */
	enum cell_kind kind;
	struct view text;
	int64_t number;   /* CELL_NUMBER, CELL_TIME (ns), CELL_FLAG (0, 1) */
};

struct request {
	char command[32];
	size_t count;     /* <= 16 */
	struct {
		char name[32];
		struct view value;
	} arguments[16];
};

/* The receiver of an answer: row() returns false when nobody listens any more. */
struct answer {
	bool (*row)(void *arg, const struct cell *cells, size_t count);
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
	void *arg;
};

struct control_context {
	struct store *store;
	const struct credentials *who;
	struct actor actor;       /* signs what the command changes */
	const char *mountpoint;   /* NULL without a daemon */
	/* Called after a command changed live files, so that the mount can tell the kernel; may be NULL. */
	void (*changed)(void *arg, uint64_t ino, uint64_t parent, struct view name);
	/* Saves what is unsaved of the file before it is looked at or replaced; may be NULL. */
	int (*settle)(void *arg, uint64_t ino, struct error *e);
	void *arg;
};

/* Runs one request; rows go to answer.  Commands: log, history, restore, verify, status, tags, conflicts. */
int control_run(const struct control_context *context, const struct request *request, const struct answer *answer,
		struct error *e);

/* The wire: each message is u32 length (of what follows, <= CONTROL_MESSAGE_MAX), u8 type, payload. */
enum message_type { MESSAGE_REQUEST = 1, MESSAGE_ROW = 2, MESSAGE_PROGRESS = 3, MESSAGE_END = 4, MESSAGE_ERROR = 5 };
void request_encode(struct buf *out, const struct request *request);
int request_decode(struct request *r, struct view payload, struct error *e);
void row_encode(struct buf *out, const struct cell *cells, size_t count);
/* Decodes into cells[max]; names and texts borrow from payload and *names. The count, or a code. */
int row_decode(struct cell *cells, size_t max, struct view payload, struct buf *names, struct error *e);

#endif
