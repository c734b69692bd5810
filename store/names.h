/* names.h - how files, versions and people are called in the history tree.  Pure: no store, no
 * clock.
 *
 * A *raw* name is the bytes of a live name.  Its *shown* name is what every client can open,
 * Windows through Samba too: valid UTF-8 without control characters, without : | ? * < > " and
 * backslash, without a dot or space at its end. Bytes that cannot stay are written %XX (two
 * upper-case hexadecimal digits), and so is a % that is followed by two such digits: no two raw
 * names are shown alike, and names_read() is the way back. A name that would grow past 255 bytes is
 * cut, its extension kept, and "~" with 13 digits put before the extension: the directory cookie
 * (store_cookie()) of the raw name, by which it is found again. The *extension* is what follows the
 * last dot of a name, when it is 1 to 16 letters and digits. */
#ifndef DAYBOOK_NAMES_H
#define DAYBOOK_NAMES_H

#include <stdint.h>

#include "bytes.h"

#define NAMES_LEN_MAX 255
#define NAMES_ADDED_MAX 39 /* bytes that a version's name has more than the file's */

/* The shown name of a raw one with that cookie. */
void names_show(char out[NAMES_LEN_MAX + 1], struct view raw, uint64_t cookie);

/* What a shown name may stand for: its bytes with every %XX undone (*ret_len of them in raw), and
 * the cookie that it ends in (0: none).  Neither needs to exist; whoever looks it up compares what
 * it is shown as. */
void names_read(struct view shown, char raw[NAMES_LEN_MAX + 1], size_t *ret_len,
		uint64_t *ret_cookie);

/* "budget.2026-03-03_14.15.20Z.v12.anna.xlsx": stem, time, version, author, extension. */
struct names_version {
	struct view raw; /* the file's name */
	uint64_t cookie; /* of raw */
	int64_t time;    /* ns; the second is shown */
	uint64_t number; /* of the version; 0 leaves ".v12" out (directories) */
	/* 2 and up tells apart what would be called the same: ".v12-2"; 0 and 1 say nothing. */
	unsigned twin;
	struct view author;
	bool lost;       /* its content cannot be read: ".v12-lost" */
};
void names_version(char out[NAMES_LEN_MAX + 1], const struct names_version *v);

/* A person's name for use in names: "DOM\anna" is "anna", or "DOM+anna" with_domain; what a shown
 * name cannot have, and a dot in front, becomes "_"; "uid-1000" for an empty one.  out has room for
 * 64 bytes. */
#define NAMES_AUTHOR_ROOM 64
void names_author(char out[NAMES_AUTHOR_ROOM], struct view author, uint32_t uid, bool with_domain);

/* Whether a name that a person chose (a tag's) can be shown as it is: 0, or -E_NAME_BAD or
 * -E_NAME_LONG with a sentence. */
int names_check(struct view name, struct error *e);

#endif
