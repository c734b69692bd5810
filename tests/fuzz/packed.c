/* packed.c - segments and contents as a damaged disk may have them: store/packed.h,
 * store/manifest.h, store/chunk.h. Input: chunks (bytes each), segments, then one content; what
 * they say of one another is the input's.  With a bit of its kind a segment's delta is a right one,
 * of bytes against its base, and with another its digest is right. */
#include <errno.h>

#include "fuzz.h"
#include "memory/kv.h"
#include "store/delta.h"
#include "store/digest.h"
#include "store/manifest.h"
#include "store/packed.h"
#include "store/plain.h"

#define PIECES_MAX 6
#define READ_MAX 100000

#define made(call) must((call) >= 0)

static const uint8_t secret[32];
static struct kv *kv;
static struct content_store *cs;

static bool may_be(int rc)
{
	return rc >= 0 || rc == -E_CORRUPT || rc == -E_FORMAT_NEWER || rc == -E_NO_MEMORY ||
	       rc == -E_TOO_BIG;
}

static void put(enum family family, uint64_t id, const struct buf *value)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(buf_release) struct buf key = { 0 };

	buf_u64(&key, id);
	kv_batch_put(&batch, family, buf_view(&key), buf_view(value));
	made(kv_write(kv, &batch, NULL));
}

/* A list of (id, bytes) pairs, of ids that are there, mostly. */
static void add_pieces(struct input *in, struct buf *out)
{
	for (unsigned n = take_u8(in) % PIECES_MAX; n > 0; n--) {
		buf_varint(out, take_number(in));
		buf_varint(out, take_number(in));
	}
}

/* A plan: parts as the input says, or the one that the bytes have. */
static void add_plan(struct input *in, struct view bytes, struct buf *out)
{
	uint8_t kind = take_u8(in);

	if (kind & 1) {
		CLEANUP(buf_release) struct buf plain = { 0 };

		made(plain_plan(bytes, PLAN_PROVED, out, &plain, NULL));
	} else if (kind & 2) {
		buf_u8(out, PLAN_FORMAT);
		for (unsigned n = kind >> 4; n > 0; n--) {
			for (int i = 0; i < 3; i++)
				buf_varint(out, take_number(in));
			buf_u8(out, take_u8(in));
		}
	} else {
		struct view any = take_string(in);

		buf_append(out, any.data, any.len);
	}
}

/* The digest of what the segment is, if it can be made. */
static struct digest right_digest(uint64_t id, const struct segment_record *r)
{
	CLEANUP(buf_release) struct buf plain = { 0 }, bytes = { 0 };

	if (packed_plain(cs, id, &plain, NULL) == 0 && r->size <= CONTENT_SEGMENT_MAX)
		plain_undo(buf_view(&plain), r->plan, r->size, &bytes, NULL);
	return digest_of(buf_view(&bytes));
}

static void put_segment(struct input *in, uint64_t id)
{
	CLEANUP(buf_release)
	struct buf pieces = { 0 },
		   plan = { 0 }, delta = { 0 }, base = { 0 }, value = { 0 };
	uint8_t kind = take_u8(in);
	struct segment_record r = { .form = kind & 1 ? SEGMENT_PACKED : take_u8(in),
				    .size = take_number(in),
				    .base = kind & 2 ? take_number(in) : 0,
				    .doc = take_number(in) };
	struct view bytes = take_string(in);

	add_pieces(in, &pieces);
	add_plan(in, bytes, &plan);
	if (kind & 4)
		buf_append(&delta, bytes.data, bytes.len);
	else if (r.base == 0 || packed_plain(cs, r.base, &base, NULL) == 0)
		made(delta_make(bytes, buf_view(&base), &delta, NULL));
	r.chunks = buf_view(&pieces);
	r.plan = buf_view(&plan);
	r.delta = kind & 8 ? (struct view){ 0 } : buf_view(&delta);
	segment_encode(&value, &r);
	put(FAMILY_SEGMENT, id, &value);
	if (!(kind & 16))
		return;
	r.digest = right_digest(id, &r);
	buf_clear(&value);
	segment_encode(&value, &r);
	put(FAMILY_SEGMENT, id, &value);
}

static void put_content(struct input *in, uint64_t id)
{
	CLEANUP(buf_release) struct buf pieces = { 0 }, value = { 0 };
	struct content_record r = { .size = take_number(in), .data = take_number(in) };

	add_pieces(in, &pieces);
	r.segments = buf_view(&pieces);
	content_encode(&value, &r);
	put(FAMILY_CONTENT, id, &value);
}

static void put_chunk(struct input *in, uint64_t id)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct view bytes = take_string(in);

	buf_append(&value, bytes.data, bytes.len);
	put(FAMILY_CHUNK, id, &value);
}

static void read_segment(uint64_t id)
{
	CLEANUP(buf_release) struct buf plain = { 0 };
	struct chunk *bytes = NULL;
	struct pieces *pieces = NULL;

	must(may_be(packed_plain(cs, id, &plain, NULL)));
	must(plain.len <= 2 * PLAIN_BYTES_MAX);
	int rc = packed_check(cs, id, NULL);
	must(may_be(rc));
	must(packed_load(cs, id, &bytes, NULL) == rc);
	packed_drop(cs, bytes);
	must(may_be(segment_load(cs, id, &pieces, NULL)));
	segment_drop(cs, pieces);
}

static void read_content(uint64_t id)
{
	static uint8_t bytes[8192];
	struct extent extent = { 0, 1 << 20, EXTENT_CONTENT, id, 3 };
	struct work work = { &extent, 1, 1 << 20, -1 };
	struct content_ref ref;
	uint64_t at = 0;
	int n;

	if (content_stat(cs, id, &ref, NULL) < 0)
		ref.size = 1;
	do {
		n = content_read(cs, id, at, bytes, sizeof(bytes), NULL);
		must(may_be(n) && n <= (int)sizeof(bytes));
		at += n > 0 ? (uint64_t)n : 0;
	} while (n > 0 && at < READ_MAX);
	must(may_be(content_read(cs, id, ref.size - 1, bytes, sizeof(bytes), NULL)));
	must(may_be(work_read(cs, &work, 5, bytes, sizeof(bytes), NULL)));
	n = work_seek(cs, &work, 5, true, &at, NULL);
	must(may_be(n) || n == -ENXIO);
	must(may_be(content_data_bytes(cs, id, &at, NULL)));
	must(may_be(content_check(cs, id, NULL, NULL, NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kv_options options = { .create = true };
	struct input in = { data, size };
	uint8_t counts = take_u8(&in);

	made(kv_open("memory", &options, &kv, NULL));
	made(content_store_open(kv, secret, 1 << 20, &cs, NULL));
	for (uint64_t id = 1; id <= (counts & 3u); id++)
		put_chunk(&in, id);
	for (uint64_t id = 1; id <= (counts >> 2 & 7u); id++)
		put_segment(&in, id);
	put_content(&in, 1);
	for (uint64_t id = 1; id <= (counts >> 2 & 7u); id++)
		read_segment(id);
	read_content(1);
	content_store_close(cs);
	kv_close(kv);
	memory_kv_back(0);
	return 0;
}
