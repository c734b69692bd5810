/* format.c - see format.h: the tables there become the codecs here. */
#include "format.h"

/* Of each kind of field: is it to be written, writing it, reading it, and what it is when it is not
 * there.  `time` is the time field before it in the record. */

static bool is_set_u(uint64_t v, int64_t *time)
{
	(void)time;
	return v != 0;
}

static void put_u(struct buf *out, uint64_t v, int64_t *time)
{
	(void)time;
	buf_varint(out, v);
}

static void get_u(struct reader *r, uint64_t *v, int64_t *time)
{
	(void)time;
	*v = reader_varint(r);
}

static void lack_u(uint64_t *v, int64_t *time)
{
	(void)time;
	*v = 0;
}

static bool is_set_t(int64_t v, int64_t *time)
{
	*time = v;
	return v != 0;
}

static void put_t(struct buf *out, int64_t v, int64_t *time)
{
	*time = v;
	buf_u64(out, (uint64_t)v);
}

static void get_t(struct reader *r, int64_t *v, int64_t *time)
{
	*v = *time = (int64_t)reader_u64(r);
}

static void lack_t(int64_t *v, int64_t *time)
{
	*v = *time = 0;
}

static bool is_set_d(int64_t v, int64_t *time)
{
	bool set = v != *time;

	*time = v;
	return set;
}

static void put_d(struct buf *out, int64_t v, int64_t *time)
{
	uint64_t difference = (uint64_t)v - (uint64_t)*time;

	*time = v;
	buf_varint(out, difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0));
}

static void get_d(struct reader *r, int64_t *v, int64_t *time)
{
	uint64_t n = reader_varint(r), difference = n >> 1 ^ (n & 1 ? UINT64_MAX : 0);

	*v = *time = (int64_t)((uint64_t)*time + difference);
}

static void lack_d(int64_t *v, int64_t *time)
{
	*v = *time;
}

static bool is_set_s(struct view v, int64_t *time)
{
	(void)time;
	return v.len != 0;
}

static void put_s(struct buf *out, struct view v, int64_t *time)
{
	(void)time;
	buf_string(out, v);
}

static void get_s(struct reader *r, struct view *v, int64_t *time)
{
	(void)time;
	*v = reader_string(r);
}

static void lack_s(struct view *v, int64_t *time)
{
	(void)time;
	*v = view_of(NULL, 0);
}

static bool is_set_n(struct view v, int64_t *time)
{
	return is_set_s(v, time);
}

static void put_n(struct buf *out, struct view v, int64_t *time)
{
	put_s(out, v, time);
}

static void get_n(struct reader *r, struct view *v, int64_t *time)
{
	get_s(r, v, time);
	r->failed |= v->len > NAME_LEN_MAX;
}

static void lack_n(struct view *v, int64_t *time)
{
	lack_s(v, time);
}

static bool is_set_h(struct digest v, int64_t *time)
{
	static const struct digest zero;

	(void)time;
	return memcmp(v.bytes, zero.bytes, DIGEST_LEN) != 0;
}

static void put_h(struct buf *out, struct digest v, int64_t *time)
{
	(void)time;
	buf_append(out, v.bytes, DIGEST_LEN);
}

static void get_h(struct reader *r, struct digest *v, int64_t *time)
{
	struct view bytes = reader_bytes(r, DIGEST_LEN);

	(void)time;
	if (bytes.data)
		memcpy(v->bytes, bytes.data, DIGEST_LEN);
}

static void lack_h(struct digest *v, int64_t *time)
{
	(void)time;
	*v = (struct digest){ { 0 } };
}

/* Reads the format byte and which of the `known` fields are there: 0 or a negative code. */
static int open_record(struct reader *r, const char *what, unsigned known, uint64_t *ret_there,
		       struct error *e)
{
	uint8_t format = reader_u8(r);

	*ret_there = 0;
	if (!r->failed && format > RECORD_FORMAT)
		return error_set(e, -E_FORMAT_NEWER,
				 "a %s record was written by a newer Daybook: upgrade this one",
				 what);
	*ret_there = reader_varint(r);
	if (r->failed || format != RECORD_FORMAT)
		return error_set(e, -E_CORRUPT, "a %s record is damaged", what);
	if (*ret_there >> known)
		return error_set(e, -E_FORMAT_NEWER,
				 "a %s record was written by a newer Daybook: upgrade this one",
				 what);
	return 0;
}

static int close_record(struct reader *r, const char *what, struct error *e)
{
	return reader_done(r) ? 0 : error_set(e, -E_CORRUPT, "a %s record is damaged", what);
}

#define FIELD_COUNT(kind, name) +1
#define FIELD_IS_THERE(kind, name) \
	there |= (uint64_t)is_set_##kind(r->name, &time) << at; \
	at++;
#define FIELD_PUT(kind, name) \
	if (there >> at & 1) \
		put_##kind(out, r->name, &time); \
	at++;
#define FIELD_GET(kind, name) \
	if (there >> at & 1) \
		get_##kind(&in, &r->name, &time); \
	else \
		lack_##kind(&r->name, &time); \
	at++;

#define X(record, FIELDS) \
	_Static_assert((0 FIELDS(FIELD_COUNT)) < 64, "which fields are there is a varint"); \
	void record##_encode(struct buf *out, const struct record##_record *r) \
	{ \
		uint64_t there = 0; \
		int64_t time = 0; \
		unsigned at = 0; \
\
		FIELDS(FIELD_IS_THERE) \
		buf_u8(out, RECORD_FORMAT); \
		buf_varint(out, there); \
		at = 0; \
		time = 0; \
		FIELDS(FIELD_PUT) \
	} \
	int record##_decode(struct record##_record *r, struct view value, struct error *e) \
	{ \
		struct reader in = reader_of(value); \
		int64_t time = 0; \
		uint64_t there; \
		unsigned at = 0; \
		int rc = open_record(&in, #record, 0 FIELDS(FIELD_COUNT), &there, e); \
\
		*r = (struct record##_record){ 0 }; \
		if (rc < 0) \
			return rc; \
		FIELDS(FIELD_GET) \
		return close_record(&in, #record, e); \
	}
RECORDS(X)
#undef X

bool log_is_above(const struct log_record *r, uint64_t directory)
{
	struct reader in = reader_of(r->above);

	while (reader_left(&in) > 0) {
		if (reader_varint(&in) == directory)
			return !in.failed;
	}
	return false;
}

static const struct {
	uint64_t number;
	const char *word;
} operations[] = {
#define X(name, number, word, what) { number, word },
	LOG_OPERATIONS(X)
#undef X
};

const char *log_operation_name(uint64_t op)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (operations[i].number == op)
			return operations[i].word;
	}
	return "unknown";
}

uint64_t log_operation_number(const char *word)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].word, word) == 0)
			return operations[i].number;
	}
	return 0;
}

static void put_number(uint8_t *out, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++)
		out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void staging_head_encode(uint8_t out[STAGING_HEAD_LEN], const struct staging_head *head)
{
	put_number(out, STAGING_MAGIC, 4);
	put_number(out + 4, (uint64_t)head->type << 24 | (uint64_t)head->flags << 16, 4);
	put_number(out + 8, head->offset, 8);
	put_number(out + 16, head->length, 8);
	put_number(out + 24, head->content, 8);
	put_number(out + 32, head->from, 8);
	put_number(out + 40, head->checksum, 8);
}

bool staging_head_decode(struct staging_head *head, const uint8_t in[STAGING_HEAD_LEN])
{
	struct reader r = reader_of(view_of(in, STAGING_HEAD_LEN));
	uint32_t magic = reader_u32(&r);

	head->type = reader_u8(&r);
	head->flags = reader_u8(&r);
	reader_bytes(&r, 2);
	head->offset = reader_u64(&r);
	head->length = reader_u64(&r);
	head->content = reader_u64(&r);
	head->from = reader_u64(&r);
	head->checksum = reader_u64(&r);
	return magic == STAGING_MAGIC && reader_done(&r) && head->type >= STAGING_BEGIN &&
	       head->type <= STAGING_MOVED;
}

void seal_encode(uint8_t out[SEAL_LEN], const struct seal_record *r)
{
	put_number(out, SEAL_MAGIC, 4);
	put_number(out + 4, (r->closed & 0xff) << 24, 4);
	put_number(out + 8, r->boot, 8);
	put_number(out + 16, r->written, 8);
	put_number(out + 24, r->stable, 8);
	put_number(out + 32, r->manifest, 8);
	put_number(out + 40, r->manifest_bytes, 8);
	put_number(out + 48, r->checksum, 8);
}

bool seal_decode(struct seal_record *r, const uint8_t in[SEAL_LEN])
{
	struct reader reader = reader_of(view_of(in, SEAL_LEN));
	uint32_t magic = reader_u32(&reader);

	r->closed = reader_u8(&reader);
	reader_bytes(&reader, 3);
	r->boot = reader_u64(&reader);
	r->written = reader_u64(&reader);
	r->stable = reader_u64(&reader);
	r->manifest = reader_u64(&reader);
	r->manifest_bytes = reader_u64(&reader);
	r->checksum = reader_u64(&reader);
	return magic == SEAL_MAGIC && reader_done(&reader);
}

bool xattr_next(struct view *rest, struct view *ret_name, struct view *ret_value)
{
	struct reader r = reader_of(*rest);

	if (reader_left(&r) == 0)
		return false;
	*ret_name = reader_string(&r);
	*ret_value = reader_string(&r);
	*rest = view_of(r.at, reader_left(&r));
	return !r.failed;
}

bool xattr_find(struct view list, struct view name, struct view *ret_value)
{
	struct view at, value;

	while (xattr_next(&list, &at, &value)) {
		if (view_equal(at, name)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

void xattr_set(struct buf *out, struct view list, struct view name, struct view value)
{
	struct view at, old;
	bool placed = value.data == NULL;

	while (xattr_next(&list, &at, &old)) {
		int order = view_order(at, name);

		if (!placed && order >= 0) {
			buf_string(out, name);
			buf_string(out, value);
			placed = true;
		}
		if (order != 0) {
			buf_string(out, at);
			buf_string(out, old);
		}
	}
	if (!placed) {
		buf_string(out, name);
		buf_string(out, value);
	}
}
