/* verify_contents.c - contents, segments and chunks: the bytes. */
#include <errno.h>

#include "manifest.h"
#include "verify_parts.h"

#define N(x) ((unsigned long long)(x))

/* --- contents ------------------------------------------------------------- */

/* The pairs (id, bytes) of a content or segment: sums the bytes, and asks that each id but 0 is
 * there. */
static int check_pairs(struct verifier *v, const char *what, uint64_t id, struct view pairs,
		       enum family family, uint64_t *ret_bytes, struct error *e)
{
	struct reader in = reader_of(pairs);
	int found = 1;

	*ret_bytes = 0;
	while (reader_left(&in) > 0 && !in.failed) {
		uint64_t part = reader_varint(&in);
		struct view value;

		*ret_bytes += reader_varint(&in);
		if (part && part != LOST_ID && !in.failed && family != FAMILY_COUNT)
			found = verify_get(v, family, key_number(part), &value, e);
		if (found == 0)
			found = verify_damage(v, "%s %llu: its part %llu is missing", what, N(id),
					      N(part));
		if (found < 0)
			return found;
		found = 1;
	}
	return in.failed ? verify_damage(v, "%s %llu: its list of parts is damaged", what, N(id))
			 : 0;
}

/* Damaged bytes are told by the versions that have them, for people know no contents. */
static int tell_versions(struct verifier *v, uint64_t id, const struct digest *digest,
			 const char *why, struct error *e)
{
	struct key prefix = key_by_digest(digest, 0, 0);
	struct view key, value;
	uint64_t told = 0;
	int rc;

	prefix.len = DIGEST_LEN;
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_BY_DIGEST, key_view(&prefix), false);
	while ((rc = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader in = reader_of(key), content = reader_of(value);
		struct version_record version;
		char where[WHERE_MAX];

		reader_bytes(&in, DIGEST_LEN);
		uint64_t doc = reader_u64(&in), number = reader_u64(&in);
		if (!reader_done(&in) || reader_varint(&content) != id)
			continue;
		rc = verify_get(v, FAMILY_VERSION, key_numbers(doc, ~number), &value, e);
		if (rc < 0)
			return rc;
		if (rc == 0 || version_decode(&version, value, NULL) < 0)
			continue;
		told++;
		if (version.flags & VERSION_LOST) /* was told where the version was */
			continue;
		verify_where(v, version.parent, version.name, where);
		rc = verify_damage(v, "%s, version %llu: %s", where, N(number), why);
		if (rc < 0)
			return rc;
	}
	return rc < 0 || told ? rc : verify_damage(v, "%s", why);
}

static int count_read(void *arg, uint64_t bytes, struct error *e)
{
	return verify_tick(arg, bytes, e);
}

static int visit_content(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in), bytes;
	struct content_record r;
	struct error why = { 0 };
	int rc;

	v->report.contents = ++v->kept.content_count;
	if (!reader_done(&in) || content_decode(&r, value, NULL) < 0)
		return verify_damage(v, "content %llu: its record is damaged", N(id));
	v->report.bytes = v->kept.byte_count += r.size;
	rc = check_pairs(v, "content", id, r.segments, FAMILY_SEGMENT, &bytes, e);
	if (rc == 0 && bytes != r.size)
		rc = verify_damage(v, "content %llu: its segments have %llu bytes, not %llu", N(id),
				   N(bytes), N(r.size));
	if (rc < 0 || !v->options.read_contents)
		return rc;
	rc = content_check(store_contents(v->store), id, count_read, v, &why);
	if (rc == -E_CORRUPT || rc == -E_FORMAT_NEWER)
		rc = tell_versions(v, id, &r.digest, why.text, e);
	else if (rc < 0 && e)
		*e = why;
	return rc;
}

static int visit_segment(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in), bytes;
	struct segment_record r;
	int rc;

	if (!reader_done(&in) || segment_decode(&r, value, NULL) < 0)
		return verify_damage(v, "segment %llu: its record is damaged", N(id));
	/* That its chunks are there was seen when the contents were read. */
	rc = check_pairs(v, "segment", id, r.chunks, FAMILY_COUNT, &bytes, e);
	if (rc == 0 && r.base && r.base != LOST_ID) {
		int found = verify_get(v, FAMILY_SEGMENT, key_number(r.base), &value, e);

		rc = found == 0  ? verify_damage(v,
						 "segment %llu: was packed against segment %llu, "
						  "which is missing",
						 N(id), N(r.base))
		     : found < 0 ? found
				 : 0;
	}
	if (rc == 0 && bytes > CONTENT_SEGMENT_MAX)
		rc = verify_damage(v, "segment %llu: is larger than a segment may be", N(id));
	return rc;
}

/* --- chunks --------------------------------------------------------------- */

/* What comes in past the log has its name a little later. */
static int has_name_now(struct verifier *v, uint64_t id, const struct key *name, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	int r = chunk_is_incoming(&store_contents(v->store)->chunks, id, e);

	return r ? r : kv_get(v->kv, NULL, FAMILY_CHUNK_NAME, key_view(name), &value, e);
}

/* Notes to which chunks the names lead: a bit for each. */
static int note_led(struct verifier *v, struct error *e)
{
	uint64_t count = atomic_load(&store_contents(v->store)->chunks.next_id);
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(v->kv, v->snapshot, FAMILY_CHUNK_NAME, view_of(NULL, 0), false);
	struct view key, value;
	int r;

	buf_clear(&v->led);
	uint8_t *bits = buf_grow(&v->led, (size_t)(count / 8 + 1));
	if (!bits)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	memset(bits, 0, v->led.len);
	v->led_at = v->head;
	while ((r = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader in = reader_of(value);
		uint64_t id = reader_varint(&in);

		if (reader_done(&in) && id < count)
			bits[id / 8] |= (uint8_t)(1 << (id & 7));
	}
	return r;
}

/* The bytes do not have a name.  If another name leads to the chunk, they are not what they were;
 * if none does, it is the second of two chunks of the same bytes, saved at once, of which the first
 * is gone with the name.  Of the bytes that somebody can read, their contents tell. */
static int check_nameless(struct verifier *v, uint64_t id, struct error *e)
{
	int r = v->led.len && v->led_at == v->head ? 0 : note_led(v, e);

	if (r < 0)
		return r;
	if (id / 8 >= v->led.len || !(v->led.data[id / 8] & 1 << (id & 7)))
		return 0;
	return verify_damage(
		v, "chunk %llu: its bytes do not have a name of this store: they are damaged",
		N(id));
}

/* Each chunk is found by the name of its bytes, or another chunk of that name is. */
static int check_name(struct verifier *v, uint64_t id, const struct chunk *chunk, struct error *e)
{
	struct key name = { .len = CHUNK_NAME_LEN };
	struct view value;
	int found;

	chunk_name(&store_contents(v->store)->chunks, view_of(chunk->data, chunk->len), name.bytes);
	found = verify_get(v, FAMILY_CHUNK_NAME, name, &value, e);
	if (found == 0) {
		found = has_name_now(v, id, &name, e);
		if (found == 1)
			return 0;
	}
	if (found == 0)
		return check_nameless(v, id, e);
	if (found < 0)
		return found;
	struct reader in = reader_of(value);
	v->named_chunks = v->kept.named_chunks += reader_varint(&in) == id;
	return 0;
}

static int visit_chunk(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct content_store *cs = store_contents(v->store);
	struct reader in = reader_of(key);
	uint64_t id = reader_u64(&in);
	struct chunk *chunk = NULL;
	struct error why = { 0 };
	int r;

	(void)value;
	v->report.chunks = ++v->kept.chunk_count;
	if (!reader_done(&in))
		return verify_damage(v, "a key of the chunks is damaged");
	r = chunk_load_fresh(&cs->chunks, id, &chunk, &why);
	if (r == -E_CORRUPT || r == -E_FORMAT_NEWER)
		return verify_damage(v, "%s", why.text);
	if (r < 0 && e)
		*e = why;
	if (r == 0)
		r = check_name(v, id, chunk, e);
	chunk_drop(&cs->chunks, chunk);
	return r;
}

static int visit_name(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(value);

	(void)e;
	reader_varint(&in);
	v->names++;
	if (key.len != CHUNK_NAME_LEN || !reader_done(&in))
		return verify_damage(v, "a name of a chunk is damaged");
	return 0;
}

/* Only when some name does not lead to the chunk that has it: which ones lead nowhere? */
static int visit_wrong_name(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(value);
	uint64_t id = reader_varint(&in);
	int found;

	(void)key;
	if (!reader_done(&in))
		return 0;
	found = verify_get(v, FAMILY_CHUNK, key_number(id), &value, e);
	return found == 0
		       ? verify_damage(v, "chunk %llu has a name, but is missing or cannot be read",
				       N(id))
	       : found < 0 ? found
			   : 0;
}

int verify_contents(struct verifier *v, struct error *e)
{
	int r = verify_each_sliced(v, FAMILY_CONTENT, &v->kept.contents, visit_content, e);

	if (r == 0)
		r = verify_each(v, FAMILY_SEGMENT, visit_segment, e);
	if (r < 0 || !v->options.read_contents)
		return r;
	r = verify_each_sliced(v, FAMILY_CHUNK, &v->kept.chunks, visit_chunk, e);
	if (v->options.only_new)
		return r;
	if (r == 0)
		r = verify_each(v, FAMILY_CHUNK_NAME, visit_name, e);
	return r == 0 && v->names != v->named_chunks
		       ? verify_each(v, FAMILY_CHUNK_NAME, visit_wrong_name, e)
		       : r;
}
