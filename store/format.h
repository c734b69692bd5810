/* format.h - every byte that Daybook keeps on disk: the key families, the records in them, and
 * their codecs.
 *
 * KEYS are a family's letter followed by fixed-width big-endian integers and, last, raw name bytes,
 * so that memcmp order is number order.  "~n" is the bitwise complement: the newest comes first.
 *
 * VALUES open with a format byte (RECORD_FORMAT) and a varint in which bit n tells that field n of
 * the tables below is there, the first being field 0; these fields follow in the order of the
 * tables.  A field that is zero or empty is not
 * there.  New fields are only ever added at the end of a table, so that a record written by an
 * older Daybook lacks them; one that has a field which is not in the table, or a larger format
 * byte, is refused as E_FORMAT_NEWER.  Anything else that does not decode exactly to its end is
 * E_CORRUPT.
 *
 * TIME is kept as intervals.  The newest inode record and the dirents that are live stand in the
 * families INODE and DIRENT, with the change that made them in `since`; when a change supersedes
 * one, the old record moves to PAST_INODE or PAST_DIRENT under its own `since`.  So the present
 * never pays for the past, something that never changes is written once, and the state as of change
 * T is: the live record if since <= T, else the first past record at or after ~T in its family (for
 * dirents: if T < until as well).
 *
 * FORMAT LIST (date, number, what changed)
 *   2026-11-21  1  first format
 *   2026-11-21  1  log_record: request; origin_record: handle, folds
 *   2026-11-21  1  version_record: flag VERSION_LOST; LOST_ID; the log records of repairs that name
 *               gaps
 *   2026-11-21  1  staging journals: END, and a name of their own
 *   2026-11-21  2  all records: the fields that are there, times as differences; log_record: above
 *                  and the counts; BY_USER, UNDER: of blocks
 *   2026-11-21  2  log_record: versions, version_bytes; version_record: flag VERSION_MOVED
 *   2026-11-21  2  plans of format 2 (plain.h): RECIPE_OFFICE; RECIPE_TOKENS and its choices
 *   2026-11-21  2  staging journals: MOVED; META: early contents */
#ifndef DAYBOOK_FORMAT_H
#define DAYBOOK_FORMAT_H

#include <stdint.h>

#include "bytes.h"
#include "error.h"

#define STORE_FORMAT 2  /* in the FORMAT file */
#define RECORD_FORMAT 2 /* first byte of every value */

#define NAME_LEN_MAX 255
#define DIGEST_LEN 32    /* BLAKE2b-256 */
/* Changes that share an entry of an index of the log: block n is those from 16n on. */
#define INDEX_BLOCK 16
#define ROOT_INODE 1
#define HISTORY_NAME ".history"
/* Stands for the id of a content, segment or chunk that a repair found missing. */
#define LOST_ID UINT64_MAX
#define LOST_SENTENCE                                                                              \
	"these bytes were lost when the store was damaged: a repair said so, and daybook history " \
	"does"

/* X(NAME, letter, key after the letter, value, what for) */
#define KEY_FAMILIES(X) \
	X(META,        'M', "text",                                "text or number",  "how far packing came; the next inode's number, when not the log's; what comes in") \
	X(DIRENT,      'd', "parent u64, cookie u64, name",        "dirent_record",   "the present of a directory") \
	X(PAST_DIRENT, 'p', "parent u64, cookie u64, name, 0, ~since u64", "dirent_record", "what a name was before") \
	X(INODE,       'i', "inode u64",                           "inode_record",    "the present of an inode") \
	X(PAST_INODE,  'j', "inode u64, ~since u64",               "inode_record",    "what an inode was before") \
	X(LINK,        'k', "inode u64, parent u64, name",         "empty",           "all names of a multiply linked inode") \
	X(ORPHAN,      'o', "inode u64",                           "empty",           "unlinked but still open") \
	X(DOCUMENT,    'D', "document u64",                        "document_record", "what a person means by a file") \
	X(VERSION,     'v', "document u64, ~number u64",           "version_record",  "the saves of a document") \
	X(CONTENT,     'c', "content u64",                         "content_record",  "one content, shared by all that have it") \
	X(SEGMENT,     's', "segment u64",                         "segment_record",  "the chunk list of up to 64 MiB of a content") \
	X(CHUNK_NAME,  'n', "keyed XXH3-128 of the bytes, 16",     "chunk id varint", "has the store these bytes already?") \
	X(CHUNK,       'C', "chunk id u64",                        "codec u8, bytes", "content; a column family of its own") \
	X(LOG,         'l', "change u64",                          "log_record",      "the hash-chained change log") \
	X(BY_USER,     'u', "uid u32, block u64",                  "empty",           "log --by, .history/by: blocks of changes, one of them his") \
	X(UNDER,       'a', "directory u64, block u64",            "empty",           "log PATH, .history/at: the same in and below it; not of the root") \
	X(BY_DIGEST,   'x', "digest 32, document u64, number u64", "content id varint", "whence; same bytes, same content") \
	X(CLOCK,       't', "second u64",                          "change varint",   "instant from time: last change in that second, once it is over") \
	X(TAG,         'g', "directory u64, name",                 "tag_record",      "names pinned to instants") \
	X(CONFLICT,    'f', "directory u64, change u64",           "conflict_record", "conflicts in and below a directory")

enum family {
#define X(name, letter, key, value, what) FAMILY_##name,
	KEY_FAMILIES(X)
#undef X
	FAMILY_COUNT
};

/* The field kinds: u = varint, up to 64 bits.  t = a time, i64 nanoseconds since 1970 UTC, 8 bytes
 * big-endian two's complement; d = a time too, as the difference to the time before it in the
 * record, a varint of 2n for n >= 0 and -2n - 1 for n < 0: not there, it is the same.  h = a digest
 * of DIGEST_LEN raw bytes.  s = a varint length and bytes; in the decoded struct a view that
 * borrows from the encoded bytes.  n = the same, of at most NAME_LEN_MAX bytes: a name that keys
 * can be made of. */

/* A name in a directory.  ino: inode number.  doc: the slot's document, 0 when it has none
 * (directories, links and the like).  type: S_IFMT bits of the inode.  since, until: the changes
 * between which the name was so (until = 0: it still is).  ended: enum slot_end, how the interval
 * ended.  until_time: when. */
#define DIRENT_FIELDS(F) \
	F(u, ino) F(u, doc) F(u, type) F(u, since) F(u, until) F(u, ended) F(t, until_time)

/* An inode.  mode: st_mode whole.  doc, version: its document and the version of it that content is
 * (0 before the first save).  content: 0 = empty.  parent, name: where it lives (one of its names;
 * directories have one); xattrs: an xattr list, see xattr_find(). flags: enum inode_flag.  mtime
 * and ctime of a directory in which names changed in the log's last second may be older than the
 * last such change (lagging.h). */
#define INODE_FIELDS(F) \
	F(u, ino) F(u, mode) F(u, uid) F(u, gid) F(u, nlink) F(u, rdev) F(u, size) \
	F(t, btime) F(d, mtime) F(d, ctime) F(d, atime) \
	F(u, doc) F(u, version) F(u, content) F(u, since) F(u, parent) F(n, name) F(s, target) F(s, xattrs) F(u, flags)

/* A document.  head: number of its newest version (0: none yet).  pred: the document that lived in
 * this slot before (L4).  copy_of, copy_of_version: the document this one split from (L3), or 0.
 * absorbed_by: the document that took its content (L2), or 0.  parent, name: its slot, or its last
 * one.  ino: the inode that holds it now, 0 when it is deleted.  born, died: times (died 0: lives).
 * uid, tgid: the session that made it. flags: enum document_flag. */
#define DOCUMENT_FIELDS(F) \
	F(u, head) F(u, pred) F(u, copy_of) F(u, copy_of_version) F(u, absorbed_by) F(u, parent) F(n, name) F(u, ino) \
	F(t, born) F(t, died) F(u, uid) F(u, tgid) F(u, flags) F(u, since)

/* One save.  change: the change that made it (the last, when saves folded).  digest: BLAKE2b-256 of
 * the bytes (contents above 64 MiB: of their segments' digests, see content.h).  prev: number
 * before it (0: first). from, from_version: the version whose content it took, or 0.  base: number
 * of the version its author had last read, 0 = unknown.  mode, owner_uid, owner_gid, acl: the
 * file's rights when it was saved (P4).  mtime: the file's own mtime.  flags: enum version_flag. */
#define VERSION_FIELDS(F) \
	F(u, change) F(t, time) F(u, uid) F(u, gid) F(s, author) F(u, tgid) F(s, command) F(s, client) \
	F(u, ino) F(u, content) F(u, size) F(h, digest) F(u, prev) F(u, from) F(u, from_version) F(u, base) \
	F(u, mode) F(u, owner_uid) F(u, owner_gid) F(s, acl) F(d, mtime) F(u, flags) F(u, parent) F(n, name)

/* A content: its size, digest, and segments as (varint id, varint bytes) pairs, id 0 a hole; see
 * content.h. data: how many of its bytes are not in holes. */
#define CONTENT_FIELDS(F) F(u, size) F(h, digest) F(s, segments) F(u, data)

/* Up to 64 MiB of a content: digest of its bytes and, as (varint id, varint bytes) pairs, chunks;
 * chunk id 0 is a hole.  form: enum segment_form.  SEGMENT_CHUNKS: the bytes are the chunks'.
 * SEGMENT_PACKED: they are `size` bytes to be made again (packed.h) of a delta, which stands in
 * `delta` or, when that is empty, in the chunks; against the segment `base`, 0: against nothing;
 * doc: the document in whose history it was packed.  plan: how its bytes become plain (plain.h);
 * once set, it stays, because segments that were packed against this one count on it. */
#define SEGMENT_FIELDS(F) \
	F(h, digest) F(s, chunks) F(u, form) F(u, size) F(u, base) F(u, doc) F(s, plan) F(s, delta)

/* One change.  prev: BLAKE2b-256 of the encoded record before it (all zero for the first): the
 * chain. path, path2: from the share's root, "/"-separated, as they were; path2 is where it went
 * (rename, link) or the target (symlink).  before, after: mode, owner, size or version, by
 * operation: see daybook-changelog(5). flags: enum log_flag.  request: the kernel's number of the
 * request that was answered by it, 0 when there was none; unique among the changes made through one
 * mount.  above: the directories in and below which it happened, all the way up to the root, as
 * they were then, as varints.  live_files, live_bytes: regular files' names and bytes of the
 * present after it; inode_next, document_next: numbers that were not given then.
 * versions, version_bytes: saves that were kept until then, version_counts(), and their sizes. */
#define LOG_FIELDS(F) \
	F(u, change) F(t, time) F(h, prev) F(u, op) F(u, uid) F(u, gid) F(s, author) F(u, tgid) F(s, command) \
	F(s, client) F(u, ino) F(u, parent) F(s, path) F(s, path2) F(u, doc) F(u, version) F(u, from) F(u, from_version) \
	F(u, size_before) F(u, size_after) F(h, digest_before) F(h, digest_after) F(s, before) F(s, after) F(u, flags) \
	F(u, request) F(s, above) F(u, live_files) F(u, live_bytes) F(u, inode_next) F(u, document_next) \
	F(u, versions) F(u, version_bytes)

#define TAG_FIELDS(F) F(u, change) F(t, time) F(u, uid) F(s, author)

/* doc: the document; base: what the author had read; head: what stood there; number: what was saved
 * over it. */
#define CONFLICT_FIELDS(F)                                                                         \
	F(u, doc) F(u, base) F(u, head) F(u, number) F(u, ino) F(u, parent) F(n, name)

/* META "packing": how far packing has come.  through: the last change whose document was seen to.
 * segments: how many are packed; bytes: what they hold; stored: what they take; unswept: bytes that
 * packing left without a name and that are not removed yet, about. */
#define PACKING_FIELDS(F) F(u, through) F(u, segments) F(u, bytes) F(u, stored) F(u, unswept)

/* Who writes, on what: see struct staging_origin.  In a staging journal's first entry, not in the
 * database. */
#define ORIGIN_FIELDS(F) \
	F(u, ino) F(u, content) F(u, size) F(u, uid) F(u, gid) F(u, tgid) F(s, author) F(s, command) F(s, client) \
	F(u, base) F(t, mtime) F(u, handle) F(u, folds) F(u, change) F(u, boot)

/* X(record, table, "shown as") */
#define RECORDS(X) \
	X(dirent, DIRENT_FIELDS) X(inode, INODE_FIELDS) X(document, DOCUMENT_FIELDS) X(version, VERSION_FIELDS) \
	X(content, CONTENT_FIELDS) X(segment, SEGMENT_FIELDS) X(log, LOG_FIELDS) X(tag, TAG_FIELDS) \
	X(conflict, CONFLICT_FIELDS) X(origin, ORIGIN_FIELDS) X(packing, PACKING_FIELDS)

#define FIELD_TYPE_u uint64_t
#define FIELD_TYPE_t int64_t
#define FIELD_TYPE_d int64_t
#define FIELD_TYPE_s struct view
#define FIELD_TYPE_n struct view
struct digest {
	uint8_t bytes[DIGEST_LEN];
};
#define FIELD_TYPE_h struct digest

/* For each record R: struct R_record; R_encode() appends to out (check out with buf_check());
 * R_decode() fills *r, whose views borrow from value: 0, -E_CORRUPT or -E_FORMAT_NEWER. */
#define FIELD_MEMBER(kind, name) FIELD_TYPE_##kind name;
#define X(record, FIELDS) \
	struct record##_record { \
		FIELDS(FIELD_MEMBER) \
	}; \
	void record##_encode(struct buf *out, const struct record##_record *r); \
	int record##_decode(struct record##_record *r, struct view value, struct error *e);
RECORDS(X)
#undef X

enum segment_form {
	SEGMENT_CHUNKS,
	SEGMENT_PACKED,
};

enum slot_end {
	SLOT_LIVE,      /* has not ended */
	SLOT_UNLINKED,  /* unlink, rmdir */
	SLOT_MOVED,     /* renamed away; the inode lives on under another name */
	SLOT_ABSORBED,  /* renamed over another name, which took its content (L2) */
	SLOT_REPLACED,  /* another inode was renamed over, linked or exchanged into the name */
	SLOT_REDOCUMENTED, /* same inode, but its document changed (L3: a copy split off) */
	SLOT_PASSED,    /* renamed away, and only passed through here (L3c) */
};

enum inode_flag {
	INODE_LINKED = 1 << 0, /* has, or once had, several names: all of them stand in LINK */
};

enum document_flag {
	DOCUMENT_SCRATCH = 1 << 0,  /* L7: recorded, but hidden from default listings */
};

enum version_flag {
	VERSION_INCOMPLETE = 1 << 0, /* L8: the save did not finish */
	VERSION_CONFLICT = 1 << 1,   /* saved over somebody else's newer version */
	/* Made at start from bytes that the last daemon left unsaved. */
	VERSION_RECOVERED = 1 << 2,
	VERSION_COPIED = 1 << 3, /* not a save: a document split off (L3) or moved here (L2) with
				    this content */
	/* Its bytes are damaged or gone; what is known of it stays (mend.h). */
	VERSION_LOST = 1 << 4,
	/* The save was first another document's, which went into this one (L2). */
	VERSION_MOVED = 1 << 5,
};

/* Whether a version is a save of its own, and counted as one. */
static inline bool version_counts(const struct version_record *v)
{
	return !(v->flags & (VERSION_COPIED | VERSION_MOVED));
}

enum log_flag {
	LOG_INCOMPLETE = 1 << 0,
	LOG_CONFLICT = 1 << 1,
	LOG_RECOVERED = 1 << 2,
	LOG_FOLDED = 1 << 3,    /* a save that went into the version before it (L1) */
	LOG_SCRATCH = 1 << 4,   /* the document is scratch (L7) as of this change */
	LOG_UNCHANGED = 1 << 5, /* saved the very bytes that were there: no version */
	LOG_RESTORE = 1 << 6,   /* an old version was put back */
};

/* X(NAME, number, "word in the log", what) - numbers and words are an interface: never changed,
 * only added. */
#define LOG_OPERATIONS(X) \
	X(CREATE,   1,  "create",   "a file, fifo, socket or device was made") \
	X(MKDIR,    2,  "mkdir",    "a directory was made") \
	X(SYMLINK,  3,  "symlink",  "a symbolic link was made; path2 is its target") \
	X(LINK,     4,  "link",     "a further name was given; path2 is the new name") \
	X(UNLINK,   5,  "unlink",   "a name was removed") \
	X(RMDIR,    6,  "rmdir",    "a directory was removed") \
	X(RENAME,   7,  "rename",   "a name was moved to path2") \
	X(EXCHANGE, 8,  "exchange", "two names were swapped") \
	X(SAVE,     9,  "save",     "content was saved") \
	X(CHMOD,    10, "chmod",    "mode: before, after in octal") \
	X(CHOWN,    11, "chown",    "owner: before, after as uid:gid, and the mode behind it when that changed too") \
	X(UTIMES,   12, "utimes",   "times were set") \
	X(SETXATTR, 13, "setxattr", "an extended attribute or ACL was set; after is its name") \
	X(RMXATTR,  14, "rmxattr",  "an extended attribute or ACL was removed; before is its name") \
	X(TAG,      15, "tag",      "an instant was tagged; after is the tag's name") \
	X(UNTAG,    16, "untag",    "a tag was removed; before is its name") \
	X(RESTORE,  17, "restore",  "an old version was put back by daybook restore or mv") \
	X(INIT,     18, "init",     "the store was made") \
	X(REPAIR,   19, "repair",   "a repair was made; after says what") \
	X(RESTORE_STORE, 20, "restore-store", "the store was made from a backup; after says which")

enum log_operation {
#define X(name, number, word, what) OP_##name = number,
	LOG_OPERATIONS(X)
#undef X
};

/* Whether a log record's `above` has the directory. */
bool log_is_above(const struct log_record *r, uint64_t directory);

/* "rename" for OP_RENAME; "unknown" for a number that this Daybook does not know. */
const char *log_operation_name(uint64_t op);
/* The number for a word, 0 when unknown. */
uint64_t log_operation_number(const char *word);

/* STAGING JOURNALS (staging/NAME, a hexadecimal number that is used once) are entries one after the
 * other, each a head of STAGING_HEAD_LEN bytes, all integers big-endian, and as many bytes of data
 *   as its type says: magic u32, type u8, flags u8, 0 u16, offset u64, length u64, content u64,
 *   from u64, checksum u64
 *   BEGIN  data: an origin record, `length` bytes.  content: the journal's salt.  from: when the
 *          journal started over in place, the size that the file had then.  What was written before
 *          it is done with.
 *   WRITE  data: the `length` bytes written at `offset`.
 *   SIZE   the file's size became `offset`.
 *   ZERO   `length` bytes at `offset` became a hole; flag STAGING_KEEP_SIZE: without growing the
 *          file.
 *   SHARE  `length` bytes at `offset` became those at `from` of content `content`.
 *   END    what was written before it is done with; another BEGIN may follow.
 *   TIMES  the file's mtime became `content` and its atime `from`, ns since 1970 as two's
 *          complement; 0: as it was.  A later change of the bytes makes the mtime a matter of when
 *          that was.
 *   MOVED  written over the first of some WRITE entries, `length` bytes behind this head, after the
 *          `from` bytes at `offset` had been made the content `content`: they are its, and what
 *          stands in those `length` bytes is of no use any more.
 * checksum: XXH3-64 of the head before it, seeded with XXH3-64 of the data, xor the entry's own
 * position in the file, xor the salt (not for BEGIN), so that an entry of an earlier use of the
 * file is not taken for one of this. */
#define STAGING_HEAD_LEN 48
#define STAGING_MAGIC 0x44624a31 /* "DbJ1" */
#define STAGING_KEEP_SIZE 1

enum staging_entry_type {
	STAGING_BEGIN = 1,
	STAGING_WRITE = 2,
	STAGING_SIZE = 3,
	STAGING_ZERO = 4,
	STAGING_SHARE = 5,
	STAGING_END = 6,
	STAGING_TIMES = 7,
	STAGING_MOVED = 8,
};

struct staging_head {
	uint8_t type, flags;
	uint64_t offset, length, content, from, checksum;
};

void staging_head_encode(uint8_t out[STAGING_HEAD_LEN], const struct staging_head *head);
/* False when it is none; tells nothing of the checksum. */
bool staging_head_decode(struct staging_head *head, const uint8_t in[STAGING_HEAD_LEN]);

/* SEAL (db/SEAL, see seal.h): magic u32, closed u8, 0 u24, boot u64, written u64, stable u64,
 * manifest u64, manifest_bytes u64, checksum u64, big-endian.  checksum: XXH3-64 of what stands
 * before it. */
#define SEAL_LEN 56
#define SEAL_MAGIC 0x44625331 /* "DbS1" */

struct seal_record {
	uint64_t closed, boot, written, stable, manifest, manifest_bytes, checksum;
};

void seal_encode(uint8_t out[SEAL_LEN], const struct seal_record *r);
/* Tells nothing of the checksum. */
bool seal_decode(struct seal_record *r, const uint8_t in[SEAL_LEN]);

/* Extended attributes are one list of (string name, string value) in ascending byte order of name.
 * xattr_find: true and *ret_value (borrowing) when present.  xattr_next walks: start with a zeroed
 * *rest = list; returns false at the end or on damage.  xattr_set appends to out the list with name
 * set (value.data NULL: removed). */
bool xattr_find(struct view list, struct view name, struct view *ret_value);
bool xattr_next(struct view *rest, struct view *ret_name, struct view *ret_value);
void xattr_set(struct buf *out, struct view list, struct view name, struct view value);
#define XATTRS_BYTES_MAX (60 * 1024) /* of one inode's list */

#endif
