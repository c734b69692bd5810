/* handle.h - the table of open files and directories.  The kernel is given a small id, never a pointer, and each
 * handle knows who opened it: that is the author, whoever the later requests come from. */
#ifndef DAYBOOK_FS_HANDLE_H
#define DAYBOOK_FS_HANDLE_H

#include "identity.h"

struct file;
struct history_handle;
struct handles;

struct handle {
	uint64_t id;
	uint64_t ino;             /* or a history node */
	struct identity who;      /* the opener */
	int flags;                /* of open(2) */
	struct file *file;        /* live files: held while open; NULL for directories and the past */
	struct history_handle *past;
};

int handles_new(struct handles **ret, struct error *e);
void handles_free(struct handles *handles); /* what is still open is forgotten */

/* A new handle with a fresh id; the table owns it until handle_remove(). */
int handle_add(struct handles *handles, struct handle **ret, struct error *e);
/* -E_STALE: no such handle (a client's or the kernel's mistake). */
int handle_find(struct handles *handles, uint64_t id, struct handle **ret, struct error *e);
void handle_remove(struct handles *handles, struct handle *handle);

#endif
