/* salvage.c - see salvage.h. */
#include "salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "change.h"
#include "clock.h"
#include "internal.h"
#include "kv_salvage.h"
#include "mend.h"
#include "repair.h"
#include "seal.h"
#include "space.h"
#include "wal.h"

#define BUILDING_NAME "db.building"
#define BUILT_NAME "db.repaired"
#define SCRATCH_NAME "db.salvage"
#define BATCH_BYTES ((size_t)1 << 20)
#define OPERATIONS_LEAST 3 /* that any change writes */

struct salvaging {
	struct store *store;
	const struct actor *actor;
	const struct salvage_listener *listener;
	struct salvage_report *report;
	struct kv *kv; /* that is filled */
	struct kv_batch batch;
	struct buf value, last; /* last: family and key of the record before, of a damaged table */
	uint64_t done, total;
	uint64_t sequence, claimed;
	/* The manifest is the one that it should be; some of the files are not what they should
	 * be. */
	bool list, some_lost;
};

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const struct store *store, const char *name)
{
	CLEANUP(buf_release) struct buf path = { 0 };

	buf_printf(&path, "%s/%s", store->path, name);
	nftw(buf_cstr(&path), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Gives a database the name db.damaged-DATE, with a number when that is taken. */
static int keep_damaged(struct store *store, const char *name, char kept[64], struct error *e)
{
	char date[CLOCK_NAME_LEN + 1];

	clock_name(date, clock_now());
	for (int i = 1; i < 100; i++) {
		snprintf(kept, 64, i > 1 ? "db.damaged-%s-%d" : "db.damaged-%s", date, i);
		if (renameat2(store->directory_fd, name, store->directory_fd, kept,
			      RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return error_system(e, "%s/%s", store->path, kept);
}

/* What an earlier salvage left that was ended: a copy is worth nothing, but what had taken its
 * place, or was about to, may be the damaged database. */
static int clear_away(struct store *store, struct error *e)
{
	char kept[64];

	remove_tree(store, BUILDING_NAME);
	remove_tree(store, SCRATCH_NAME);
	if (faccessat(store->directory_fd, BUILT_NAME, F_OK, 0) < 0)
		return errno == ENOENT ? 0 : error_system(e, "%s/" BUILT_NAME, store->path);
	return keep_damaged(store, BUILT_NAME, kept, e);
}

static int measure(struct salvaging *s, struct error *e)
{
	int fd = openat(s->store->directory_fd, DATABASE_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!directory) {
		int r = error_system(e, "%s/" DATABASE_NAME, s->store->path);

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(directory))) {
		if (fstatat(dirfd(directory), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			s->total += (uint64_t)st.st_size;
	}
	closedir(directory);
	if (space_free_at_all(s->store->directory_fd) >= s->total)
		return 0;
	return error_set(e, -E_NO_SPACE,
			 "the database is built anew beside the damaged one: that needs %llu MiB, "
			 "and the disk "
			 "has not that much",
			 (unsigned long long)(s->total >> 20) + 1);
}

/* ---- filling ---- */

static int write_out(struct salvaging *s, size_t least, struct error *e)
{
	if (kv_batch_count(&s->batch) == 0 || kv_batch_bytes(&s->batch) < least)
		return 0;
	s->done += kv_batch_bytes(&s->batch);
	int r = kv_write(s->kv, &s->batch, e);
	kv_batch_clear(&s->batch);
	if (r == 0 && !s->listener->progress(s->listener->arg,
					     s->done < s->total ? s->done : s->total, s->total * 2))
		r = error_set(e, -ECANCELED, "stopped; the store is as it was");
	return r;
}

/* Which of two records of one key is the newer.  They say so themselves, but for those that never
 * change. */
#define NEWER(record, field) \
	do { \
		struct record##_record a, b; \
		return record##_decode(&b, other, NULL) == 0 && \
		       (record##_decode(&a, there, NULL) < 0 || b.field > a.field); \
	} while (0)

static bool is_newer(enum family family, struct view there, struct view other)
{
	switch (family) {
	case FAMILY_INODE:
		NEWER(inode, since);
	case FAMILY_DIRENT:
		NEWER(dirent, since);
	case FAMILY_PAST_DIRENT:
		NEWER(dirent, until);
	case FAMILY_DOCUMENT:
		NEWER(document, head);
	case FAMILY_VERSION:
		NEWER(version, change);
	case FAMILY_SEGMENT:
		NEWER(segment, form); /* once packed, what it was before is removed */
	case FAMILY_TAG:
		NEWER(tag, time);
	default:
		return false;
	}
}

/* Records of a damaged table come in order; where the order ends another table begins. */
static int compare_with_there(struct salvaging *s, enum family family, struct view key,
			      struct view value, struct error *e)
{
	CLEANUP(buf_release) struct buf place = { 0 };
	int r = 0;

	buf_u8(&place, (uint8_t)family);
	buf_append(&place, key.data, key.len);
	if (s->last.len &&
	    (place.len < s->last.len || memcmp(place.data, s->last.data, s->last.len) <= 0))
		r = write_out(s, 0, e);
	buf_clear(&s->last);
	buf_append(&s->last, place.data, place.len);
	if (r == 0)
		r = kv_get(s->kv, NULL, family, key, &s->value, e);
	if (r < 0 || (r > 0 && !is_newer(family, buf_view(&s->value), value)))
		return r;
	kv_batch_put(&s->batch, family, key, value);
	return 0;
}

static int take_record(void *arg, enum family family, struct view key, struct view value,
		       bool again, struct error *e)
{
	struct salvaging *s = arg;
	int r;

	if (!again) {
		kv_batch_put(&s->batch, family, key, value);
		return write_out(s, BATCH_BYTES, e);
	}
	if (!s->last.len) {
		r = write_out(s, 0, e);
		if (r < 0)
			return r;
	}
	r = compare_with_there(s, family, key, value, e);
	return r < 0 ? r : write_out(s, BATCH_BYTES, e);
}

static void tell_file(void *arg, const char *sentence)
{
	struct salvaging *s = arg;

	s->listener->lost(s->listener->arg, sentence);
	s->report->sentences++;
	s->some_lost = true;
}

static int fill(struct salvaging *s, struct error *e)
{
	CLEANUP(buf_release) struct buf database = { 0 }, building = { 0 }, scratch = { 0 };
	struct kv_salvage to = {
		.record = take_record, .lost = tell_file, .list = s->list, .arg = s
	};
	struct kv_options options = { .create = true, .cache_bytes = (size_t)256 << 20 };

	buf_printf(&database, "%s/" DATABASE_NAME, s->store->path);
	buf_printf(&building, "%s/" BUILDING_NAME, s->store->path);
	buf_printf(&scratch, "%s/" SCRATCH_NAME, s->store->path);
	int r = kv_open(buf_cstr(&building), &options, &s->kv, e);
	if (r < 0)
		return r;
	r = kv_salvage(buf_cstr(&database), buf_cstr(&scratch), &to, &s->sequence, e);
	if (r == 0)
		r = write_out(s, 0, e);
	kv_batch_release(&s->batch);
	kv_close(s->kv);
	return r;
}

/* ---- mending ---- */

static bool tell_lost(void *arg, const char *sentence)
{
	struct salvaging *s = arg;

	s->report->sentences++;
	return s->listener->lost(s->listener->arg, sentence);
}

static bool go_on(void *arg)
{
	struct salvaging *s = arg;

	return s->listener->progress(s->listener->arg, s->total, s->total * 2);
}

static int mend(struct mend *m, struct salvaging *s, struct error *e)
{
	int r = mend_log(m, e);

	/* What the seal says to have been there beyond all that was found were further changes. */
	if (r == 0 && s->claimed > s->sequence && s->some_lost) {
		struct log_gap end = { .first = m->last_change + 1,
				       .before = m->last_digest,
				       .after = m->last_digest };

		end.last = m->last_change += (s->claimed - s->sequence) / OPERATIONS_LEAST + 1;
		buf_append(&m->gaps, &end, sizeof(end));
		r = buf_check(&m->gaps, e);
	}
	if (r == 0)
		r = mend_versions(m, e);
	if (r == 0)
		r = mend_contents(m, e);
	if (r == 0)
		r = mend_tree(m, e);
	return r == 0 ? mend_documents(m, e) : r;
}

/* The store goes on behind all numbers that were ever given. */
static int go_on_behind(struct store *store, const struct mend *m, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	int r = changelog_first_time(store, &store->first_time, e);

	store->head_change = m->last_change > m->last_logged ? m->last_change : m->last_logged;
	store->head_digest = m->last_digest;
	store->last_time = m->last_time;
	store->next_inode = m->last_inode + 1;
	store->next_document = m->last_document + 1;
	store->live_files = store->live_bytes = store->versions = store->version_bytes = 0;
	store_put_next_inode(store, &batch);
	return r < 0 ? r : kv_write(store->kv, &batch, e);
}

static int note_losses(struct salvaging *s, const struct mend *m, struct error *e)
{
	const struct log_gap *gaps = (const struct log_gap *)m->gaps.data;
	char text[160];
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->gaps.len / sizeof(*gaps); i++) {
		char sentence[120];

		s->report->changes += gaps[i].last - gaps[i].first + 1;
		r = change_note_gap(s->store, s->actor, &gaps[i], e);
		snprintf(sentence, sizeof(sentence), "the log's records of changes %llu to %llu%s",
			 (unsigned long long)gaps[i].first, (unsigned long long)gaps[i].last,
			 gaps[i].last == m->last_change ? ", at most" : "");
		if (r == 0 && !tell_lost(s, sentence))
			r = error_set(e, -ECANCELED, "stopped; the store is as it was");
	}
	s->report->versions = m->lost_versions.len / sizeof(struct lost_version);
	snprintf(text, sizeof(text),
		 "the database was built anew; contents of versions that are lost: %llu; changes "
		 "missing from "
		 "the log, at most: %llu",
		 (unsigned long long)s->report->versions, (unsigned long long)s->report->changes);
	return r < 0 ? r : change_note(s->store, s->actor, OP_REPAIR, view_str(text), e);
}

static int build(struct salvaging *s, struct error *e)
{
	struct store_options options = { 0 };
	struct mend m = { .store = s->store, .progress = go_on, .lost = tell_lost, .arg = s };
	struct repair_report report;
	int r = store_open_parts(s->store, BUILDING_NAME, &options, false, e);

	m.kv = s->store->kv;
	if (r == 0)
		r = mend(&m, s, e);
	store_close_parts(s->store); /* caches know what was there before */
	if (r == 0)
		r = store_open_parts(s->store, BUILDING_NAME, &options, false, e);
	if (r == 0)
		r = go_on_behind(s->store, &m, e);
	if (r == 0)
		r = note_losses(s, &m, e);
	if (r == 0)
		r = repair_store(s->store, s->actor, false, NULL, NULL, &report, e);
	if (r == 0)
		r = store_sync(s->store, e);
	store_close_parts(s->store);
	mend_release(&m);
	return r;
}

/* ---- taking the place ---- */

static int sync_directory(struct store *store, const char *name, struct error *e)
{
	int fd = openat(store->directory_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? error_system(e, "%s/%s", store->path, name) : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

static int take_place(struct salvaging *s, struct error *e)
{
	int directory = s->store->directory_fd, r = sync_directory(s->store, BUILDING_NAME, e);

	if (r == 0 && renameat(directory, BUILDING_NAME, directory, BUILT_NAME) < 0)
		r = error_system(e, "%s/" BUILT_NAME, s->store->path);
	if (r == 0)
		r = sync_directory(s->store, ".", e);
	if (r == 0 &&
	    renameat2(directory, BUILT_NAME, directory, DATABASE_NAME, RENAME_EXCHANGE) < 0)
		r = error_system(e, "%s/" DATABASE_NAME, s->store->path);
	if (r == 0)
		r = keep_damaged(s->store, BUILT_NAME, s->report->kept, e);
	unlinkat(directory, "VERIFY", 0); /* they speak of the database that was */
	unlinkat(directory, "VERIFIED", 0);
	return r < 0 ? r : sync_directory(s->store, ".", e);
}

int salvage_store(const char *path, const struct actor *actor,
		  const struct salvage_listener *listener, struct salvage_report *ret,
		  struct error *e)
{
	struct salvaging s = { .actor = actor, .listener = listener, .report = ret };
	struct seal_claim claim = { 0 };
	int r = store_begin(path, 0, &s.store, e);

	*ret = (struct salvage_report){ 0 };
	if (r < 0)
		return r;
	r = clear_away(s.store, e);
	if (r == 0)
		r = measure(&s, e);
	int fd = openat(s.store->directory_fd, DATABASE_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		s.list = seal_check(fd, wal_boot(), &claim, NULL) == 0;
		close(fd);
	}
	s.claimed = claim.known ? claim.sequence : 0;
	/* Then the newest changes are in a log, and logs show their sequence numbers. */
	s.some_lost = !claim.closed;
	if (r == 0)
		r = fill(&s, e);
	if (r == 0)
		r = build(&s, e);
	if (r == 0)
		r = take_place(&s, e);
	if (r < 0)
		remove_tree(s.store, BUILDING_NAME);
	buf_release(&s.value);
	buf_release(&s.last);
	store_close(s.store);
	return r;
}
