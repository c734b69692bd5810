/* content.h - immutable contents: what the bytes of a version are, kept as chunks.
 *
 * A *chunk* is a run of bytes between two content-defined cut points (chunker.h), compressed, stored once under
 * a growing chunk id and found again by its name, XXH3-128 keyed with the store's secret; a hit counts only after
 * the bytes were compared.  A *segment* is up to 64 MiB of a content: the list of its chunks and the BLAKE2b-256
 * of its bytes.  A *content* is a list of segments and a digest: of one segment, the segment's (so that
 * `b2sum -l 256` checks it); of several, BLAKE2b-256 over the concatenation of (u64 big-endian length, digest)
 * of each.  Contents and segments are never changed and shared by all versions that have those bytes.
 * Content id 0 is the empty content.  Holes are kept as holes.
 *
 * What is to become a content is described by a *work*: extents that cover [0, size) without gap or overlap. */
#ifndef DAYBOOK_CONTENT_H
#define DAYBOOK_CONTENT_H

#include "format.h"
#include "kv.h"

#define CONTENT_SEGMENT_MAX (64ull << 20)
#define CONTENT_SIZE_MAX (INT64_MAX - 65536ll) /* what the kernel allows a FUSE file, about 2^63 */

enum extent_kind {
	EXTENT_ZERO,    /* a hole: reads as zeros */
	EXTENT_CONTENT, /* bytes from offset `from` of content `content` */
	EXTENT_STAGED,  /* bytes from offset `from` of the work's fd */
};

struct extent {
	uint64_t at, len;
	enum extent_kind kind;
	uint64_t content, from;
};

struct work {
	const struct extent *extents; /* borrowed */
	size_t count;
	uint64_t size;
	int fd; /* of the staged bytes; -1 when there are none */
};

struct content_ref {
	uint64_t id, size;
	struct digest digest;
	uint64_t new_bytes; /* content_put: bytes that were not in the store before, uncompressed */
};

struct content_store;

/* The content layer of an opened kv.  secret: 32 bytes keying chunk names.  cache_bytes bounds decoded chunks and
 * segments kept in memory. */
int content_store_open(struct kv *kv, const uint8_t secret[32], size_t cache_bytes, struct content_store **ret,
		       struct error *e);
void content_store_close(struct content_store *cs); /* accepts NULL */

/* Makes the bytes that work describes a content.  New chunks go into batch, which the caller writes together with
 * whatever refers to the content; when it passes 1 MiB it is written early and cleared (chunks nobody refers to
 * are garbage, never damage).  Unchanged ranges of the contents that work refers to are shared, not read, where
 * chunks and segments line up.  The same bytes as an existing content (BY_DIGEST) give its id.
 * Extents that are read (staged or content) give -E_CORRUPT or -errno when they cannot be. */
int content_put(struct content_store *cs, const struct work *work, struct kv_batch *batch, struct content_ref *ret,
		struct error *e);

/* Like pread: reads up to n bytes at offset into out; the count, short only at the end of the content. */
int content_read(struct content_store *cs, uint64_t content, uint64_t offset, void *out, size_t n, struct error *e);

/* The same for a work (unsaved bytes over a content). */
int work_read(struct content_store *cs, const struct work *work, uint64_t offset, void *out, size_t n,
	      struct error *e);

/* SEEK_DATA (hole = false) or SEEK_HOLE in a work: 0 and *ret_offset, or -ENXIO as lseek(2) has it. */
int work_seek(struct content_store *cs, const struct work *work, uint64_t offset, bool hole, uint64_t *ret_offset,
	      struct error *e);

/* Size and digest of a content. */
int content_stat(struct content_store *cs, uint64_t content, struct content_ref *ret, struct error *e);

/* Reads the whole content again and checks chunks against names, segments and the content against their digests:
 * 0, or -E_CORRUPT with a sentence that says which chunk or digest.  Reads past the cache. */
int content_check(struct content_store *cs, uint64_t content, struct error *e);

/* Bytes of the content that are data, not holes (for st_blocks), about. */
int content_data_bytes(struct content_store *cs, uint64_t content, uint64_t *ret, struct error *e);

#endif
