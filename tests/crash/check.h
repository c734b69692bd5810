/* check.h - what a store must still hold after a crash, and whether it does.
 *
 * A *story* is the log of the run as it ended: the digest of each change's record, and a
 * fingerprint of the tree after each change.  The *promises* are what programs had been told when
 * it was cut. */
#ifndef CRASH_CHECK_H
#define CRASH_CHECK_H

#include "store/digest.h"
#include "trace.h"

#define STORY_MAX 65536

struct story {
	uint64_t head;
	struct digest digests[STORY_MAX];
	uint64_t trees[STORY_MAX];
};

/* A save: version number of doc, made by change. */
struct promised_save {
	uint64_t doc, number, change;
	uint32_t uid;
	struct digest digest;
};

/* The bytes of a file: these, or any of those that were being written. */
struct promised_bytes {
	uint64_t ino;
	bool gone;
	struct digest digest, may[8];
	unsigned may_count;
};

/* A file of a mount, by path: the same, and who saved it. */
struct promised_file {
	char path[128];
	bool known;    /* digest was promised; else there were only attempts */
	uint32_t uid;
	struct digest digest, may[8];
	unsigned may_count;
};

struct promises {
	bool opened;             /* store_init() had returned */
	uint64_t durable, done;  /* newest change that a sync covered; that had returned */
	struct promised_save *saves;
	struct promised_bytes *bytes;
	struct promised_file *files;
	size_t save_count, save_cap, byte_count, byte_cap, file_count, file_cap;
};

/* Takes note of what a TRACE_ACK says. */
void promises_note(struct promises *p, const struct trace_head *record);

/* Reads the story of the store in directory, as the run ended.  0, or 1 and a sentence on
 * stderr. */
int story_read(const char *directory, struct story *ret);

/* Opens the store in directory, which lets it recover, and checks it: it verifies, its log is the
 * story's up to a change not before what was promised, its tree is the story's at that change, what
 * came behind it is recovery's, every promised save is there, and it can be worked on.  killed: the
 * process was killed; otherwise power was cut, and boot is set by the caller (boot.c).  0, or 1 and
 * a sentence on stderr. */
int check_store(const char *directory, const struct story *story, const struct promises *p,
		bool killed);

#endif
