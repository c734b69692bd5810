/* staging.c - see staging.h; the entries of a journal are in format.h. */
#include "staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "extents.h"
#include "lock.h"
#include "space.h"

#define KEPT_OF_ONE_MAX 10000 /* journals of one inode that are kept */
#define JOURNAL_LONG ((uint64_t)1 << 20) /* past this, a save starts the journal over in place */
#define KEPT_MAX 32                      /* journals that are done with */
#define KEPT_BYTES ((uint64_t)64 << 10)  /* a longer one is emptied first */
/* Saved bytes stand twice on the disk, in the database's log, up to this. */
#define WAL_BYTES ((uint64_t)64 << 20)

struct staging {
	struct journals *journals;
	struct staging *next; /* of those that are kept */
	int fd;
	char name[20];
	uint64_t end;     /* of the journal's last whole entry */
	uint64_t salt;
	bool damaged;     /* recovered, and not all could be read */
	struct extents extents;
	struct staging_times times;
	struct space space;
};

struct journals {
	struct lock lock;
	int directory_fd;
	struct staging *kept;
	unsigned kept_count;
};

/* ---- test hook ---- */

static atomic_uint fail_countdown;
static atomic_int fail_code;
static atomic_size_t fail_part;

void staging_fail_nth(unsigned n, int code, size_t part)
{
	atomic_store(&fail_code, code);
	atomic_store(&fail_part, part);
	atomic_store(&fail_countdown, n);
}

/* pwritev(2), but for the failure that a test asked for. */
static ssize_t write_vector(int fd, const struct iovec *v, int n, off_t at)
{
	unsigned left = atomic_load(&fail_countdown);

	while (left && !atomic_compare_exchange_weak(&fail_countdown, &left, left - 1))
		;
	if (left != 1)
		return pwritev(fd, v, n, at);
	for (size_t done = 0, i = 0; i < (size_t)n && done < atomic_load(&fail_part);
	     done += v[i++].iov_len) {
		size_t part = atomic_load(&fail_part) - done;

		if (pwrite(fd, v[i].iov_base, part < v[i].iov_len ? part : v[i].iov_len,
			   at + (off_t)done) < 0)
			break;
	}
	errno = atomic_load(&fail_code);
	return -1;
}

/* ---- the journal ---- */

static uint64_t head_checksum(const struct staging *s, const uint8_t encoded[STAGING_HEAD_LEN],
			      uint8_t type, struct view data, uint64_t position)
{
	uint64_t seed =
		XXH3_64bits(data.data, data.len) ^ position ^ (type == STAGING_BEGIN ? 0 : s->salt);

	return XXH3_64bits_withSeed(encoded, STAGING_HEAD_LEN - 8, seed);
}

static int write_whole(int fd, const struct iovec v[2], uint64_t at, struct error *e)
{
	struct iovec left[2] = { v[0], v[1] };
	size_t todo = v[0].iov_len + v[1].iov_len;

	while (todo > 0) {
		ssize_t n = write_vector(fd, left, 2, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_system(e, "keeping unsaved bytes");
		todo -= (size_t)n;
		at += (uint64_t)n;
		for (size_t i = 0; i < 2; i++) {
			size_t part = (size_t)n < left[i].iov_len ? (size_t)n : left[i].iov_len;

			left[i] = (struct iovec){ (uint8_t *)left[i].iov_base + part,
						  left[i].iov_len - part };
			n -= (ssize_t)part;
		}
	}
	return 0;
}

/* Writes one entry at position; what a failure left there is cut off, or overwritten by the
 * next. */
static int write_entry(struct staging *s, struct staging_head *head, struct view data,
		       uint64_t position, struct error *e)
{
	uint8_t encoded[STAGING_HEAD_LEN];

	head->checksum = 0;
	staging_head_encode(encoded, head);
	head->checksum = head_checksum(s, encoded, head->type, data, position);
	staging_head_encode(encoded, head);
	struct iovec v[2] = { { encoded, sizeof(encoded) }, { (void *)data.data, data.len } };
	return write_whole(s->fd, v, position, e);
}

static int append_entry(struct staging *s, struct staging_head *head, struct view data,
			struct error *e)
{
	int r = write_entry(s, head, data, s->end, e);

	if (r == 0)
		s->end += STAGING_HEAD_LEN + data.len;
	else if (ftruncate(s->fd, (off_t)s->end) < 0)
		return r; /* recovery drops what is not a whole entry */
	return r;
}

static uint64_t new_salt(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int encode_origin(struct buf *out, const struct staging_origin *origin, struct error *e)
{
	struct origin_record record = {
		.ino = origin->ino,
		.content = origin->content,
		.size = origin->size,
		.uid = origin->uid,
		.gid = origin->gid,
		.tgid = origin->tgid,
		.author = origin->author,
		.command = origin->command,
		.client = origin->client,
		.base = origin->base,
		.mtime = origin->mtime,
		.handle = origin->handle,
		.folds = origin->folds,
		.change = origin->change,
		.boot = origin->boot,
	};

	origin_encode(out, &record);
	return buf_check(out, e);
}

/* Writes a first entry at position, behind which the journal then goes on.  stale: how long the
 * file is when what is behind position is of an earlier use. */
static int write_begin(struct staging *s, const struct staging_origin *origin, uint64_t position,
		       uint64_t stale, struct error *e)
{
	CLEANUP(buf_release) struct buf data = { 0 };
	int r = encode_origin(&data, origin, e);
	struct staging_head head = {
		.type = STAGING_BEGIN, .length = data.len, .content = new_salt(), .from = stale
	};

	if (r == 0)
		r = write_entry(s, &head, buf_view(&data), position, e);
	if (r < 0)
		return r;
	s->salt = head.content;
	s->end = position + STAGING_HEAD_LEN + data.len;
	return 0;
}

/* ---- journals that are done with ---- */

int journals_new(int directory_fd, struct journals **ret, struct error *e)
{
	struct journals *journals = calloc(1, sizeof(*journals));

	if (!journals)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	lock_init(&journals->lock, LOCK_JOURNALS);
	journals->directory_fd = directory_fd;
	*ret = journals;
	return 0;
}

static struct staging *take_kept(struct journals *journals)
{
	lock_take(&journals->lock);
	struct staging *s = journals->kept;
	if (s) {
		journals->kept = s->next;
		journals->kept_count--;
	}
	lock_drop(&journals->lock);
	return s;
}

/* Keeps a journal whose end is written; false: there are enough. */
static bool keep(struct staging *s)
{
	struct journals *journals = s->journals;

	lock_take(&journals->lock);
	bool room = journals->kept_count < KEPT_MAX;
	if (room) {
		s->next = journals->kept;
		journals->kept = s;
		journals->kept_count++;
	}
	lock_drop(&journals->lock);
	return room;
}

void journals_free(struct journals *journals)
{
	struct staging *s;

	if (!journals)
		return;
	while ((s = take_kept(journals)))
		staging_remove(s);
	lock_destroy(&journals->lock);
	free(journals);
}

/* Says in the journal that it is done with; the next use goes on behind that. */
static bool write_end(struct staging *s)
{
	struct staging_head head = { .type = STAGING_END };

	if (s->end <= KEPT_BYTES)
		return append_entry(s, &head, view_of(NULL, 0), NULL) == 0;
	s->end = 0;
	return ftruncate(s->fd, 0) == 0;
}

/* ---- beginning and ending ---- */

static struct staging *staging_alloc(struct journals *journals, const char *name)
{
	struct staging *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->journals = journals;
	s->fd = -1;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

/* A journal to begin in: one that is kept, or a new file. */
static int take_journal(struct journals *journals, struct staging **ret, struct error *e)
{
	char name[20];

	*ret = take_kept(journals);
	if (*ret)
		return 0;
	snprintf(name, sizeof(name), "%llx", (unsigned long long)new_salt());
	*ret = staging_alloc(journals, name);
	if (!*ret)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	(*ret)->fd =
		openat(journals->directory_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return (*ret)->fd < 0 ? error_system(e, "staging/%s", name) : 0;
}

static int start_extents(struct staging *s, const struct staging_origin *origin, struct error *e)
{
	struct extents fresh = { 0 };
	int r = extents_reserve(&fresh, e);

	if (r < 0)
		return r;
	if (origin->size)
		extents_set(&fresh, (struct extent){ .len = origin->size,
						     .content = origin->content,
						     .kind = origin->content ? EXTENT_CONTENT
									     : EXTENT_ZERO });
	extents_release(&s->extents);
	s->extents = fresh;
	s->times = (struct staging_times){ 0 };
	return 0;
}

int staging_begin(struct journals *journals, const struct staging_origin *origin,
		  struct staging **ret, struct error *e)
{
	struct staging *s = NULL;
	int r = take_journal(journals, &s, e);

	if (r == 0)
		r = start_extents(s, origin, e);
	if (r == 0)
		r = write_begin(s, origin, s->end, 0, e);
	if (r == 0) {
		*ret = s;
		return 0;
	}
	if (s && s->fd >= 0)
		staging_remove(s);
	else
		staging_abandon(s);
	return r;
}

int staging_rebase(struct staging *s, const struct staging_origin *origin, struct error *e)
{
	struct staging fresh = { 0 };
	int r = start_extents(&fresh, origin, e);

	if (r < 0)
		return r;
	r = s->end > JOURNAL_LONG ? -E_NO_SPACE : write_begin(s, origin, s->end, 0, e);
	if (r == -E_NO_SPACE) {
		r = write_begin(s, origin, 0, s->end, e);
		if (r == 0 && ftruncate(s->fd, (off_t)s->end) < 0)
			r = 0; /* the salt tells what is left there from what is written now */
	}
	if (r < 0) {
		extents_release(&fresh.extents);
		return r;
	}
	extents_release(&s->extents);
	s->extents = fresh.extents;
	s->times = fresh.times;
	return 0;
}

void staging_end(struct staging *s)
{
	if (!s)
		return;
	extents_release(&s->extents);
	if (!write_end(s) || !keep(s))
		staging_remove(s);
}

void staging_remove(struct staging *s)
{
	if (s)
		unlinkat(s->journals->directory_fd, s->name, 0);
	staging_abandon(s);
}

void staging_abandon(struct staging *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	extents_release(&s->extents);
	free(s);
}

/* ---- changing ---- */

/* Makes what head says true in memory; data_at is where its data stands in the journal.  Cannot
 * fail after extents_reserve(). */
static void apply(struct staging *s, const struct staging_head *head, uint64_t data_at)
{
	struct extent x = { .at = head->offset, .len = head->length };

	if (head->type == STAGING_TIMES) {
		s->times = (struct staging_times){ (int64_t)head->content, (int64_t)head->from };
		return;
	}
	s->times.mtime = 0;
	switch (head->type) {
	case STAGING_WRITE:
		x.kind = EXTENT_STAGED;
		x.from = data_at;
		break;
	case STAGING_SHARE:
		x.kind = EXTENT_CONTENT;
		x.content = head->content;
		x.from = head->from;
		break;
	case STAGING_ZERO:
		if (head->flags & STAGING_KEEP_SIZE) {
			x.at = x.at < s->extents.size ? x.at : s->extents.size;
			x.len = x.len < s->extents.size - x.at ? x.len : s->extents.size - x.at;
		}
		break;
	default:
		extents_truncate(&s->extents, head->offset);
		return;
	}
	extents_set(&s->extents, x);
}

/* What is staged has yet to be saved to the same disk: without room for that, no more is taken. */
static int check_space(struct staging *s, uint64_t n, struct error *e)
{
	atomic_store(&s->space.owed, s->end + (s->end < WAL_BYTES ? s->end : WAL_BYTES));
	return space_check(&s->space, s->fd, n + STAGING_HEAD_LEN, SPACE_TIMES_UNSAVED, e);
}

#define ORIGIN_BYTES_MAX 1024 /* numbers and three names */

static bool is_range_bad(const struct staging_head *head)
{
	uint64_t max = CONTENT_SIZE_MAX;

	return head->offset > max || head->length > max - head->offset ||
	       (head->type == STAGING_SHARE &&
		(head->from > max || head->length > max - head->from));
}

static int change(struct staging *s, struct staging_head *head, struct view data, struct error *e)
{
	if (is_range_bad(head))
		return error_set(e, -E_TOO_BIG, "past the largest file size");
	int r = extents_reserve(&s->extents, e);
	if (r == 0 && data.len)
		r = check_space(s, data.len, e);
	if (r == 0)
		r = append_entry(s, head, data, e);
	if (r == 0)
		apply(s, head, s->end - data.len);
	return r;
}

int staging_write(struct staging *s, uint64_t offset, const void *data, size_t n, struct error *e)
{
	struct staging_head head = { .type = STAGING_WRITE, .offset = offset, .length = n };

	return n ? change(s, &head, view_of(data, n), e) : 0;
}

int staging_truncate(struct staging *s, uint64_t size, struct error *e)
{
	struct staging_head head = { .type = STAGING_SIZE, .offset = size };

	return size == s->extents.size ? 0 : change(s, &head, view_of(NULL, 0), e);
}

int staging_zero(struct staging *s, uint64_t offset, uint64_t n, bool keep_size, struct error *e)
{
	struct staging_head head = { .type = STAGING_ZERO,
				     .flags = keep_size ? STAGING_KEEP_SIZE : 0,
				     .offset = offset,
				     .length = n };

	return n ? change(s, &head, view_of(NULL, 0), e) : 0;
}

int staging_share(struct staging *s, uint64_t offset, uint64_t n, uint64_t content, uint64_t from,
		  struct error *e)
{
	struct staging_head head = { .type = STAGING_SHARE,
				     .offset = offset,
				     .length = n,
				     .content = content,
				     .from = from };

	return n ? change(s, &head, view_of(NULL, 0), e) : 0;
}

int staging_set_times(struct staging *s, const struct staging_times *times, struct error *e)
{
	struct staging_head head = { .type = STAGING_TIMES, .content = (uint64_t)times->mtime,
				     .from = (uint64_t)times->atime };

	return change(s, &head, view_of(NULL, 0), e);
}

/* ---- looking ---- */

struct staging_times staging_times(const struct staging *s)
{
	return s->times;
}

struct work staging_work(const struct staging *s)
{
	return (struct work){ s->extents.at, s->extents.count, s->extents.size, s->fd };
}

uint64_t staging_size(const struct staging *s)
{
	return s->extents.size;
}

uint64_t staging_staged_bytes(const struct staging *s)
{
	return s->end;
}

size_t staging_extent_count(const struct staging *s)
{
	return s->extents.count;
}

/* ---- recovery ---- */

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
	if (!staging_head_decode(head, encoded) || data_len(head) > left - STAGING_HEAD_LEN ||
	    is_range_bad(head))
		return 0;
	buf_clear(&replay->data);
	void *data = buf_grow(&replay->data, (size_t)data_len(head));
	r = buf_check(&replay->data, e);
	if (r == 0)
		r = read_whole(s->fd, data, (size_t)data_len(head), s->end + STAGING_HEAD_LEN, e);
	if (r < 0)
		return r;
	return head_checksum(s, encoded, head->type, buf_view(&replay->data), s->end) ==
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
	r = start_extents(replay->s, &origin, e);
	if (r < 0)
		return r;
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
	if (r < 0)
		return r;
	if (head.type != STAGING_BEGIN && head.type != STAGING_END)
		apply(s, &head, s->end + STAGING_HEAD_LEN);
	s->end += STAGING_HEAD_LEN + data_len(&head);
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
