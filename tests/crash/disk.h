/* disk.h - a disk as a trace tells it: what is surely on it, and what may be.
 *
 * THE MODEL.  A file has bytes that are durable, those of its last completed sync, and changes
 * (writes, sizes) that came after that sync began.  Names (creating, renaming, linking, removing)
 * are durable or pending likewise.
 *   DISK_KILLED    The process was killed, the machine goes on: everything written is there, but of
 *                  a write that was under way only a part: whole pages.
 *   DISK_ORDERED   Power was cut on a disk that keeps changes of names in their order, as the
 *                  journals of ext4, XFS and Btrfs do: of the pending ones a prefix happened; any
 *                  completed sync makes all before it durable.
 *   DISK_UNORDERED Power was cut, and nothing holds but POSIX: a name is durable when its directory
 *                  was synced; any of the pending changes of names may have happened or not, each
 *                  whole, those of one name in order.
 * In both of the latter, each file's bytes beyond the durable ones are, by chance: none of them;
 * all; a prefix of its changes, the last one torn at a sector of 512 bytes; any of its pages of 4
 * KiB in any of their states since, others being zeros where the file grew; or its new size alone
 * with nothing but zeros in it. */
#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include "trace.h"

#include <stdbool.h>
#include <stddef.h>

enum disk_model { DISK_KILLED, DISK_ORDERED, DISK_UNORDERED };
#define DISK_MODELS 3

struct disk;

/* An empty directory. */
struct disk *disk_new(enum disk_model model);
void disk_free(struct disk *disk);
/* Goes on by one record; what it is not about is ignored.  The record must stay where it is. */
void disk_step(struct disk *disk, const struct trace_head *record);

/* Makes directory, which must not exist, what the disk might hold if it all ended now; under: the
 * record that was under way, or NULL.  The choice is *seed's.  A hash of names and bytes. */
uint64_t disk_make(struct disk *disk, const struct trace_head *under, uint64_t *seed,
		   const char *directory);

/* Whether directory holds what the disk does with all pending changes made; says on stderr what
 * differs.  RocksDB's LOG is left out. */
bool disk_is(struct disk *disk, const char *directory);

#endif
