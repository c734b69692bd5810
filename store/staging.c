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

#include "staging_parts.h"

#define JOURNAL_LONG ((uint64_t)1 << 20) /* past this, a save starts the journal over in place */
#define KEPT_MAX 32                      /* journals that are done with */
#define KEPT_BYTES ((uint64_t)64 << 10)  /* a longer one is emptied first */
/* Saved bytes stand twice on the disk, in the database's log, up to this. */
#define WAL_BYTES ((uint64_t)64 << 20)

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

uint64_t staging_checksum(const struct staging *s, const uint8_t encoded[STAGING_HEAD_LEN],
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

int staging_write_entry(struct staging *s, struct staging_head *head, struct view data,
			uint64_t position, struct error *e)
{
	uint8_t encoded[STAGING_HEAD_LEN];

	head->checksum = 0;
	staging_head_encode(encoded, head);
	head->checksum = staging_checksum(s, encoded, head->type, data, position);
	staging_head_encode(encoded, head);
	struct iovec v[2] = { { encoded, sizeof(encoded) }, { (void *)data.data, data.len } };
	return write_whole(s->fd, v, position, e);
}

static int append_entry(struct staging *s, struct staging_head *head, struct view data,
			struct error *e)
{
	int r = staging_write_entry(s, head, data, s->end, e);

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
		r = staging_write_entry(s, &head, buf_view(&data), position, e);
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

void journals_set_contents(struct journals *journals, struct content_store *contents)
{
	journals->contents = contents;
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
	s->end = s->punched = 0;
	return ftruncate(s->fd, 0) == 0;
}

/* ---- beginning and ending ---- */

struct staging *staging_alloc(struct journals *journals, const char *name)
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

int staging_start(struct staging *s, const struct staging_origin *origin, struct error *e)
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
		r = staging_start(s, origin, e);
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
	int r = staging_start(&fresh, origin, e);

	if (r < 0)
		return r;
	r = s->end > JOURNAL_LONG ? -E_NO_SPACE : write_begin(s, origin, s->end, 0, e);
	if (r == -E_NO_SPACE) {
		r = write_begin(s, origin, 0, s->end, e);
		if (r == 0 && ftruncate(s->fd, (off_t)s->end) < 0)
			r = 0; /* the salt tells what is left there from what is written now */
		s->punched = r == 0 ? 0 : s->punched;
	}
	if (r < 0) {
		extents_release(&fresh.extents);
		return r;
	}
	extents_release(&s->extents);
	s->extents = fresh.extents;
	s->times = fresh.times;
	early_end(s, true);
	return 0;
}

void staging_end(struct staging *s)
{
	if (!s)
		return;
	extents_release(&s->extents);
	bool ended = write_end(s);
	early_end(s, true);
	if (!ended || !keep(s))
		staging_remove(s);
}

void staging_remove(struct staging *s)
{
	if (s) {
		unlinkat(s->journals->directory_fd, s->name, 0);
		early_end(s, true);
	}
	staging_abandon(s);
}

void staging_abandon(struct staging *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	early_end(s, false);
	extents_release(&s->extents);
	free(s);
}

/* ---- changing ---- */

void staging_apply(struct staging *s, const struct staging_head *head, uint64_t data_at)
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
	case STAGING_MOVED:
		x.kind = EXTENT_CONTENT;
		x.content = head->content;
		x.len = head->from;
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
	uint64_t held = s->end - s->punched;

	atomic_store(&s->space.owed, held + (held < WAL_BYTES ? held : WAL_BYTES));
	return space_check(&s->space, s->fd, n + STAGING_HEAD_LEN, SPACE_TIMES_UNSAVED, e);
}

bool staging_is_bad(const struct staging_head *head)
{
	uint64_t max = CONTENT_SIZE_MAX;

	return head->offset > max || head->length > max - head->offset ||
	       (head->type == STAGING_SHARE &&
		(head->from > max || head->length > max - head->from)) ||
	       (head->type == STAGING_MOVED && head->from > max - head->offset);
}

static int change(struct staging *s, struct staging_head *head, struct view data, struct error *e)
{
	if (staging_is_bad(head))
		return error_set(e, -E_TOO_BIG, "past the largest file size");
	int r = extents_reserve(&s->extents, e);
	if (r == 0 && data.len)
		r = check_space(s, data.len, e);
	uint64_t position = s->end;
	if (r == 0)
		r = append_entry(s, head, data, e);
	if (r < 0)
		return r;
	staging_apply(s, head, s->end - data.len);
	early_follow(s, head->type == STAGING_WRITE, head->offset, head->length, position);
	return 0;
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
	return s->end - s->punched;
}

size_t staging_extent_count(const struct staging *s)
{
	return s->extents.count;
}
