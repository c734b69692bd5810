/* handle.h - the table of open files and directories.  The kernel is given an id, never a pointer:
 * the handle's place in the table and, above it, a number that no other handle has had, so that
 * what the kernel sends again for a closed handle never meets another.  Each handle knows who
 * opened it: that is the author, whoever the later requests come from.
 *
 * The table can stand in memory that outlives the process, so that what is open stays open for the
 * next one. */
#ifndef DAYBOOK_FS_HANDLE_H
#define DAYBOOK_FS_HANDLE_H

#include "identity.h"

#define HANDLE_PLACE_BITS 20
#define HANDLES_MAX 1048575 /* open at a time */

struct file;
struct history_handle;
struct handles;

struct handle {
	uint64_t id;              /* 0: this place in the table is free */
	uint64_t opened_by;       /* number of the request that it was made for */
	uint64_t ino;             /* or a history node */
	struct identity who;      /* the opener */
	/* The version that its close(2) saved and its next save belongs to; 0: none. */
	uint64_t folds;
	int flags;                /* of open(2) */
	bool directory;
	/* Live files: held while open; NULL for directories and the past. */
	struct file *file;
	struct history_handle *past;
};

/* memory: HANDLES_BYTES that outlive the process, zero at first; NULL: the table has its own.
 * Handles that are there have no file and no past: those were another process's.  -E_CORRUPT:
 * memory holds no table. */
#define HANDLES_BYTES ((HANDLES_MAX + 1ull) * sizeof(struct handle))
int handles_new(void *memory, struct handles **ret, struct error *e);
/* What is still open is forgotten, but for memory that outlives it. */
void handles_free(struct handles *handles);

/* A new handle with a fresh id, for request number `opened_by`; the table owns it until
 * handle_remove(). -E_TOO_MANY: HANDLES_MAX are open. */
int handle_add(struct handles *handles, uint64_t opened_by, struct handle **ret, struct error *e);
/* -E_STALE: no such handle (a client's or the kernel's mistake). */
int handle_find(struct handles *handles, uint64_t id, struct handle **ret, struct error *e);
/* The handle that was made for a request; NULL when there is none. */
struct handle *handle_opened_by(struct handles *handles, uint64_t request);
void handle_remove(struct handles *handles, struct handle *handle);

/* Handles in order of their places: the next after id `after`, NULL at the end.  For one who has
 * the table alone. */
struct handle *handle_next(struct handles *handles, uint64_t after);

#endif
