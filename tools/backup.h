/* backup.h - a directory of backups of one share.
 *
 *   DIR/backup           whose: "daybook backups 1", the share's id
 *   DIR/files/DIGEST     each file of any backup once, named by its BLAKE2b-256 (`b2sum -l 256`
 *                        checks it)
 *   DIR/NUMBER.list      one backup: what and when, then a line per file, then the digest of the
 *                        lines before
 *   DIR/LOCK             taken while something is written
 *
 * A backup is there when its list is, and the list is written last: one that was interrupted leaves
 * the others as they were, and files that the next one finds done. */
#ifndef DAYBOOK_BACKUP_H
#define DAYBOOK_BACKUP_H

#include "store/digest.h"
#include "store/error.h"

struct backup_file {
	char *path; /* in the store's directory, e.g. "db/000012.sst" */
	struct digest digest;
	uint64_t size;
	int64_t mtime; /* ns */
};

struct backup {
	uint64_t number, change;
	int64_t time, taken; /* ns: of the change, of the backup */
	char share[33];
	struct backup_file *files;
	size_t count, room;
	uint64_t bytes;     /* of all files */
	uint64_t new_bytes; /* of those that no backup before it had; known to who makes it */
};

void backup_release(struct backup *backup);

/* One directory, opened.  Zeroed with fds -1 = closed. */
struct backups {
	const char *path;
	int fd, files_fd, lock_fd;
	char share[33];
	uint64_t *numbers; /* of the backups that are there, ascending */
	size_t count;
};

/* Opens a directory of backups; make: for the share, when it is absent or empty.  lock: for writing
 * (-E_LOCKED). -E_NOT_STORE: something else is in it; -E_INVALID: it has another share's backups.
 * */
int backups_open(const char *path, const char *share_to_make, bool lock, struct backups *ret,
		 struct error *e);
void backups_close(struct backups *backups);

/* Reads one list.  -E_NO_ENTRY, -E_CORRUPT. */
int backups_read(const struct backups *backups, uint64_t number, struct backup *ret,
		 struct error *e);

typedef void (*backup_progress)(void *arg, uint64_t done, uint64_t total);

/* Copies the store laid out at directory `from` into a new backup: *b has share, change and time,
 * and gets the rest. Each new file is read back and compared. */
int backups_add(struct backups *backups, const char *from, struct backup *b,
		backup_progress progress, void *arg, struct error *e);

/* Checks a backup's files against their digests; to: also writes them to that new directory (NULL:
 * only checks). -E_CORRUPT names the file. */
int backups_copy_out(const struct backups *backups, const struct backup *b, const char *to,
		     backup_progress progress, void *arg, struct error *e);

/* Removes all but the newest `keep` backups, and files that no list names. */
int backups_prune(struct backups *backups, uint64_t keep, struct error *e);

#endif
