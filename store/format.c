/* format.c - see format.h: the tables there become the codecs here. */
#include "format.h"

static void put_u(struct buf *out, uint64_t v)
{
	buf_varint(out, v);
}

static void put_t(struct buf *out, int64_t v)
{
	buf_u64(out, (uint64_t)v);
}

static void put_s(struct buf *out, struct view v)
{
	buf_string(out, v);
}

static void put_h(struct buf *out, struct digest v)
{
	buf_append(out, v.bytes, DIGEST_LEN);
}

static void get_u(struct reader *r, uint64_t *v)
{
	*v = reader_varint(r);
}

static void get_t(struct reader *r, int64_t *v)
{
	*v = (int64_t)reader_u64(r);
}

static void get_s(struct reader *r, struct view *v)
{
	*v = reader_string(r);
}

static void get_h(struct reader *r, struct digest *v)
{
	struct view bytes = reader_bytes(r, DIGEST_LEN);

	if (bytes.data)
		memcpy(v->bytes, bytes.data, DIGEST_LEN);
}

/* Reads the format byte and field count; how many fields to read, or a negative code. */
static int open_record(struct reader *r, const char *what, unsigned known, struct error *e)
{
	uint8_t format = reader_u8(r);
	uint64_t count = reader_varint(r);

	if (r->failed || format == 0)
		return error_set(e, -E_CORRUPT, "a %s record is damaged", what);
	if (format > RECORD_FORMAT || count > known)
		return error_set(e, -E_FORMAT_NEWER, "a %s record was written by a newer Daybook: upgrade this one", what);
	return (int)count;
}

static int close_record(struct reader *r, const char *what, struct error *e)
{
	return reader_done(r) ? 0 : error_set(e, -E_CORRUPT, "a %s record is damaged", what);
}

static void put_n(struct buf *out, struct view v)
{
	buf_string(out, v);
}

static void get_n(struct reader *r, struct view *v)
{
	*v = reader_string(r);
	r->failed |= v->len > NAME_LEN_MAX;
}

static bool is_set_u(uint64_t v)
{
	return v != 0;
}

static bool is_set_t(int64_t v)
{
	return v != 0;
}

static bool is_set_s(struct view v)
{
	return v.len != 0;
}

static bool is_set_n(struct view v)
{
	return v.len != 0;
}

static bool is_set_h(struct digest v)
{
	static const struct digest zero;

	return memcmp(v.bytes, zero.bytes, DIGEST_LEN) != 0;
}

#define FIELD_COUNT(kind, name) +1
#define FIELD_IS_LAST(kind, name) \
	at++; \
	count = is_set_##kind(r->name) ? at : count;
#define FIELD_PUT(kind, name) \
	if (left-- > 0) \
		put_##kind(out, r->name);
#define FIELD_GET(kind, name) \
	if (left-- > 0) \
		get_##kind(&in, &r->name);

#define X(record, FIELDS) \
	void record##_encode(struct buf *out, const struct record##_record *r) \
	{ \
		int at = 0, count = 0; \
\
		FIELDS(FIELD_IS_LAST) \
		int left = count; \
		buf_u8(out, RECORD_FORMAT); \
		buf_varint(out, (uint64_t)count); \
		FIELDS(FIELD_PUT) \
	} \
	int record##_decode(struct record##_record *r, struct view value, struct error *e) \
	{ \
		struct reader in = reader_of(value); \
		int left = open_record(&in, #record, 0 FIELDS(FIELD_COUNT), e); \
\
		*r = (struct record##_record){ 0 }; \
		if (left < 0) \
			return left; \
		FIELDS(FIELD_GET) \
		return close_record(&in, #record, e); \
	}
RECORDS(X)
#undef X

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
	return magic == STAGING_MAGIC && reader_done(&r) && head->type >= STAGING_BEGIN && head->type <= STAGING_TIMES;
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

static int name_compare(struct view a, struct view b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.data, b.data, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

void xattr_set(struct buf *out, struct view list, struct view name, struct view value)
{
	struct view at, old;
	bool placed = value.data == NULL;

	while (xattr_next(&list, &at, &old)) {
		int order = name_compare(at, name);

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
