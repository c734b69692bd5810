/* records.c - every record of store/format.h: what decodes is encoded to bytes that say the same.
 * Input: one byte that names the record, then its bytes. */
#include "fuzz.h"
#include "store/format.h"
#include "store/logtext.h"

#define SAME_u(name) must(a.name == b.name);
#define SAME_t(name) must(a.name == b.name);
#define SAME_d(name) must(a.name == b.name);
#define SAME_s(name) must(view_equal(a.name, b.name));
#define SAME_n(name) must(view_equal(a.name, b.name) && a.name.len <= NAME_LEN_MAX);
#define SAME_h(name) must(memcmp(a.name.bytes, b.name.bytes, DIGEST_LEN) == 0);
#define SAME(kind, name) SAME_##kind(name)

#define X(record, FIELDS) \
	static void try_##record(struct view value) \
	{ \
		CLEANUP(buf_release) struct buf first = { 0 }, second = { 0 }; \
		struct record##_record a, b; \
		struct error e = { 0 }; \
		int rc = record##_decode(&a, value, &e); \
\
		must(rc == 0 || (rc == e.code && (rc == -E_CORRUPT || rc == -E_FORMAT_NEWER))); \
		if (rc < 0) \
			return; \
		record##_encode(&first, &a); \
		must(record##_decode(&b, buf_view(&first), NULL) == 0); \
		FIELDS(SAME) \
		record##_encode(&second, &b); \
		must(view_equal(buf_view(&first), buf_view(&second))); \
	}
RECORDS(X)
#undef X

/* A record of the log as text. */
static void try_text(struct view value)
{
	CLEANUP(buf_release) struct buf memory = { 0 }, out = { 0 };
	struct cell cells[LOG_COLUMN_COUNT];
	struct log_record r;

	if (log_decode(&r, value, NULL) < 0)
		return;
	logtext_cells(cells, &r, &memory);
	cells_csv(&out, cells, LOG_COLUMN_COUNT);
	cells_json(&out, cells, LOG_COLUMN_COUNT);
	must(out.len > 0 && out.data[out.len - 1] == '\n');
}

static void try_xattrs(struct view list)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct view rest = list, name, value, found;
	size_t n = 0;

	while (xattr_next(&rest, &name, &value)) {
		must(xattr_find(list, name, &found));
		if (n++ < 4)
			xattr_set(&out, list, name, value);
	}
	buf_clear(&out);
	xattr_set(&out, list, view_str("user.m"), view_str("value"));
	must(xattr_find(buf_view(&out), view_str("user.m"), &found) &&
	     view_equal(found, view_str("value")));
	rest = buf_view(&out);
	while (xattr_next(&rest, &name, &value))
		;
	must(rest.len == 0);
}

static void try_heads(struct view bytes)
{
	uint8_t staging[STAGING_HEAD_LEN], seal[SEAL_LEN];
	struct staging_head head, head_again;
	struct seal_record r, r_again;

	if (bytes.len >= STAGING_HEAD_LEN && staging_head_decode(&head, bytes.data)) {
		staging_head_encode(staging, &head);
		must(staging_head_decode(&head_again, staging));
		must(head.type == head_again.type && head.flags == head_again.flags &&
		     head.offset == head_again.offset && head.length == head_again.length &&
		     head.content == head_again.content && head.from == head_again.from &&
		     head.checksum == head_again.checksum);
	}
	if (bytes.len >= SEAL_LEN && seal_decode(&r, bytes.data)) {
		seal_encode(seal, &r);
		must(seal_decode(&r_again, seal) && memcmp(&r, &r_again, sizeof(r)) == 0);
	}
}

static void (*const tries[])(struct view value) = {
#define X(record, FIELDS) try_##record,
	RECORDS(X)
#undef X
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t which = take_u8(&in);
	struct view value = take(&in, in.left);

	if (which < sizeof(tries) / sizeof(tries[0]))
		tries[which](value);
	else if (which == 0xff)
		try_text(value);
	else if (which == 0xfe)
		try_xattrs(value);
	else if (which == 0xfd)
		try_heads(value);
	return 0;
}
