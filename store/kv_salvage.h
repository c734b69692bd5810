/* kv_salvage.h - reads what can still be read of a database that does not open any more, or not
 * whole.
 *
 * RocksDB finds its tables by its manifest, and gives up a table of which one block is damaged.
 * Here the manifest is not asked: all tables that are there are taken, and of a damaged one
 * everything but the blocks that do not check. That costs order: of what stood in a table that is
 * gone, an older value may come to light, and a key that had been deleted.  Who takes the records
 * must be able to tell which of two is the newer; ours can (salvage.h). */
#ifndef DAYBOOK_KV_SALVAGE_H
#define DAYBOOK_KV_SALVAGE_H

#include "bytes.h"
#include "error.h"
#include "format.h"

struct kv_salvage {
	/* A record.  First come those of the tables and logs that are whole, each key once, with
	 * its newest value; then, with `again`, those of each damaged table.  A negative code
	 * stops. */
	int (*record)(void *arg, enum family family, struct view key, struct view value, bool again,
		      struct error *e);
	/* A sentence for each table that is missing, or cannot be read, or not whole. */
	void (*lost)(void *arg, const char *sentence);
	bool list;  /* the manifest may be asked which tables there should be */
	void *arg;
};

/* Reads the database in directory path, which is not changed.  scratch is a directory on the same
 * file system, which must not exist: it is made, filled with hard links and a little more, and
 * removed.  *ret_sequence is the sequence number that the database came up to, as far as can be
 * seen: what compactions took down to the last level no longer shows its own. */
int kv_salvage(const char *path, const char *scratch, const struct kv_salvage *to,
	       uint64_t *ret_sequence, struct error *e);

#endif
