/* current.h - db/CURRENT, which names the manifest that the database goes by.
 *
 * RocksDB begins a new manifest whenever it opens a database: it replays the logs into new tables,
 * writes and syncs the manifest that names them, renames a file to CURRENT that names it, syncs the
 * directory, and only then removes what the manifest before it named and the new one does not.
 * Where names may reach the disk in any order, a power cut before that sync can leave a CURRENT
 * whose manifest is not there, or one of its tables.  The manifest before, and all that it names,
 * still are, and nobody was told of anything since: it is as if the cut had come a moment
 * sooner. The caller holds the store's lock. */
#ifndef DAYBOOK_CURRENT_H
#define DAYBOOK_CURRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* The manifest that CURRENT names: its number, 0 when it names none, and its length.  Whether it is
 * there. */
bool current_look(int directory_fd, uint64_t *ret_number, uint64_t *ret_bytes);

/* Opens the manifest that CURRENT names, for reading and writing: a descriptor. */
int current_open(int directory_fd, struct error *e);

/* 1: *ret_number is the manifest before the one that CURRENT names.  0: it is gone, as it should
 * be. */
int current_former(int directory_fd, uint64_t *ret_number, struct error *e);

/* Makes CURRENT name that manifest: it does, or is as it was, whenever power is cut. */
int current_set(int directory_fd, uint64_t number, struct error *e);

/* Removes all manifests but the one that CURRENT names.  To be done whenever the database is about
 * to be opened, for current_former() must not find one that a start has left which was killed
 * before CURRENT ever named it. */
int current_clean(int directory_fd, struct error *e);

#endif
