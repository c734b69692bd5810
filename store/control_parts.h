/* control_parts.h - what the handlers of control.h's commands share; for control*.c only. */
#ifndef DAYBOOK_CONTROL_PARTS_H
#define DAYBOOK_CONTROL_PARTS_H

#include "control.h"

/* One request being run. */
struct command {
	const struct control_context *context;
	const struct request *request;
	const struct answer *answer;
	struct store *store;
	const struct credentials *who;
};

#define X(word, arguments, what) int control_##word(const struct command *c, struct error *e);
CONTROL_COMMANDS(X)
#undef X

/* Where a path leads, or last led. */
struct spot {
	/* Normal: no leading, double or trailing slash; borrows from *memory; "" is the root. */
	struct view path;
	struct view name;   /* its last name, borrows too; empty for the root */
	/* The directory that has the name; the root's own number for the root. */
	uint64_t parent;
	bool parent_live;
	bool known, live;   /* whether the name is or was there, and whether it is there now */
	uint64_t ino, doc;  /* of the live or the last one; 0 when not known */
	uint32_t type;      /* S_IFMT bits */
};

/* Finds the path for the command's caller, who needs search permission on every directory above.
 * What is gone is found too, by the last that bore the name; a last name that never was gives known
 * = false. -E_DENIED, -E_NO_ENTRY (a directory on the way never was), -E_NAME_BAD (..),
 * -E_NAME_RESERVED (.history). */
int control_find(const struct command *c, struct view path, struct spot *ret, struct buf *memory,
		 struct error *e);

/* For long work: saves go first, and this thread, which serves one connection, gets the processor
 * time that they leave.  It may fail. */
void control_step_back(void);

/* The argument as a decimal number; fallback when it is not there.  -E_USAGE. */
int control_number(const struct command *c, const char *name, uint64_t fallback, uint64_t *ret,
		   struct error *e);
/* Whether the flag is set. */
bool control_flag(const struct command *c, const char *name);

/* Puts back everything that was in directory `then`, an inode number, at the instant: into the
 * directory `to`, made when it is not there.  A row for each file that is given other bytes than it
 * has.  What cannot be put back is passed over: the code and sentence are those of the first, and
 * say how many. */
int control_restore_folder(const struct command *c, const struct spot *to, uint64_t instant,
			   uint64_t then, struct error *e);

/* Passes a row on: 0, or -ECANCELED when nobody listens. */
int control_row(const struct command *c, const struct cell *cells, size_t count, struct error *e);
int control_canceled(struct error *e);

/* A digest in hexadecimal as a cell; text must have DIGEST_TEXT bytes and outlive it. */
#define DIGEST_TEXT (2 * DIGEST_LEN + 1)
struct cell control_digest(const char *name, const struct digest *digest, char *text);

#endif
