/* packed.h - segments whose bytes are a delta against another segment's: how they are read.
 *
 * The delta (delta.h) is of the segment's plain bytes (plain.h) against the base's plain bytes.
 * The base may be packed itself: bases make a chain that ends in a segment of chunks, or in a delta
 * against nothing.  What is plain of a segment is settled by the plan in its record, which stays as
 * it is when the segment is packed or repacked, so that its descendants never notice.  Bases are
 * never removed. */
#ifndef DAYBOOK_PACKED_H
#define DAYBOOK_PACKED_H

#include "chunk.h"
#include "manifest.h"

#define PACKED_CHAIN_MAX 64 /* a longer chain is damage; pack.c makes them at most 20 long */

/* A segment's record as of a snapshot (NULL: now); its views borrow from *memory. */
int packed_record(struct content_store *cs, const struct kv_snapshot *snapshot, uint64_t segment,
		  struct segment_record *ret, struct buf *memory, struct error *e);

/* Appends the bytes of the record's chunks: a segment's own, or the delta of a packed one. */
int packed_chunks(struct content_store *cs, const struct kv_snapshot *snapshot,
		  const struct segment_record *record, struct buf *out, struct error *e);

/* Appends the plain bytes of a segment, packed or not. */
int packed_plain(struct content_store *cs, uint64_t segment, struct buf *out, struct error *e);

/* Appends the bytes of which record is to be the record, its base's plain bytes being those. */
int packed_bytes(const struct segment_record *record, struct view delta, struct view base_plain,
		 struct buf *out, struct error *e);

/* All bytes of a packed segment, from the cache or made and checked against its digest; for
 * packed_drop(). */
int packed_load(struct content_store *cs, uint64_t segment, struct chunk **ret, struct error *e);
void packed_drop(struct content_store *cs, struct chunk *bytes); /* accepts NULL */

/* Makes a packed segment's bytes past the cache: 0, or -E_CORRUPT when they do not have its
 * digest. */
int packed_check(struct content_store *cs, uint64_t segment, struct error *e);

#endif
