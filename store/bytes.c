/* bytes.c - see bytes.h. */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

struct view buf_view(const struct buf *b)
{
	return view_of(b->data, b->len);
}

void *buf_grow(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > b->cap - b->len) {
		size_t cap = b->cap ? b->cap : 256;

		while (cap - b->len < n && cap <= SIZE_MAX / 2)
			cap *= 2;
		uint8_t *data = cap - b->len < n ? NULL : realloc(b->data, cap);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	b->len += n;
	return b->data + b->len - n;
}

void buf_append(struct buf *b, const void *data, size_t n)
{
	void *to = n ? buf_grow(b, n) : NULL;

	if (to)
		memcpy(to, data, n);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	char *to = n > 0 ? buf_grow(b, (size_t)n + 1) : NULL;
	if (!to)
		return;
	va_start(ap, format);
	vsnprintf(to, (size_t)n + 1, format, ap);
	va_end(ap);
	b->len--;
}

const char *buf_cstr(struct buf *b)
{
	char *nul = buf_grow(b, 1);

	if (!nul)
		return "";
	*nul = '\0';
	b->len--;
	return (const char *)b->data;
}

int buf_check(const struct buf *b, struct error *e)
{
	return b->failed ? error_set(e, -E_NO_MEMORY, "out of memory") : 0;
}

struct buf buf_take(struct buf *b)
{
	struct buf taken = *b;

	*b = (struct buf){ 0 };
	return taken;
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_append(b, &v, 1);
}

static void put_big_endian(struct buf *b, uint64_t v, size_t width)
{
	uint8_t *to = buf_grow(b, width);

	for (size_t i = 0; to && i < width; i++)
		to[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void buf_u32(struct buf *b, uint32_t v)
{
	put_big_endian(b, v, 4);
}

void buf_u64(struct buf *b, uint64_t v)
{
	put_big_endian(b, v, 8);
}

void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;

	do {
		out[n] = (uint8_t)(v & 0x7f);
		v >>= 7;
		out[n++] |= v ? 0x80 : 0;
	} while (v);
	buf_append(b, out, n);
}

void buf_string(struct buf *b, struct view v)
{
	buf_varint(b, v.len);
	buf_append(b, v.data, v.len);
}

struct reader reader_of(struct view v)
{
	static const uint8_t nothing[1];
	const uint8_t *at = v.data ? v.data : nothing;

	return (struct reader){ at, at + v.len, false };
}

size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->at);
}

bool reader_done(const struct reader *r)
{
	return !r->failed && r->at == r->end;
}

struct view reader_bytes(struct reader *r, size_t n)
{
	if (reader_left(r) < n) {
		r->failed = true;
		return view_of(NULL, 0);
	}
	r->at += n;
	return view_of(r->at - n, n);
}

static uint64_t get_big_endian(struct reader *r, size_t width)
{
	struct view v = reader_bytes(r, width);
	uint64_t n = 0;

	for (size_t i = 0; i < v.len; i++)
		n = n << 8 | ((const uint8_t *)v.data)[i];
	return n;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)get_big_endian(r, 1);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)get_big_endian(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return get_big_endian(r, 8);
}

uint64_t reader_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = reader_u8(r);

		if (r->failed || (shift == 63 && byte > 1) || (shift && byte == 0))
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

struct view reader_string(struct reader *r)
{
	uint64_t n = reader_varint(r);

	if (n > reader_left(r)) {
		r->failed = true;
		return view_of(NULL, 0);
	}
	return reader_bytes(r, (size_t)n);
}

void hex_encode(char *out, const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(void *out, size_t n, const char *hex)
{
	uint8_t *bytes = out;

	for (size_t i = 0; i < n; i++, hex += 2) {
		int high = digit_value(hex[0]), low = high < 0 ? -1 : digit_value(hex[1]);

		if (low < 0)
			return -E_INVALID;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return *hex ? -E_INVALID : 0;
}
