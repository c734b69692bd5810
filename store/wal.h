/* wal.h - looks through RocksDB's write-ahead logs before RocksDB replays them.
 *
 * RocksDB replays a log up to the first record that does not check and drops the rest without a
 * word.  That is right where a power cut took the end of what was never synced, and wrong where
 * something synced was damaged.  To tell them apart every batch in the log carries a *mark*: which
 * boot of the machine wrote it, and up to which sequence number everything was known to be on
 * stable storage, and with which sequence number the batch before it in the log ends: content that
 * is written past the log (kv.h) takes numbers too, so that they need not join.
 *   - The same boot wrote the log: no power was cut, so only a record that the file ends within
 *     (the process was killed in the middle of a write) may be dropped; everything else is damage.
 *   - Another boot: what marks say was stable must be there; behind that a record that does not
 *     check is the edge of what reached the disk.
 * The log's format is the one that has not changed since LevelDB: blocks of 32 KiB; records of crc
 * u32, length u16, type u8 (1 whole, 2 first, 3 middle, 4 last), little-endian, the crc over type
 * and payload. */
#ifndef DAYBOOK_WAL_H
#define DAYBOOK_WAL_H

#include "bytes.h"
#include "error.h"

#define WAL_MARK_LEN 26

/* A number for the machine's current boot, 0 when it has none to tell. */
uint64_t wal_boot(void);

/* The mark to put first into a batch: everything up to sequence number stable is on stable
 * storage; the last number that was logged is before. */
void wal_mark(uint8_t out[WAL_MARK_LEN], uint64_t boot, uint64_t stable, uint64_t before);

/* Inspects the logs of the database in directory whose numbers are not below oldest.  0: they may
 * be replayed, and come up to sequence number *ret_last (0: they are empty); what was lost to a
 * power cut, at the end of one and in all behind it, is cut off, and note gets a sentence.  1, and
 * nothing was changed: something is missing, which says nothing when it was in a log that is no
 * longer needed: to be called again with the oldest that is (oldest 0: not known).
 * -E_CORRUPT: damaged, nothing was changed; the sentence says which file and where. */
int wal_inspect(const char *directory, uint64_t boot, uint64_t oldest, struct buf *note,
		uint64_t *ret_last, struct error *e);

/* Whether the log or manifest, of n bytes, has a last record that is all there and does not check:
 * then *ret_end is where it begins, or the first of those that belong to it. */
bool wal_is_torn(const void *bytes, uint64_t n, uint64_t *ret_end);

/* Appends the payload, of less than a block, as the first record of a log; manifests have the same
 * format. */
void wal_record(struct buf *out, struct view payload);

#endif
