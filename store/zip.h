/* zip.h - where the deflated members of a zip archive (a workbook, a document) lie in its bytes.
 *
 * The bytes are anybody's: all that is read from them is bounded and checked, and an archive with
 * anything odd in it is no archive, which costs space and nothing else. */
#ifndef DAYBOOK_ZIP_H
#define DAYBOOK_ZIP_H

#include "bytes.h"

#define ZIP_MEMBERS_MAX 65536

/* One member's compressed bytes: [at, at + len) of the archive; size as the archive claims. */
struct zip_member {
	uint64_t at, len, size;
};

/* The deflated members in the order in which they lie there; *ret is the caller's, for free().
 * *ret_count is 0 for what is no archive, or one with overlapping members, or whose directory is
 * damaged.  Members that are stored, encrypted, empty or compressed otherwise are passed over.  0
 * or -E_NO_MEMORY. */
int zip_members(struct view bytes, struct zip_member **ret, size_t *ret_count, struct error *e);

#endif
