/* logtext.h - a record of the log as a row of cells: the columns of `daybook log` and of
 * .history/changes.csv.
 *
 * The columns are an interface, described in daybook-changelog(5): never renamed, never reordered;
 * new ones come at the end. */
#ifndef DAYBOOK_LOGTEXT_H
#define DAYBOOK_LOGTEXT_H

#include "cell.h"
#include "format.h"

/* X(column, cell kind, value from `const struct log_record *r`, what it says) some: 0 and "" are
 * CELL_NONE; digest: hexadecimal, all zero is CELL_NONE; words: flags by name. */
#define LOG_COLUMNS(X) \
	X(change,        number, r->change,           "number of the change, counted from 1") \
	X(time,          time,   r->time,             "when, UTC; never before the change above it") \
	X(operation,     text,   view_str(log_operation_name(r->op)), "what was done: see OPERATIONS") \
	X(author,        text,   r->author,           "name of the user as it was then") \
	X(path,          text,   r->path,             "from the share's root, as it was before the change") \
	X(path2,         some,   r->path2,            "where it went (rename, exchange, link) or a symlink's target") \
	X(document,      count,  r->doc,              "id of the document") \
	X(version,       count,  r->version,          "number of the version that the change made") \
	X(from_document, count,  r->from,             "document whose content was taken") \
	X(from_version,  count,  r->from_version,     "version whose content was taken") \
	X(size_before,   size,   r->size_before,      "bytes before (operations on content)") \
	X(size_after,    size,   r->size_after,       "bytes after (operations on content)") \
	X(before,        some,   r->before,           "mode, owner, name… before: see OPERATIONS") \
	X(after,         some,   r->after,            "mode, owner, name… after: see OPERATIONS") \
	X(flags,         words,  r->flags,            "words divided by blanks: see FLAGS") \
	X(uid,           number, r->uid,              "user id of the author") \
	X(gid,           number, r->gid,              "group id of the author") \
	X(process,       count,  r->tgid,             "process id") \
	X(command,       some,   r->command,          "name of the process") \
	X(client,        some,   r->client,           "what the front end tells of the client's machine") \
	X(inode,         count,  r->ino,              "inode number") \
	X(digest_before, digest, r->digest_before,    "BLAKE2b-256 of the content before") \
	X(digest_after,  digest, r->digest_after,     "BLAKE2b-256 of the content after") \
	X(previous,      digest, r->prev,             "BLAKE2b-256 of the log record before: the chain")

enum log_column {
#define X(column, kind, value, what) LOG_COLUMN_##column,
	LOG_COLUMNS(X)
#undef X
	LOG_COLUMN_COUNT
};

/* X(flag, "word", what) */
#define LOG_FLAG_WORDS(X) \
	X(LOG_INCOMPLETE, "incomplete", "the save did not finish; the version before is intact") \
	X(LOG_CONFLICT,   "conflict",   "saved over a version of somebody else that the author had not read") \
	X(LOG_RECOVERED,  "recovered",  "made at start from bytes that the daemon before left unsaved") \
	X(LOG_FOLDED,     "folded",     "went into the version before: one save in several steps") \
	X(LOG_SCRATCH,    "scratch",    "a temporary file of some program") \
	X(LOG_UNCHANGED,  "unchanged",  "the very bytes that were there: no new version") \
	X(LOG_RESTORE,    "restore",    "an old version was put back")

/* X(flag, "word", what) */
#define VERSION_FLAG_WORDS(X) \
	X(VERSION_INCOMPLETE, "incomplete", "the save did not finish") \
	X(VERSION_CONFLICT,   "conflict",   "saved over a version of somebody else that the author had not read") \
	X(VERSION_RECOVERED,  "recovered",  "made at start from bytes that the daemon before left unsaved") \
	X(VERSION_COPIED,     "copied",     "not a save: another document's content came with a rename or a copy") \
	X(VERSION_LOST,       "lost",       "its content is damaged and cannot be read, or not whole")

/* Fills cells in the order of LOG_COLUMNS.  *memory is cleared and owns what the cells do not
 * borrow from r. */
void logtext_cells(struct cell cells[LOG_COLUMN_COUNT], const struct log_record *r,
		   struct buf *memory);

/* The columns without values, for headers. */
void logtext_columns(struct cell cells[LOG_COLUMN_COUNT]);

/* Appends the words of the flags, divided by blanks. */
void log_flag_words(struct buf *out, uint64_t flags);
void version_flag_words(struct buf *out, uint64_t flags);

#endif
