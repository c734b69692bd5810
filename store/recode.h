/* recode.h - how to make a deflate stream again, bit for bit, from what it inflates to.
 *
 * Most programs deflate with zlib, so few numbers say what they did: a *recipe*.  Which streams
 * zlib makes of given bytes is no part of its promise, though it has been the same for decades: so
 * Daybook links zlib statically, nothing is packed that was not made again first, and
 * recode_is_sound() tells a zlib that makes other streams. */
#ifndef DAYBOOK_RECODE_H
#define DAYBOOK_RECODE_H

#include "bytes.h"

/* RECIPE_ZLIB + level: one zlib stream, memLevel 8 (openpyxl, XlsxWriter, most others).
 *
 * RECIPE_BLOCKS + level: as LibreOffice since 7: blocks of 128 KiB, each a stream of its own that
 * was given the 32 KiB before it as dictionary, ended by a sync flush, the last by the end.
 *
 * RECIPE_OFFICE, RECIPE_OFFICE_DEEP: as Microsoft Excel, Word and PowerPoint until 2010, and since
 * 2013, when chains are 16 long and matches as long as they go: one stream of level 1, memLevel 7,
 * flushed behind all bytes before it is ended; of late also where a sheet's rows begin and end.
 *
 * RECIPE_TOKENS: not zlib, but the stream's own choices (tokens.h), which plain.h keeps: for the
 * others.
 *
 * Kept on disk. */
enum recode_way {
	RECIPE_NONE = 0,
	RECIPE_ZLIB = 0x10,
	RECIPE_BLOCKS = 0x20,
	RECIPE_OFFICE = 0x30,
	RECIPE_OFFICE_DEEP = 0x31,
	RECIPE_TOKENS = 0x40,
};

/* flushes: of RECIPE_OFFICE, in the stream's order, varints of the bytes between them, each with a
 * byte of these bits, done in this order; borrowed.  Kept on disk. */
enum recode_flush {
	FLUSH_PARTIAL = 1,
	FLUSH_SYNC = 2,
	FLUSH_FULL = 4,
};

#define FLUSHES_MAX 256

struct recipe {
	uint8_t way;
	struct view flushes;
};

#define RECODE_RATIO_MAX 1032 /* deflate cannot say more: 258 bytes in two bits */

/* Inflates a stream, which ends where compressed does: 1, with its bytes appended to out, and to
 * flushes, unless that is NULL, how it was flushed, as a recipe has it, unless that is more often
 * than FLUSHES_MAX.  0: it is no such stream, or inflates to more than size_max or to more than
 * deflate can say; out is as it was. */
int recode_inflate(struct view compressed, size_t size_max, struct buf *out, struct buf *flushes,
		   struct error *e);

/* The recipe by which zlib makes exactly compressed of plain, or at least its first `enough` bytes,
 * flushes being those that were found: 1 and *ret, which borrows from flushes, or 0. */
int recode_find(struct view compressed, struct view plain, struct view flushes, size_t enough,
		struct recipe *ret, struct error *e);

/* Appends the stream that recipe makes of plain.  -E_CORRUPT: an unknown recipe, or one of other
 * bytes; or more than len_max bytes. */
int recode_make(const struct recipe *recipe, struct view plain, size_t len_max, struct buf *out,
		struct error *e);

/* Whether this zlib makes the streams that the one did with which this was written. */
bool recode_is_sound(void);

#endif
