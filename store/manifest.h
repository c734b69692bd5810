/* manifest.h - contents and segments in memory: where the bytes of a content are.
 *
 * A *manifest* is a decoded content record, a *segment* a decoded segment record: both are lists
 * of *pieces*, each an id and the offset where it ends.  Immutable, cached by id, pinned while
 * in use. */
#ifndef DAYBOOK_MANIFEST_H
#define DAYBOOK_MANIFEST_H

#include "chunk.h"
#include "content.h"
#include "digest.h"
#include "key.h"
#include "known.h"

/* Holds from the end of the piece before it (0 for the first) up to end.  id 0: a hole. */
struct piece {
	uint64_t id, end;
};

struct pieces {
	struct lru_entry entry; /* key: the id of the segment or content */
	uint64_t size, data;    /* data: bytes that are not in holes (of a content) */
	bool packed;            /* a packed segment (packed.h): one piece, whose id says nothing */
	struct digest digest;
	size_t count;
	struct piece at[];      /* of a content: segments; of a segment: chunks */
};

struct content_store {
	struct kv *kv;
	struct chunks chunks;
	struct lru contents, segments; /* of struct pieces */
	atomic_uint_least64_t next_content, next_segment;
	struct lru unpacked;   /* of struct chunk, by segment: bytes of packed segments */
	struct lock unpacking; /* guards recent, and is held while a segment is unpacked */
	/* The last one, pinned: what is larger than the cache is unpacked once all the same. */
	struct chunk *recent;
	atomic_uint_least64_t repacks; /* how often a segment's form changed */
	atomic_uint epoch, holds[2];   /* content_hold() */
	struct known known;
	atomic_bool any_early;         /* there were early contents since it was opened */
};

/* The manifest of content, or the segment, by id: -E_CORRUPT when absent or damaged.  Content 0 has
 * no pieces. */
int manifest_load(struct content_store *cs, uint64_t content, struct pieces **ret, struct error *e);
int segment_load(struct content_store *cs, uint64_t segment, struct pieces **ret, struct error *e);
void manifest_drop(struct content_store *cs, struct pieces *manifest); /* both accept NULL */
void segment_drop(struct content_store *cs, struct pieces *segment);

/* Of early contents (content.h): the record's key in META; the largest id, 0: none. */
struct key early_key(uint64_t id);
int early_last(struct content_store *cs, uint64_t *ret, struct error *e);

/* Index of the piece that holds offset, which is less than size. */
size_t pieces_find(const struct pieces *p, uint64_t offset);
static inline uint64_t piece_start(const struct pieces *p, size_t i)
{
	return i ? p->at[i - 1].end : 0;
}

/* A place in a content, for walks: the segment that holds it stays pinned.  Zeroed = nowhere. */
struct place {
	struct content_store *cs;
	uint64_t content;
	struct pieces *manifest, *segment; /* segment NULL: a hole as large as a segment or more */
	size_t segment_index, chunk_index;
	uint64_t segment_start;            /* offset in the content */
};

/* Moves to offset of content, which is below its size. */
int place_set(struct place *p, struct content_store *cs, uint64_t content, uint64_t offset,
	      struct error *e);
/* After a chunk was missing: 1 when that is because the segment was packed meanwhile; it is read
 * anew then. */
int place_refresh(struct place *p, struct error *e);
void place_release(struct place *p);
/* The chunk there: its id (0 a hole) and the offsets in the content where it starts and ends. */
uint64_t place_chunk(const struct place *p, uint64_t *ret_start, uint64_t *ret_end);
/* Whether more data follows directly in the same segment, so that the chunk's end is a cut of its
 * bytes' making. */
bool place_chunk_is_cut(const struct place *p);

/* How far the hole, or the data, that offset of content lies in goes: at least up to the end of its
 * segment's run. *ret_end is an offset in the content. */
int content_run(struct place *p, struct content_store *cs, uint64_t content, uint64_t offset,
		bool *ret_hole, uint64_t *ret_end, struct error *e);

/* The same for a work; *ret_end is an offset in the work. */
int work_run(struct place *p, struct content_store *cs, const struct work *work, uint64_t offset,
	     bool *ret_hole, uint64_t *ret_end, struct error *e);

/* Makes a content's digest of its segments' (content.h says how). */
struct digest_list {
	struct digester digester;
	struct digest only;
	size_t count;
	bool hole;
};

void digest_list_start(struct digest_list *list);
/* NULL: a hole. */
void digest_list_add(struct digest_list *list, uint64_t len, const struct digest *digest);
struct digest digest_list_end(struct digest_list *list);

#endif
