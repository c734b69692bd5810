/* plain.h - bytes made plain: a zip archive with its members inflated, so that what is alike in two
 * saves of a workbook is alike in their bytes; and back, bit for bit.
 *
 * A *plan* says how: a list of parts, each `gap` bytes that stay as they are, and then `len` bytes
 * of a deflate stream that are `size` bytes inflated, which `recipe` (recode.h) makes the stream
 * again of.  A stream that zlib does not make has RECIPE_TOKENS: behind what it inflates to stand
 * `choices` bytes (tokens.h).  What comes after the last part stays as it is.
 * Encoded it begins with a byte PLAN_FORMAT, so that a plan without parts, that of bytes that are
 * no archive, is not taken for none; bytes without a plan are plain as they are. */
#ifndef DAYBOOK_PLAIN_H
#define DAYBOOK_PLAIN_H

#include "bytes.h"

#define PLAN_FORMAT 2 /* 1: without RECIPE_OFFICE and RECIPE_TOKENS */

/* Neither bytes nor plain bytes of more are packed. */
#define PLAIN_BYTES_MAX ((size_t)64 << 20)

/* How far each part is made again to see that it is made exactly.  A few percent of a large one
 * tell which recipe it is, and that it is not as LibreOffice has them; who makes all of it again
 * anyway needs no more. */
#define PLAN_PROVED SIZE_MAX
#define PLAN_LIKELY ((size_t)160 << 10)

/* Finds the plan, appended encoded to plan, and appends the plain bytes that it makes to plain:
 * parts that would not be made again exactly, as far as `proof` goes, are no parts, and neither are
 * those behind PLAIN_BYTES_MAX inflated bytes, be they of parts or not: bombs cost no more than
 * that. */
int plain_plan(struct view bytes, size_t proof, struct buf *plan, struct buf *plain,
	       struct error *e);

/* Appends the plain bytes that plan makes of bytes.  -E_CORRUPT when it does not fit them. */
int plain_make(struct view bytes, struct view plan, struct buf *out, struct error *e);

/* Appends the bytes of which plan made plain; they are size.  -E_CORRUPT when they are not. */
int plain_undo(struct view plain, struct view plan, size_t size, struct buf *out, struct error *e);

#endif
