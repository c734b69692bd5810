/* space.h - how much room the store's disk has, asked cheaply.
 *
 * RocksDB needs room to write its memtables out and to compact; were it to meet the end of the disk
 * there, it would stop altogether.  So whoever adds bytes to the store asks here first and is
 * refused while a reserve remains. */
#ifndef DAYBOOK_SPACE_H
#define DAYBOOK_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* The reserve that is never given away: 16 MiB, on small disks an eighth of the disk. */
#define SPACE_RESERVE (16ull << 20)

/* All zero: nothing known yet.  Shared by threads. */
struct space {
	/* When the filesystem was asked last; bytes granted since. */
	atomic_uint_least64_t asked_ms, unasked;
	atomic_uint_least64_t free, reserve;     /* what it said */
	/* The owner's: bytes still to be written for what was granted. */
	atomic_uint_least64_t owed;
};

/* 0 when bytes more fit on the filesystem that fd is on while times reserves and what is owed stay
 * free; else
 * -E_NO_SPACE.  The filesystem is asked at most every 100 ms or MiB while there is plenty, always
 *               when not. */
int space_check(struct space *s, int fd, uint64_t bytes, unsigned times, struct error *e);

/* Unsaved bytes are refused first: while this many reserves remain. */
#define SPACE_TIMES_UNSAVED 3

/* Of the bytes that the store's filesystem has free, those that unsaved bytes may still take. */
struct statvfs;
uint64_t space_for_unsaved(const struct statvfs *fs);

/* Bytes that are free on the filesystem that fd is on, those only root may take included;
 * UINT64_MAX when it does not say. */
uint64_t space_free_at_all(int fd);

/* Whether files can grow in the directory, by growing one: 0 or why not.  A quota shows only so. */
int space_try(int directory_fd, uint64_t bytes, struct error *e);

/* True when the next space_check() with bytes will ask: time to bring `owed` up to date. */
bool space_stale(const struct space *s, uint64_t bytes);

#endif
