/* verify.h - walks everything and checks it against everything else. */
#ifndef DAYBOOK_VERIFY_H
#define DAYBOOK_VERIFY_H

#include "store.h"

/* Told a sentence; false stops. */
typedef bool (*verify_finding)(void *arg, const char *sentence);

struct verify_report {
	/* Checked. */
	uint64_t changes, inodes, dirents, documents, versions, contents, chunks, bytes;
	/* Findings. */
	uint64_t damaged;
	/* What is known to be gone: gaps that the log names, versions flagged VERSION_LOST. */
	uint64_t lost;
};

struct verify_options {
	bool read_contents;  /* not only what leads to them */
	/* Of these, those that no verification has read yet that found nothing damaged. */
	bool only_new;
	bool resume;         /* goes on where the last one was stopped, or died */
	uint64_t rate_bytes; /* reads at most that many a second; 0: no limit */
	/* Gets one sentence for each thing that is known to be gone; may be NULL. */
	verify_finding known;
};

/* Checks tables' checksums, the log's chain, every dirent's inode and every inode's dirents and
 * link count, every document and version, every content against its digest and every chunk against
 * its name, and all indexes.  Runs beside writers, in slices of some seconds, each on a snapshot of
 * its own.  After each slice of contents and chunks, which never change, it is kept in the store's
 * directory (verify_kept.c) how far it came and what it found there: to resume is to tell that
 * again, to check names, versions and the log as they are now, and to read on.  finding() gets one
 * sentence for each damage; progress() (may be NULL) is called now and then with done and total
 * units; either returns false to stop.  0 when clean, -E_FAILED_VERIFY otherwise, -ECANCELED when
 * stopped, other codes when it could not go on. */
typedef bool (*verify_progress)(void *arg, uint64_t done, uint64_t total);
int verify_store(struct store *store, const struct verify_options *options, verify_finding finding,
		 verify_progress progress, void *arg, struct verify_report *ret, struct error *e);

#endif
