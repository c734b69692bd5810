/* manifest.c - see manifest.h. */
#include "manifest.h"

#include <stdlib.h>

#include "key.h"

#define PIECE_BYTES_MIN 2 /* of an encoded piece: two varints */

/* ---- decoding ---- */

static struct pieces *pieces_alloc(uint64_t id, size_t count_max)
{
	size_t bytes = sizeof(struct pieces) + count_max * sizeof(struct piece);
	struct pieces *p = calloc(1, bytes);

	if (p)
		p->entry = (struct lru_entry){ .key = id, .bytes = bytes, .users = 1 };
	return p;
}

/* Reads (varint id, varint bytes) pairs into p, which has room; false when they are damaged.  A
 * piece that is no hole has at most piece_max bytes. */
static bool pieces_decode(struct pieces *p, struct view list, uint64_t piece_max)
{
	struct reader in = reader_of(list);

	while (reader_left(&in) > 0) {
		uint64_t id = reader_varint(&in), bytes = reader_varint(&in);

		if (in.failed || bytes == 0 || bytes > CONTENT_SIZE_MAX ||
		    p->size > CONTENT_SIZE_MAX - bytes || (id && bytes > piece_max))
			return false;
		p->size += bytes;
		p->at[p->count++] = (struct piece){ id, p->size };
	}
	return !in.failed;
}

static int pieces_new(uint64_t id, struct view list, uint64_t piece_max, struct digest digest,
		      struct pieces **ret, struct error *e)
{
	struct pieces *p = pieces_alloc(id, list.len / PIECE_BYTES_MIN + 1);

	if (!p)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	p->digest = digest;
	if (!pieces_decode(p, list, piece_max)) {
		free(p);
		return -E_CORRUPT; /* the caller has the words */
	}
	*ret = p;
	return 0;
}

static int decode_content(uint64_t id, struct view value, struct pieces **ret, struct error *e)
{
	struct content_record record;
	int r = content_decode(&record, value, e);

	if (r < 0)
		return error_prefix(e, r, "content %llu", (unsigned long long)id);
	r = pieces_new(id, record.segments, CONTENT_SEGMENT_MAX, record.digest, ret, e);
	if (r == 0 && (*ret)->size != record.size) {
		free(*ret);
		*ret = NULL;
		r = -E_CORRUPT;
	}
	if (r == -E_CORRUPT)
		return error_set(e, r, "content %llu is damaged: its list of segments",
				 (unsigned long long)id);
	if (r == 0)
		(*ret)->data = record.data;
	return r;
}

/* Of a packed segment only the size is of use to walks. */
static int packed_pieces(uint64_t id, const struct segment_record *record, struct pieces **ret,
			 struct error *e)
{
	if (record->size == 0 || record->size > CONTENT_SEGMENT_MAX)
		return error_set(e, -E_CORRUPT, "segment %llu is damaged: its size",
				 (unsigned long long)id);
	*ret = pieces_alloc(id, 1);
	if (!*ret)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	(*ret)->packed = true;
	(*ret)->digest = record->digest;
	(*ret)->size = record->size;
	(*ret)->count = 1;
	(*ret)->at[0] = (struct piece){ id, record->size };
	return 0;
}

static int decode_segment(uint64_t id, struct view value, struct pieces **ret, struct error *e)
{
	struct segment_record record;
	int r = segment_decode(&record, value, e);

	if (r < 0)
		return error_prefix(e, r, "segment %llu", (unsigned long long)id);
	if (record.form == SEGMENT_PACKED)
		return packed_pieces(id, &record, ret, e);
	if (record.form != SEGMENT_CHUNKS)
		return error_set(e, -E_FORMAT_NEWER,
				 "segment %llu was written by a newer Daybook: upgrade this one",
				 (unsigned long long)id);
	r = pieces_new(id, record.chunks, CHUNK_LEN_MAX, record.digest, ret, e);
	if (r == -E_CORRUPT)
		return error_set(e, r, "segment %llu is damaged: its list of chunks",
				 (unsigned long long)id);
	return r;
}

/* ---- loading ---- */

typedef int (*pieces_decoder)(uint64_t id, struct view value, struct pieces **ret, struct error *e);

static int load(struct content_store *cs, struct lru *cache, enum family family, const char *what,
		pieces_decoder decode, uint64_t id, struct pieces **ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(id);
	uint64_t repacks = atomic_load(&cs->repacks);

	*ret = lru_find(cache, id);
	if (*ret)
		return 0;
	int r = kv_get(cs->kv, NULL, family, key_view(&key), &value, e);
	if (r == 0 && family == FAMILY_CONTENT && atomic_load(&cs->any_early)) {
		key = early_key(id);
		r = kv_get(cs->kv, NULL, FAMILY_META, key_view(&key), &value, e);
	}
	if (r == 0)
		return id == LOST_ID ? error_set(e, -E_CORRUPT, LOST_SENTENCE)
				     : error_set(e, -E_CORRUPT, "%s %llu is missing", what,
						 (unsigned long long)id);
	if (r < 0)
		return r;
	r = decode(id, buf_view(&value), ret, e);
	if (r < 0)
		return r;
	lru_add(cache, &(*ret)->entry);
	if (repacks != atomic_load(&cs->repacks))
		lru_remove(cache, id); /* what was read may have been what came before */
	return 0;
}

int manifest_load(struct content_store *cs, uint64_t content, struct pieces **ret, struct error *e)
{
	if (content)
		return load(cs, &cs->contents, FAMILY_CONTENT, "content", decode_content, content,
			    ret, e);
	*ret = pieces_alloc(0, 0);
	if (!*ret)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	(*ret)->digest = digest_of(view_of(NULL, 0));
	lru_add(&cs->contents, &(*ret)->entry);
	return 0;
}

int segment_load(struct content_store *cs, uint64_t segment, struct pieces **ret, struct error *e)
{
	return load(cs, &cs->segments, FAMILY_SEGMENT, "segment", decode_segment, segment, ret, e);
}

void manifest_drop(struct content_store *cs, struct pieces *manifest)
{
	if (manifest)
		lru_drop(&cs->contents, &manifest->entry);
}

void segment_drop(struct content_store *cs, struct pieces *segment)
{
	if (segment)
		lru_drop(&cs->segments, &segment->entry);
}

/* ---- places ---- */

size_t pieces_find(const struct pieces *p, uint64_t offset)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (p->at[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int enter_content(struct place *p, struct content_store *cs, uint64_t content,
			 struct error *e)
{
	if (p->manifest && p->content == content)
		return 0;
	place_release(p);
	p->cs = cs;
	p->content = content;
	return manifest_load(cs, content, &p->manifest, e);
}

static int enter_segment(struct place *p, size_t index, struct error *e)
{
	uint64_t id = p->manifest->at[index].id, start = piece_start(p->manifest, index);

	if (p->segment && p->segment_index == index)
		return 0;
	segment_drop(p->cs, p->segment);
	p->segment = NULL;
	p->segment_index = index;
	p->segment_start = start;
	int r = id ? segment_load(p->cs, id, &p->segment, e) : 0;
	if (r == 0 && p->segment && p->segment->size != p->manifest->at[index].end - start) {
		segment_drop(p->cs, p->segment);
		p->segment = NULL;
		return error_set(
			e, -E_CORRUPT,
			"segment %llu is damaged: it is not as long as content %llu has it",
			(unsigned long long)id, (unsigned long long)p->content);
	}
	return r;
}

int place_set(struct place *p, struct content_store *cs, uint64_t content, uint64_t offset,
	      struct error *e)
{
	int r = enter_content(p, cs, content, e);

	if (r < 0)
		return r;
	if (offset >= p->manifest->size)
		return error_set(e, -E_CORRUPT,
				 "content %llu is %llu bytes long, but bytes after that are wanted",
				 (unsigned long long)content,
				 (unsigned long long)p->manifest->size);
	r = enter_segment(p, pieces_find(p->manifest, offset), e);
	if (r == 0)
		p->chunk_index =
			p->segment ? pieces_find(p->segment, offset - p->segment_start) : 0;
	return r;
}

int place_refresh(struct place *p, struct error *e)
{
	uint64_t id = p->segment ? p->segment->entry.key : 0;

	if (!id || p->segment->packed)
		return 0;
	lru_remove(&p->cs->segments, id);
	segment_drop(p->cs, p->segment);
	p->segment = NULL;
	int r = segment_load(p->cs, id, &p->segment, e);
	p->chunk_index = 0;
	return r < 0 ? r : p->segment->packed;
}

void place_release(struct place *p)
{
	if (p->cs) {
		segment_drop(p->cs, p->segment);
		manifest_drop(p->cs, p->manifest);
	}
	*p = (struct place){ 0 };
}

uint64_t place_chunk(const struct place *p, uint64_t *ret_start, uint64_t *ret_end)
{
	*ret_start = p->segment_start;
	*ret_end = p->manifest->at[p->segment_index].end;
	if (!p->segment)
		return 0;
	*ret_start = p->segment_start + piece_start(p->segment, p->chunk_index);
	*ret_end = p->segment_start + p->segment->at[p->chunk_index].end;
	return p->segment->at[p->chunk_index].id;
}

bool place_chunk_is_cut(const struct place *p)
{
	return p->segment && !p->segment->packed && p->chunk_index + 1 < p->segment->count &&
	       p->segment->at[p->chunk_index + 1].id != 0;
}

int content_run(struct place *p, struct content_store *cs, uint64_t content, uint64_t offset,
		bool *ret_hole, uint64_t *ret_end, struct error *e)
{
	uint64_t start;
	int r = place_set(p, cs, content, offset, e);

	if (r < 0)
		return r;
	*ret_hole = place_chunk(p, &start, ret_end) == 0;
	for (size_t i = p->chunk_index + 1; p->segment && i < p->segment->count; i++) {
		if ((p->segment->at[i].id == 0) != *ret_hole)
			break;
		*ret_end = p->segment_start + p->segment->at[i].end;
	}
	return 0;
}

/* ---- digests ---- */

void digest_list_start(struct digest_list *list)
{
	*list = (struct digest_list){ 0 };
	digest_start(&list->digester);
}

void digest_list_add(struct digest_list *list, uint64_t len, const struct digest *digest)
{
	uint8_t length[8];

	for (size_t i = 0; i < 8; i++)
		length[i] = (uint8_t)(len >> (56 - 8 * i));
	list->only = digest ? *digest : (struct digest){ 0 };
	list->hole = digest == NULL;
	list->count++;
	digest_add(&list->digester, length, sizeof(length));
	digest_add(&list->digester, list->only.bytes, DIGEST_LEN);
}

struct digest digest_list_end(struct digest_list *list)
{
	return list->count == 1 && !list->hole ? list->only : digest_end(&list->digester);
}
