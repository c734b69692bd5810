/* seal.h - a note beside the database of how far it had come, so that a file of it that went back
 * is seen.
 *
 * RocksDB takes a log that is missing, and a manifest that was cut, for the whole truth, and then
 * deletes the tables that it no longer knows of.  db/SEAL, a few bytes rewritten in place and never
 * synced, holds what must still be there: the sequence number written last and how long the
 * manifest was (which count when the machine was not started anew since, or the database was
 * closed), and the sequence number known to be on stable storage. */
#ifndef DAYBOOK_SEAL_H
#define DAYBOOK_SEAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct seal {
	int fd; /* of db/SEAL; -1: none is kept */
	uint64_t boot;
	atomic_uint_least64_t written, stable;
	int directory_fd; /* the owner's */
	atomic_flag looking;              /* somebody looks at the manifest */
	atomic_uint_least64_t looked_at;  /* second of the last look */
	/* The manifest's number and length, 0 while they change. */
	atomic_uint_least64_t manifest, manifest_bytes;
};

/* What a seal found on disk says; known = false when there is none that can be read. */
struct seal_claim {
	bool known;
	bool closed;            /* the database was closed as it should be */
	uint64_t sequence;      /* at least this must be there */
	uint64_t manifest;      /* no older one can be the right one; 0: any may */
	bool cut;               /* power may have been cut since it was written */
};

/* Reads the seal of the database in directory_fd.  -E_CORRUPT: the manifest is not the one it was,
 * or shorter. */
int seal_check(int directory_fd, uint64_t boot, struct seal_claim *ret, struct error *e);

/* Begins to keep the seal: the database is open and has come as far as sequence. */
int seal_start(struct seal *s, int directory_fd, uint64_t boot, uint64_t sequence, struct error *e);

/* Everything up to sequence was written, or is on stable storage.  Any thread; a failure is none of
 * the caller's. */
void seal_written(struct seal *s, uint64_t sequence);
void seal_stable(struct seal *s, uint64_t sequence);

/* The database was closed, all of it being on stable storage (whole), or not; the seal is no longer
 * kept. */
void seal_close(struct seal *s, bool whole);

#endif
