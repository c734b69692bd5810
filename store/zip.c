/* zip.c - see zip.h: the end record leads to the central directory, and that to the members. */
#include "zip.h"

#include <stdlib.h>

#define END_LEN 22
#define END64_LEN 56
#define LOCATOR64_LEN 20
#define ENTRY_LEN 46
#define LOCAL_LEN 30
#define COMMENT_MAX 65535
#define METHOD_DEFLATE 8
#define FLAG_ENCRYPTED 1
#define FLAG_MASKED 0x2000

enum zip_signature {
	LOCAL_HEADER = 0x04034b50,
	DIRECTORY_ENTRY = 0x02014b50,
	END_RECORD = 0x06054b50,
	END_RECORD_64 = 0x06064b50,
	LOCATOR_64 = 0x07064b50,
};

/* Where the central directory is. */
struct directory {
	uint64_t at, len, count;
};

/* n bytes at `at`, little-endian; the caller has seen that they are there. */
static uint64_t number(struct view v, uint64_t at, unsigned n)
{
	const uint8_t *bytes = (const uint8_t *)v.data + at;
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | bytes[n];
	return value;
}

static bool is_within(struct view v, uint64_t at, uint64_t len)
{
	return at <= v.len && len <= v.len - at;
}

static bool has(struct view v, uint64_t at, uint64_t len, enum zip_signature signature)
{
	return is_within(v, at, len) && number(v, at, 4) == signature;
}

static void read_end_64(struct view v, uint64_t end, struct directory *d)
{
	if (end < LOCATOR64_LEN || !has(v, end - LOCATOR64_LEN, LOCATOR64_LEN, LOCATOR_64))
		return;
	uint64_t at = number(v, end - LOCATOR64_LEN + 8, 8);
	if (!has(v, at, END64_LEN, END_RECORD_64))
		return;
	*d = (struct directory){ .at = number(v, at + 48, 8), .len = number(v, at + 40, 8),
				 .count = number(v, at + 32, 8) };
}

static bool find_directory(struct view v, struct directory *ret)
{
	uint64_t last = v.len < END_LEN ? 0 : v.len - END_LEN;
	uint64_t first = last > COMMENT_MAX ? last - COMMENT_MAX : 0;

	for (uint64_t at = last; v.len >= END_LEN; at--) {
		if (has(v, at, END_LEN, END_RECORD) &&
		    at + END_LEN + number(v, at + 20, 2) == v.len) {
			*ret = (struct directory){ .at = number(v, at + 16, 4),
						   .len = number(v, at + 12, 4),
						   .count = number(v, at + 10, 2) };
			if (ret->at == UINT32_MAX || ret->len == UINT32_MAX ||
			    ret->count == UINT16_MAX)
				read_end_64(v, at, ret);
			return ret->count <= ZIP_MEMBERS_MAX && is_within(v, ret->at, ret->len);
		}
		if (at == first)
			break;
	}
	return false;
}

/* A directory entry's extra fields have what does not fit in 32 bits, in this order. */
static void read_extra_64(struct view v, uint64_t at, uint64_t end, uint64_t *size, uint64_t *len,
			  uint64_t *offset)
{
	uint64_t *const fields[] = { size, len, offset };

	while (end - at >= 4 && number(v, at, 2) != 1)
		at = end - at - 4 >= number(v, at + 2, 2) ? at + 4 + number(v, at + 2, 2) : end;
	if (end - at < 4)
		return;
	end = end - at - 4 >= number(v, at + 2, 2) ? at + 4 + number(v, at + 2, 2) : end;
	at += 4;
	for (size_t i = 0; i < 3; i++) {
		if (*fields[i] != UINT32_MAX || end - at < 8)
			continue;
		*fields[i] = number(v, at, 8);
		at += 8;
	}
}

/* Reads the entry at *at, moves behind it, and fills *ret when it is a deflated member (*ret_use).
 * False: damaged. */
static bool read_entry(struct view v, const struct directory *d, uint64_t *at,
		       struct zip_member *ret, bool *ret_use)
{
	uint64_t end = d->at + d->len, entry = *at;

	if (end - entry < ENTRY_LEN || !has(v, entry, ENTRY_LEN, DIRECTORY_ENTRY))
		return false;
	uint64_t name = number(v, entry + 28, 2), extra = number(v, entry + 30, 2),
		 comment = number(v, entry + 32, 2);
	if (end - entry - ENTRY_LEN < name + extra + comment)
		return false;
	*at = entry + ENTRY_LEN + name + extra + comment;
	uint64_t flags = number(v, entry + 8, 2), method = number(v, entry + 10, 2);
	uint64_t len = number(v, entry + 20, 4), size = number(v, entry + 24, 4),
		 local = number(v, entry + 42, 4);
	read_extra_64(v, entry + ENTRY_LEN + name, entry + ENTRY_LEN + name + extra, &size, &len,
		      &local);
	*ret_use = method == METHOD_DEFLATE && !(flags & (FLAG_ENCRYPTED | FLAG_MASKED)) && len > 0;
	if (!*ret_use)
		return true;
	if (!has(v, local, LOCAL_LEN, LOCAL_HEADER))
		return false;
	uint64_t data = local + LOCAL_LEN + number(v, local + 26, 2) + number(v, local + 28, 2);
	*ret = (struct zip_member){ data, len, size };
	return is_within(v, data, len) && data + len <= d->at;
}

static int by_place(const void *a, const void *b)
{
	const struct zip_member *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Whether all entries could be read, and no two members have a byte in common. */
static bool read_members(struct view v, const struct directory *d, struct zip_member *members,
			 size_t *ret_count)
{
	uint64_t at = d->at;

	for (uint64_t i = 0; i < d->count; i++) {
		bool use;

		if (!read_entry(v, d, &at, &members[*ret_count], &use))
			return false;
		*ret_count += use;
	}
	qsort(members, *ret_count, sizeof(*members), by_place);
	for (size_t i = 1; i < *ret_count; i++) {
		if (members[i].at < members[i - 1].at + members[i - 1].len)
			return false;
	}
	return true;
}

int zip_members(struct view bytes, struct zip_member **ret, size_t *ret_count, struct error *e)
{
	struct directory d;

	*ret = NULL;
	*ret_count = 0;
	/* Each entry takes its bytes in the directory, so that the count cannot ask for more memory
	 * than the file. */
	if (!find_directory(bytes, &d) || d.count == 0 || d.count > d.len / ENTRY_LEN)
		return 0;
	*ret = calloc(d.count, sizeof(**ret));
	if (!*ret)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	if (!read_members(bytes, &d, *ret, ret_count))
		*ret_count = 0;
	return 0;
}
