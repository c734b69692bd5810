/* content.h - immutable contents: what the bytes of a version are, kept as chunks.
 *
 * A *chunk* is a run of bytes between two content-defined cut points (chunker.h), compressed,
 * stored once under a growing chunk id and found again by its name (chunk.h).  A *segment* is up to
 * 64 MiB of a content: the list of its chunks and the BLAKE2b-256 of its bytes.  A *content* is a
 * list of segments and a digest.  Contents and segments are never changed and shared by all
 * versions that have those bytes.  Content id 0 is the empty content.
 *
 * SEGMENTS.  A content of up to CONTENT_SEGMENT_MAX bytes is one segment, and its digest the
 * segment's, so that `b2sum -l 256` checks it.  A larger one is cut at the multiples of
 * CONTENT_SEGMENT_MAX, so that an edit in place leaves the other segments as they are; its digest
 * is the BLAKE2b-256 over (u64 big-endian length, digest) of each.
 *
 * HOLES are kept as holes: chunk id 0.  In a content of several segments a longest run of such as
 * are nothing but hole is one segment with id 0 and a digest of all zero bits, however long it is:
 * a sparse file costs nothing.
 *
 * What is to become a content is described by a *work*: extents that cover [0, size) without gap or
 * overlap. */
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
	uint64_t data_bytes; /* that are not in holes (for st_blocks) */
	/* Content_put: bytes that were not in the store before, uncompressed; else 0. */
	uint64_t new_bytes;
};

struct content_store;

/* The content layer of an opened kv.  secret: 32 bytes keying chunk names.  cache_bytes bounds
 * decoded chunks and segments kept in memory. */
int content_store_open(struct kv *kv, const uint8_t secret[32], size_t cache_bytes,
		       struct content_store **ret, struct error *e);
void content_store_close(struct content_store *cs); /* accepts NULL */

/* Makes the bytes that work describes a content.  New chunks go into batch, which holds nothing
 * else and which the caller writes together with whatever refers to the content; when it passes 1
 * MiB it is written early and cleared (chunks nobody refers to are garbage, never damage).  Ranges
 * of the contents that work refers to are shared: a whole content and whole segments without being
 * read, else chunk by chunk without being compared.  The same bytes as an existing content
 * (BY_DIGEST) give its id, unless they are cut or spared (holes) in another way: two contents can
 * have one digest. Extents that are read (staged or content) give -E_CORRUPT or -errno when they
 * cannot be. */
int content_put(struct content_store *cs, const struct work *work, struct kv_batch *batch,
		struct content_ref *ret, struct error *e);

/* EARLY CONTENTS.  What has been written of a large file becomes content before the file is saved,
 * segment by segment, beside the writer: an early content is one segment, whole, which no version
 * has and nobody but a staging (staging.h) knows.  META "early" keeps it, so that it outlives this
 * process.  A content_put() that takes its segment over ends it when the batch is written;
 * content_drop_early() does otherwise.
 *
 * Makes such contents of n works (at most CONTENT_EARLY_MAX) of content_segment_max() bytes each,
 * without holes; all of them or none.  In this process alone they are on stable storage when the
 * next sync is over. */
#define CONTENT_EARLY_MAX 4
int content_put_early(struct content_store *cs, const struct work works[], size_t n,
		      uint64_t ret_ids[], struct error *e);
/* Removes an early content and its segment, when no content has taken that over.  What fails is
 * done by content_forget_early(). */
void content_drop_early(struct content_store *cs, uint64_t id);
/* Drops those of earlier processes that is_kept() does not want. */
int content_forget_early(struct content_store *cs, bool (*is_kept)(void *arg, uint64_t id),
			 void *arg, struct error *e);

/* CONTENT_SEGMENT_MAX.  Test hook: so much from now on, for contents that are made. */
uint64_t content_segment_max(void);
void content_segments_of(uint64_t bytes);

/* 16 MiB or more of new bytes in a segment go past the log (kv.h), so that they are written once;
 * they are on stable storage when content_put() returns.  Test hook: so many or more do. */
void content_past_log_from(uint64_t bytes);

/* Held from before content_put() until its batch is written or given up: what the put found in the
 * store stays there meanwhile (sweep.h).  Waits for nothing. */
unsigned content_hold(struct content_store *cs);
void content_unhold(struct content_store *cs, unsigned hold);

/* Like pread: reads up to n bytes at offset into out; the count, short only at the end of the
 * content. */
int content_read(struct content_store *cs, uint64_t content, uint64_t offset, void *out, size_t n,
		 struct error *e);

/* The same for a work (unsaved bytes over contents). */
int work_read(struct content_store *cs, const struct work *work, uint64_t offset, void *out,
	      size_t n, struct error *e);

/* SEEK_DATA (hole = false) or SEEK_HOLE in a work: 0 and *ret_offset, or -ENXIO as lseek(2) has
 * it. */
int work_seek(struct content_store *cs, const struct work *work, uint64_t offset, bool hole,
	      uint64_t *ret_offset, struct error *e);

/* Bytes of a work that are not holes; of a content in it, at most what that content has. */
uint64_t work_data_bytes(struct content_store *cs, const struct work *work);

/* Size, digest and data bytes of a content: one small record, cached. */
int content_stat(struct content_store *cs, uint64_t content, struct content_ref *ret,
		 struct error *e);

/* The last of these alone. */
int content_data_bytes(struct content_store *cs, uint64_t content, uint64_t *ret, struct error *e);

/* Reads all chunks again, past the cache, and checks segments and content against their digests: 0,
 * or -E_CORRUPT with a sentence that says which chunk, segment or digest.  read() (may be NULL) is
 * told after each segment how many bytes were; a negative code of its stops. */
typedef int (*content_was_read)(void *arg, uint64_t bytes, struct error *e);
int content_check(struct content_store *cs, uint64_t content, content_was_read read, void *arg,
		  struct error *e);

/* Checks one key and value of CHUNK_NAME: the chunk is there, decodes, and its bytes have that
 * name; *ret_len is its length.  -E_CORRUPT says which chunk. */
int content_check_name(struct content_store *cs, struct view key, struct view value,
		       size_t *ret_len, struct error *e);

#endif
