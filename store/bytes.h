/* bytes.h - borrowed bytes, owned bytes, and the codec cursor every record is read and written
 * with.
 *
 * A *view* borrows; it is valid as long as what it points into.  A *buf* owns; all zero is an empty
 * buf and safe to release.  A *reader* walks a view with a sticky error: after the first short or
 * malformed field every further read returns zeros, and reader_done() tells once at the end.  Bytes
 * from disk or from a client are only ever decoded through a reader. */
#ifndef DAYBOOK_BYTES_H
#define DAYBOOK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "error.h"

#define CLEANUP(release) __attribute__((cleanup(release)))

struct view {
	const void *data;
	size_t len;
};

static inline struct view view_of(const void *data, size_t len)
{
	return (struct view){ data, len };
}

static inline struct view view_str(const char *s)
{
	return (struct view){ s, strlen(s) };
}

static inline bool view_equal(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Below, at or above zero: as memcmp() orders bytes, and the shorter of two that begin alike
 * first. */
static inline int view_order(struct view a, struct view b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.data, b.data, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool view_has(struct view v, char byte)
{
	return v.len && memchr(v.data, byte, v.len);
}

/* To where there is room for it.  An empty view may have no address, which memcpy() may not see. */
static inline void view_copy(void *to, struct view from)
{
	if (from.len)
		memcpy(to, from.data, from.len);
}

/* An owned, growing run of bytes.  A failed allocation makes it sticky-failed: further appends do
 * nothing and buf_check() reports it, so that encoders need no check per field. */
struct buf {
	uint8_t *data;
	size_t len, cap;
	bool failed;
};

void buf_release(struct buf *b);              /* frees; the buf is empty afterwards */
void buf_clear(struct buf *b);                /* length 0, keeps the memory, forgets a failure */
struct view buf_view(const struct buf *b);
/* N more bytes, uninitialised; NULL when out of memory. */
void *buf_grow(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *data, size_t n);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* NUL-terminated (the NUL is not counted); "" when out of memory. */
const char *buf_cstr(struct buf *b);
int buf_check(const struct buf *b, struct error *e); /* 0 or -E_NO_MEMORY */
struct buf buf_take(struct buf *b);           /* moves: *b is empty afterwards */

/* Fixed-width integers are big-endian, so that memcmp order is number order (used in keys). */
void buf_u8(struct buf *b, uint8_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* LEB128: 7 bits a byte, least significant first; 1 to 10 bytes. */
void buf_varint(struct buf *b, uint64_t v);
/* varint length, then the bytes. */
void buf_string(struct buf *b, struct view v);

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

struct reader reader_of(struct view v);
uint8_t reader_u8(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint64_t reader_varint(struct reader *r);     /* refuses overlong and > 64-bit encodings */
struct view reader_string(struct reader *r);  /* borrows from what is read */
struct view reader_bytes(struct reader *r, size_t n);
size_t reader_left(const struct reader *r);
bool reader_done(const struct reader *r);     /* no failure and nothing left over */

/* Lower-case hexadecimal of n bytes into out, which has room for 2n+1. */
void hex_encode(char *out, const void *data, size_t n);
/* 0, or -E_INVALID when hex is not exactly 2n hexadecimal digits. */
int hex_decode(void *out, size_t n, const char *hex);

#endif
