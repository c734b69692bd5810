/* staging_replay.c - see staging.h: journals that were left are read again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "staging_parts.h"

#define KEPT_OF_ONE_MAX 10000 /* journals of one inode that are kept */
#define ORIGIN_BYTES_MAX 1024 /* numbers and three names */

/* A journal while it is read. */
struct replay {
	struct staging *s;
	uint64_t file_size, stale; /* stale: what the last BEGIN said */
	struct buf data;
	/* Data of the last BEGIN; empty when the journal ended, or did not begin. */
	struct buf origin;
};

static int read_whole(int fd, void *out, size_t n, uint64_t at, struct error *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, (uint8_t *)out + done, n - done, (off_t)(at + done));

		if (got < 0 && errno != EINTR)
			return error_system(e, "reading unsaved bytes");
		if (got == 0)
			return error_set(e, -E_CORRUPT, "a file of unsaved bytes became shorter");
		done += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static uint64_t data_len(const struct staging_head *head)
{
	return head->type == STAGING_BEGIN || head->type == STAGING_WRITE ? head->length : 0;
}

/* What stands behind the head, of use or not. */
static uint64_t rest_len(const struct staging_head *head)
{
	return head->type == STAGING_MOVED ? head->length : data_len(head);
}

/* Reads the entry at the journal's end; 1: whole, its data in replay->data.  0: no whole entry is
 * there. */
static int read_entry(struct replay *replay, struct staging_head *head, struct error *e)
{
	struct staging *s = replay->s;
	uint8_t encoded[STAGING_HEAD_LEN];
	uint64_t left = replay->file_size - s->end;

	if (left < STAGING_HEAD_LEN)
		return 0;
	int r = read_whole(s->fd, encoded, sizeof(encoded), s->end, e);
	if (r < 0)
		return r;
	if (!staging_head_decode(head, encoded) || rest_len(head) > left - STAGING_HEAD_LEN ||
	    staging_is_bad(head))
		return 0;
	buf_clear(&replay->data);
	void *data = buf_grow(&replay->data, (size_t)data_len(head));
	r = buf_check(&replay->data, e);
	if (r == 0)
		r = read_whole(s->fd, data, (size_t)data_len(head), s->end + STAGING_HEAD_LEN, e);
	if (r < 0)
		return r;
	return staging_checksum(s, encoded, head->type, buf_view(&replay->data), s->end) ==
	       head->checksum;
}

static int decode_origin(struct staging_origin *origin, struct view data, struct error *e)
{
	struct origin_record record;
	int r = origin_decode(&record, data, e);

	if (r < 0)
		return r;
	*origin = (struct staging_origin){
		.ino = record.ino,
		.content = record.content,
		.size = record.size,
		.uid = record.uid,
		.gid = record.gid,
		.tgid = record.tgid,
		.author = record.author,
		.command = record.command,
		.client = record.client,
		.base = record.base,
		.mtime = record.mtime,
		.handle = record.handle,
		.folds = record.folds != 0,
		.change = record.change,
		.boot = record.boot,
	};
	return 0;
}

static int replay_begin(struct replay *replay, const struct staging_head *head, struct error *e)
{
	struct staging_origin origin;
	int r = decode_origin(&origin, buf_view(&replay->data), e);

	if (r < 0)
		return r;
	if (origin.size > CONTENT_SIZE_MAX)
		return error_set(e, -E_CORRUPT, "the size is none");
	r = staging_start(replay->s, &origin, e);
	if (r < 0)
		return r;
	early_end(replay->s, false);
	replay->s->salt = head->content;
	replay->stale = head->from;
	buf_clear(&replay->origin);
	buf_append(&replay->origin, replay->data.data, replay->data.len);
	return buf_check(&replay->origin, e);
}

/* Replays the next entry: 1; 0: there is no more. */
static int replay_entry(struct replay *replay, struct error *e)
{
	struct staging *s = replay->s;
	struct staging_head head;
	int r = read_entry(replay, &head, e);

	if (r <= 0)
		return r;
	if (head.type == STAGING_BEGIN)
		r = replay_begin(replay, &head, e);
	else if (replay->origin.len == 0)
		return 0;
	else if (head.type == STAGING_END)
		buf_clear(&replay->origin);
	else
		r = extents_reserve(&s->extents, e);
	if (r == 0 && head.type == STAGING_MOVED)
		r = early_add(s, head.content, e);
	if (r < 0)
		return r;
	if (head.type != STAGING_BEGIN && head.type != STAGING_END)
		staging_apply(s, &head, s->end + STAGING_HEAD_LEN);
	s->end += STAGING_HEAD_LEN + rest_len(&head);
	s->punched += rest_len(&head) - data_len(&head);
	replay->stale = head.type == STAGING_BEGIN ? replay->stale : 0;
	return 1;
}

/* What is left of the file is too short for an entry that begins: the daemon died before
 * staging_begin() had returned. More than any such entry is another thing: there it is damaged. */
static bool never_begun(const struct replay *replay)
{
	uint64_t left = replay->file_size - replay->s->end;
	uint8_t encoded[STAGING_HEAD_LEN];
	struct staging_head head;

	if (left < STAGING_HEAD_LEN)
		return true;
	if (left >= STAGING_HEAD_LEN + ORIGIN_BYTES_MAX)
		return false;
	return read_whole(replay->s->fd, encoded, sizeof(encoded), replay->s->end, NULL) == 0 &&
	       staging_head_decode(&head, encoded) && head.type == STAGING_BEGIN &&
	       head.length > left - STAGING_HEAD_LEN;
}

int staging_set_aside(int directory_fd, const char *name, char kept[STAGING_KEPT_MAX],
		      struct error *e)
{
	for (unsigned i = 1; i < KEPT_OF_ONE_MAX; i++) {
		snprintf(kept, STAGING_KEPT_MAX,
			 i > 1 ? STAGING_KEPT "%.40s.%u" : STAGING_KEPT "%.40s", name, i);
		if (renameat2(directory_fd, name, directory_fd, kept, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return error_system(e, "staging/%s", name);
}

static int set_aside(struct staging *s, struct error *e)
{
	char lost[STAGING_KEPT_MAX];
	int r = staging_set_aside(s->journals->directory_fd, s->name, lost, e);

	if (r < 0)
		return r;
	return error_set(
		e, -E_CORRUPT,
		"staging/%s, unsaved bytes, is damaged at its start: it is kept as staging/%s",
		s->name, lost);
}

/* Looks for a whole entry behind the place where replaying ended: its checksum knows position and
 * salt, so that it cannot be one by chance. */
static int find_more(struct replay *replay, struct error *e)
{
	static const uint8_t magic[] = { 0x44, 0x62, 0x4a, 0x31 };
	struct staging *s = replay->s;
	CLEANUP(buf_release) struct buf rest = { 0 };
	uint64_t stopped = s->end;
	size_t n = (size_t)(replay->file_size - stopped);
	struct staging_head head;
	int r = 0;

	uint8_t *at = buf_grow(&rest, n), *end = at + n;
	if (buf_check(&rest, e) < 0)
		return -E_NO_MEMORY;
	r = read_whole(s->fd, at, n, stopped, e);
	while (r == 0 && end - at > 1 &&
	       (at = memmem(at + 1, (size_t)(end - at - 1), magic, sizeof(magic)))) {
		s->end = stopped + (uint64_t)(at - rest.data);
		r = read_entry(replay, &head, e);
	}
	s->end = stopped;
	return r;
}

bool staging_is_damaged(const struct staging *s)
{
	return s->damaged;
}

/* Replays the journal: 0, or 1 when nothing is in it. */
static int replay_all(struct replay *replay, struct staging_origin *ret_origin, bool *ret_torn,
		      struct error *e)
{
	struct staging *s = replay->s;
	struct stat st;
	int r;

	if (fstat(s->fd, &st) < 0)
		return error_system(e, "staging/%s", s->name);
	replay->file_size = (uint64_t)st.st_size;
	while ((r = replay_entry(replay, e)) > 0)
		;
	if (r < 0 && (r != -E_CORRUPT || replay->origin.len))
		return r;
	if (!replay->origin.len)
		return r == 0 && never_begun(replay) ? 1 : set_aside(s, e);
	*ret_torn = s->end < replay->file_size && replay->stale != replay->file_size;
	if (*ret_torn) {
		r = find_more(replay, e);
		if (r < 0)
			return r;
		s->damaged = r > 0;
	}
	return decode_origin(ret_origin, buf_view(&replay->origin), e);
}

int staging_recover(struct journals *journals, const char *name, struct staging **ret,
		    struct staging_origin *ret_origin, struct buf *ret_strings, bool *ret_torn,
		    struct error *e)
{
	struct replay replay = { .s = staging_alloc(journals, name) };

	if (!replay.s)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	replay.s->fd = openat(journals->directory_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r = replay.s->fd < 0 ? error_system(e, "staging/%s", name) :
				   replay_all(&replay, ret_origin, ret_torn, e);
	buf_release(&replay.data);
	if (r != 0) {
		buf_release(&replay.origin);
		staging_abandon(replay.s);
		return r;
	}
	buf_release(ret_strings);
	*ret_strings = buf_take(&replay.origin);
	*ret = replay.s;
	return 0;
}
