/* staging_parts.h - the inside of staging.h, for staging.c, which writes journals, and
 * staging_replay.c, which reads them. */
#ifndef DAYBOOK_STAGING_PARTS_H
#define DAYBOOK_STAGING_PARTS_H

#include "extents.h"
#include "lock.h"
#include "space.h"
#include "staging.h"

struct staging {
	struct journals *journals;
	struct staging *next; /* of those that are kept */
	int fd;
	char name[20];
	uint64_t end;     /* of the journal's last whole entry */
	uint64_t punched; /* bytes before it that the file does not have any more */
	uint64_t salt;
	bool damaged;     /* recovered, and not all could be read */
	struct extents extents;
	struct staging_times times;
	struct space space;
	/* What is written in order (staging_early.c): the segment under way, if `running`, where it
	 * goes on, and those that are full and that nobody has taken yet. */
	struct staged_segment run, full[STAGED_FULL_MAX];
	bool running;
	uint64_t goes_on;
	size_t full_count, taken;
	uint64_t *early; /* contents that segments became */
	size_t early_count;
};

struct journals {
	struct lock lock;
	struct content_store *contents; /* NULL: not opened yet */
	int directory_fd;
	struct staging *kept;
	unsigned kept_count;
};

/* Writes one entry at position; what a failure left there is cut off, or overwritten by the
 * next. */
int staging_write_entry(struct staging *s, struct staging_head *head, struct view data,
			uint64_t position, struct error *e);

/* A change was made by the entry at position; write: n bytes were written at offset. */
void early_follow(struct staging *s, bool write, uint64_t offset, uint64_t n, uint64_t position);
/* Remembers one more early content. */
int early_add(struct staging *s, uint64_t content, struct error *e);
/* The journal begins anew, or is done with: its early contents are dropped, or only forgotten. */
void early_end(struct staging *s, bool drop);

/* NULL: out of memory. */
struct staging *staging_alloc(struct journals *journals, const char *name);
/* Makes the file in memory what it was when writing began. */
int staging_start(struct staging *s, const struct staging_origin *origin, struct error *e);

/* The checksum of an entry at position. */
uint64_t staging_checksum(const struct staging *s, const uint8_t encoded[STAGING_HEAD_LEN],
			  uint8_t type, struct view data, uint64_t position);
/* Whether the entry is of bytes past the largest size. */
bool staging_is_bad(const struct staging_head *head);
/* Makes what head says true in memory; data_at is where its data stands in the journal.  Cannot
 * fail after staging_reserve(). */
void staging_apply(struct staging *s, const struct staging_head *head, uint64_t data_at);

#endif
