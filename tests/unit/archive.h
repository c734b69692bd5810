/* archive.h - zip archives for tests, and what workbooks have in them. */
#ifndef DAYBOOK_TEST_ARCHIVE_H
#define DAYBOOK_TEST_ARCHIVE_H

#include "noise.h"
#include "store/bytes.h"

/* Words and numbers, such as the sheet of a workbook has; for buf_release. */
static inline struct buf archive_sheet(size_t n, uint64_t seed)
{
	struct buf b = { 0 };

	while (b.len < n)
		buf_printf(&b, "<c r=\"%c%u\" s=\"%u\"><v>%u</v></c>",
			   (char)('A' + noise_below(&seed, 26)), (unsigned)(b.len / 300),
			   (unsigned)noise_below(&seed, 9), (unsigned)noise_below(&seed, 5000));
	return b;
}

static inline void archive_little(struct buf *b, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_u8(b, (uint8_t)(v >> (8 * i)));
}

/* What an archive's entry says; the fields are wrong on purpose in some tests. */
struct archive_entry {
	uint64_t flags, method, len, size, local;
	bool wide; /* zip64: lengths and place stand in the extra field */
};

static inline void archive_local(struct buf *zip, const struct archive_entry *x)
{
	archive_little(zip, 0x04034b50, 4);
	archive_little(zip, 20, 2);
	archive_little(zip, x->flags, 2);
	archive_little(zip, x->method, 2);
	archive_little(zip, 0, 8);
	archive_little(zip, x->flags & 8 ? 0 : x->len, 4);
	archive_little(zip, x->flags & 8 ? 0 : x->size, 4);
	archive_little(zip, 5, 2);
	archive_little(zip, 0, 2);
	buf_append(zip, "a.xml", 5);
}

static inline void archive_name(struct buf *directory, const struct archive_entry *x)
{
	archive_little(directory, 0x02014b50, 4);
	archive_little(directory, 20, 2);
	archive_little(directory, 20, 2);
	archive_little(directory, x->flags, 2);
	archive_little(directory, x->method, 2);
	archive_little(directory, 0, 8);
	archive_little(directory, x->wide ? UINT32_MAX : x->len, 4);
	archive_little(directory, x->wide ? UINT32_MAX : x->size, 4);
	archive_little(directory, 5, 2);
	archive_little(directory, x->wide ? 28 : 0, 2);
	archive_little(directory, 0, 2);
	archive_little(directory, 0, 8);
	archive_little(directory, x->wide ? UINT32_MAX : x->local, 4);
	buf_append(directory, "a.xml", 5);
	if (!x->wide)
		return;
	archive_little(directory, 1, 2);
	archive_little(directory, 24, 2);
	archive_little(directory, x->size, 8);
	archive_little(directory, x->len, 8);
	archive_little(directory, x->local, 8);
}

static inline void archive_end(struct buf *zip, const struct buf *directory, uint64_t count)
{
	uint64_t at = zip->len;

	buf_append(zip, directory->data, directory->len);
	archive_little(zip, 0x06054b50, 4);
	archive_little(zip, 0, 4);
	archive_little(zip, count, 2);
	archive_little(zip, count, 2);
	archive_little(zip, directory->len, 4);
	archive_little(zip, at, 4);
	archive_little(zip, 0, 2);
}

/* Adds a member, which is compressed already, and its directory entry. */
static inline void archive_add(struct buf *zip, struct buf *directory, struct view compressed,
			       size_t size, struct archive_entry x)
{
	x.local = zip->len;
	x.len = compressed.len;
	x.size = size;
	archive_local(zip, &x);
	buf_append(zip, compressed.data, compressed.len);
	archive_name(directory, &x);
}

#endif
