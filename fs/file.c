/* file.c - see file.h. */
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "file_parts.h"
#include "log.h"
#include "store/clock.h"
#include "store/lineage.h"

/* Then a save in between bounds journal and memory; but what is written in order and becomes
 * content meanwhile has until BACKLOG_MAX, where its writer waits. */
#define STAGED_MAX (64ull << 20)
#define BACKLOG_MAX (512ull << 20)
#define EXTENTS_IN_ORDER_MAX (8 * STAGING_EXTENTS_FEW)

static size_t bucket_of(uint64_t ino)
{
	return (ino * 0x9e3779b97f4a7c15ull) >> 52;
}

static void put_drained(void *arg, struct file *file)
{
	file_put(arg, file);
}

int files_new(struct store *store, struct bases *bases, struct files **ret, struct error *e)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return error_set(e, -E_NO_MEMORY, "out of memory for the table of files");
	files->store = store;
	files->bases = bases;
	lock_init(&files->lock, LOCK_FS_TABLE);
	orphans_init(&files->orphans);
	int rc = drain_start(store, put_drained, files, &files->drain, e);
	if (rc < 0) {
		lock_destroy(&files->lock);
		free(files);
		return rc;
	}
	*ret = files;
	return 0;
}

/* --------------------------------------------------------------- the table */

static struct file *find(struct files *files, uint64_t ino)
{
	struct file *file = files->buckets[bucket_of(ino)];

	while (file && file->ino != ino)
		file = file->next;
	return file;
}

struct file *file_peek(struct files *files, uint64_t ino)
{
	lock_take(&files->lock);
	struct file *file = find(files, ino);
	if (file)
		file->refs++;
	lock_drop(&files->lock);
	return file;
}

static void file_free(struct file *file)
{
	if (!file)
		return;
	pthread_cond_destroy(&file->drained);
	lock_destroy(&file->lock);
	free(file);
}

/* The file with the lowest inode number above `after` in a bucket, held; NULL at its end. */
static struct file *next_in_bucket(struct files *files, size_t bucket, uint64_t after)
{
	struct file *next = NULL;

	lock_take(&files->lock);
	for (struct file *file = files->buckets[bucket]; file; file = file->next) {
		if (file->ino > after && (!next || file->ino < next->ino))
			next = file;
	}
	if (next)
		next->refs++;
	lock_drop(&files->lock);
	return next;
}

int file_get(struct files *files, uint64_t ino, struct file **ret, struct error *e)
{
	struct file *fresh = NULL;

	*ret = file_peek(files, ino);
	if (*ret)
		return 0;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return error_set(e, -E_NO_MEMORY, "out of memory for an open file");
	fresh->ino = ino;
	lock_init(&fresh->lock, LOCK_FS_INODE);
	pthread_cond_init(&fresh->drained, NULL);
	lock_take(&files->lock);
	struct file *file = find(files, ino);
	if (!file) {
		file = fresh;
		fresh = NULL;
		file->next = files->buckets[bucket_of(ino)];
		files->buckets[bucket_of(ino)] = file;
	}
	file->refs++;
	lock_drop(&files->lock);
	file_free(fresh);
	*ret = file;
	return 0;
}

/* Unsaved bytes (a save that failed) keep the file in the table: the next flush, open or stop tries
 * again. */
void file_put(struct files *files, struct file *file)
{
	struct file **at;

	if (!file)
		return;
	lock_take(&files->lock);
	bool last = --file->refs == 0 && !file->staging;
	if (last) {
		for (at = &files->buckets[bucket_of(file->ino)]; *at != file; at = &(*at)->next)
			;
		*at = file->next;
	}
	lock_drop(&files->lock);
	if (last)
		file_free(file);
}

/* ------------------------------------------------------------------ saving */

/* Emptied and nothing written yet.  The shell's `>` closes such a handle's twin before the first
 * write. */
static bool is_only_emptied(const struct file *file)
{
	return file->truncated && !file->written && staging_size(file->staging) == 0;
}

static bool is_incomplete(const struct file *file, uint64_t size_before, bool part)
{
	return part || (is_only_emptied(file) && size_before > 0);
}

static struct staging_origin origin_of(struct files *files, const struct file *file,
				       const struct identity *who, uint64_t handle,
				       uint64_t content, uint64_t size)
{
	struct staging_origin origin = { .ino = file->ino,
					 .content = content,
					 .size = size,
					 .uid = who->uid,
					 .gid = who->gid,
					 .tgid = who->tgid,
					 .author = view_str(who->name),
					 .command = view_str(who->command),
					 .client = view_str(who->client),
					 .base = file->base,
					 .mtime = clock_now(),
					 .handle = handle,
					 .folds = handle && file->fold_handle == handle };

	store_date_origin(files->store, &origin);
	return origin;
}

static void end_staging(struct file *file)
{
	staging_end(file->staging);
	file->staging = NULL;
}

/* After a save: the journal ends, or starts over when the handle is going to write on (fsync). */
static void journal_saved(struct files *files, struct file *file, const struct saved *saved,
			  bool go_on)
{
	struct staging_origin origin = origin_of(files, file, &file->writer, file->writer_handle,
						 saved->content, saved->size);

	if (go_on && staging_rebase(file->staging, &origin, NULL) == 0)
		return;
	end_staging(file);
}

/* How a save is made. */
enum {
	SAVE_PART = 1,  /* it is no whole one: the writer is dying, or not at its end */
	SAVE_GO_ON = 2, /* the writer may write on */
	/* The request that is served wrote these bytes or closes them: should it be sent again, the
	 * log tells that it was carried out.  Others make such a save on their way to what they
	 * are for. */
	SAVE_OWN = 4,
};

static unsigned go_on(const struct file *file)
{
	return file->opens ? SAVE_GO_ON : 0;
}

/* Whether the handle wrote what is unsaved. */
static unsigned own(const struct file *file, const struct handle *handle)
{
	return file->writer_handle == handle->id ? SAVE_OWN : 0;
}

static int save(struct files *files, struct file *file, unsigned how, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct saved saved;

	drain_wait(file);
	if (!file->dirty)
		return 0;
	int rc = inode_get(files->store, file->ino, &inode, e);
	if (rc < 0)
		return rc;
	struct work work = staging_work(file->staging);
	struct actor actor = identity_actor(&file->writer);
	actor.request = how & SAVE_OWN ? actor.request : 0;
	struct save what = { .work = &work,
			     .base = file->base,
			     .mtime = file->mtime,
			     .fold = file->fold_handle && file->fold_handle == file->writer_handle,
			     .incomplete = is_incomplete(file, inode->r.size, how & SAVE_PART),
			     .kill_privileges = file->kill_privileges,
			     .attributes = file->attributes,
			     .ctime = file->ctime,
			     .atime = file->atime,
			     .from_doc = file->from_doc,
			     .from_version = file->from_version };
	rc = version_save(files->store, &actor, file->ino, &what, &saved, e);
	if (rc < 0)
		return rc;
	file->dirty = file->kill_privileges = file->attributes = false;
	file->atime = 0;
	file->truncated = file->truncated && !file->written;
	file->fold_handle = saved.own ? file->writer_handle : 0;
	bases_set(files->bases, &file->writer, saved.doc, saved.number);
	file->base = saved.number;
	journal_saved(files, file, &saved, how & SAVE_GO_ON);
	return 0;
}

int file_settle(struct files *files, struct file *file, struct error *e)
{
	lock_take(&file->lock);
	int rc = save(files, file, go_on(file), e);
	lock_drop(&file->lock);
	return rc;
}

int file_sync(struct files *files, struct file *file, const struct handle *handle, struct error *e)
{
	lock_take(&file->lock);
	int rc = save(files, file, go_on(file) | own(file, handle), e);
	file->synced = rc == 0;
	lock_drop(&file->lock);
	return rc;
}

/* Ends the version that the open handle's saves went into: its next one begins another. */
static void publish(struct files *files, struct file *file)
{
	struct error e = { 0 };

	lock_take(&file->lock);
	int64_t now = clock_monotonic();
	bool due = file->unpublished && file->opens && !(file->dirty && is_only_emptied(file)) &&
		   lineage_publishes(now - file->changed, now - file->unpublished, file->synced);
	if (due && save(files, file, SAVE_GO_ON, &e) == 0) {
		file->fold_handle = 0;
		file->unpublished = 0;
	} else if (due) {
		file->changed = now; /* the next try is some time from now */
	}
	lock_drop(&file->lock);
	if (e.code)
		log_line(LOG_ERR, "inode %llu: what its writer holds open is not saved yet: %s",
			 (unsigned long long)file->ino, e.text);
}

void files_publish(struct files *files)
{
	for (size_t i = 0; i < FILE_BUCKETS; i++) {
		uint64_t after = 0;
		struct file *file;

		while ((file = next_in_bucket(files, i, after))) {
			after = file->ino;
			publish(files, file);
			file_put(files, file);
		}
	}
}

int files_settle(struct files *files, uint64_t ino, struct error *e)
{
	struct file *file = file_peek(files, ino);
	int rc = file ? file_settle(files, file, e) : 0;

	file_put(files, file);
	return rc;
}

void files_restored(struct files *files, uint64_t ino)
{
	struct file *file = file_peek(files, ino);

	if (file) {
		lock_take(&file->lock);
		file->fold_handle = 0;
		if (!file->dirty)
			end_staging(file);
		lock_drop(&file->lock);
	}
	file_put(files, file);
}

int files_settle_written(struct files *files, uint64_t ino, struct error *e)
{
	struct file *file = file_peek(files, ino);
	int rc = 0;

	if (!file)
		return 0;
	lock_take(&file->lock);
	if (file->dirty && !(file->opens && is_only_emptied(file)))
		rc = save(files, file, go_on(file), e);
	lock_drop(&file->lock);
	file_put(files, file);
	return rc;
}

bool file_is_owed(struct file *file, const struct handle *handle)
{
	lock_take(&file->lock);
	bool owed = file->dirty && file->writer_handle == handle->id;
	lock_drop(&file->lock);
	return owed;
}

int file_flush(struct files *files, struct file *file, struct handle *handle, bool killed,
	       struct error *e)
{
	int rc = 0;

	lock_take(&file->lock);
	if (file->dirty && file->writer_handle == handle->id && (killed || !is_only_emptied(file)))
		rc = save(files, file, (killed ? SAVE_PART : 0) | SAVE_OWN, e);
	handle->folds = file->fold_handle == handle->id ? file->base : 0;
	lock_drop(&file->lock);
	return rc;
}

/* ------------------------------------------------- orphans, open and close */

void files_orphaned(struct files *files, uint64_t ino)
{
	orphans_add(&files->orphans, ino);
}

void files_adopted(struct files *files, uint64_t ino)
{
	orphans_adopt(&files->orphans, ino);
}

static bool is_open(void *arg, uint64_t ino)
{
	struct file *file = file_peek(arg, ino);

	file_put(arg, file);
	return file != NULL;
}

void files_drop_orphans(struct files *files)
{
	orphans_drop(&files->orphans, files->store, is_open, files);
}

void files_forget(struct files *files, uint64_t ino)
{
	if (orphans_forget(&files->orphans, ino))
		return;
	files_drop_orphans(files);
	orphans_forget(&files->orphans, ino);
}

void file_open(struct files *files, struct file *file)
{
	(void)files;
	lock_take(&file->lock);
	file->opens++;
	lock_drop(&file->lock);
}

int file_close(struct files *files, struct file *file, const struct handle *handle, struct error *e)
{
	int rc = 0;

	lock_take(&file->lock);
	file->opens--;
	if (file->dirty && (file->writer_handle == handle->id || file->opens == 0))
		rc = save(files, file, own(file, handle), e);
	if (file->fold_handle == handle->id)
		file->fold_handle = 0;
	if (file->opens == 0 && !file->dirty)
		end_staging(file);
	lock_drop(&file->lock);
	return rc;
}

/* ----------------------------------------------------------------- writing */

static int check_regular(const struct inode *inode, struct error *e)
{
	return S_ISREG(inode->r.mode) ? 0 : error_set(e, -E_INVALID, "not a regular file");
}

static int begin_staging(struct files *files, struct file *file, const struct inode *inode,
			 const struct identity *who, uint64_t handle, struct error *e)
{
	struct staging_origin origin;

	file->base = bases_get(files->bases, who, inode->r.doc);
	origin = origin_of(files, file, who, handle, inode->r.content, inode->r.size);
	return staging_begin(store_journals(files->store), &origin, &file->staging, e);
}

static bool same_session(const struct identity *a, const struct identity *b)
{
	return a->uid == b->uid && a->tgid == b->tgid;
}

/* Makes the file ready for a change by who: what another wrote is saved first, a journal is
 * there. */
static int begin_change(struct files *files, struct file *file, const struct handle *handle,
			const struct identity *who, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	uint64_t id = handle ? handle->id : 0;
	int rc = inode_get(files->store, file->ino, &inode, e);

	if (rc == 0)
		rc = check_regular(inode, e);
	if (rc == 0 && file->dirty &&
	    (!same_session(&file->writer, who) || (file->writer_handle && !id)))
		rc = save(files, file, 0, e);
	if (rc < 0)
		return rc;
	/* Rebased for another, whose name is in it. */
	if (!file->dirty && (file->writer_handle != id || !same_session(&file->writer, who)))
		end_staging(file);
	if (!file->staging) {
		inode_put(inode);
		inode = NULL;
		rc = inode_get(files->store, file->ino, &inode, e);
		rc = rc < 0 ? rc : begin_staging(files, file, inode, who, id, e);
		if (rc < 0)
			return rc;
	}
	if (!file->dirty) {
		file->truncated = file->written = false;
		file->from_doc = file->from_version = 0;
	}
	return 0;
}

/* The change was made: the bytes are who's now. */
static void changed(struct file *file, const struct handle *handle, const struct identity *who)
{
	if (file->fold_handle && file->fold_handle != (handle ? handle->id : 0))
		file->fold_handle = 0;
	file->dirty = true;
	file->synced = false;
	file->changed = clock_monotonic();
	if (!file->unpublished || file->writer_handle != (handle ? handle->id : 0))
		file->unpublished = file->changed;
	file->writer = *who;
	file->writer_handle = handle ? handle->id : 0;
	file->mtime = file->ctime = clock_now();
	file->kill_privileges |= who->uid != 0;
}

/* Times that go with the next save stand in the journal until then.  0 as a time is none there:
 * 1970 began with it. */
static int prepare_times(struct file *file, const struct attributes *set, struct error *e)
{
	struct staging_times times = { file->mtime, file->atime };

	if (!set->set_mtime && !set->set_atime)
		return 0;
	times.mtime = set->set_mtime ? set->mtime : times.mtime;
	times.atime = set->set_atime ? set->atime : times.atime;
	int rc = staging_set_times(file->staging, &times, e);
	if (rc < 0)
		return rc;
	file->mtime = times.mtime;
	file->atime = times.atime;
	return 0;
}

static bool is_of_1970(const struct attributes *set)
{
	return (set->set_mtime && !set->mtime) || (set->set_atime && !set->atime);
}

int files_prepare(struct files *files, uint64_t ino, const struct identity *who,
		  const struct attributes *set, struct error *e)
{
	struct file *file = file_peek(files, ino);
	struct actor actor = identity_actor(who);
	int rc = 0;

	if (!file)
		return 0;
	lock_take(&file->lock);
	if (file->dirty && file->opens && same_session(&file->writer, who) && !is_of_1970(set))
		rc = namespace_prepare(files->store, &actor, ino, set, e);
	int times = rc > 0 ? prepare_times(file, set, e) : 0;
	rc = times < 0 ? times : rc;
	if (rc > 0) {
		file->attributes = true;
		file->ctime = clock_now();
		file->kill_privileges = file->kill_privileges && !set->set_mode;
	}
	lock_drop(&file->lock);
	file_put(files, file);
	return rc;
}

/* The writer goes on, so what is there is no whole save: it is marked so until a later one, which
 * the file owes from now on, goes into it.  Should the journal not start over, what comes next
 * begins another. */
static int save_so_far(struct files *files, struct file *file, struct error *e)
{
	int rc = save(files, file, SAVE_PART | SAVE_GO_ON | SAVE_OWN, e);

	file->dirty = rc < 0 || file->staging;
	return rc;
}

static void drain_full(struct files *files, struct file *file)
{
	if (staging_full_count(file->staging) && drain_queue(files->drain, file)) {
		lock_take(&files->lock);
		file->refs++; /* the drain's, which has to wait for the file's lock */
		lock_drop(&files->lock);
	}
	drain_wait_below(file, BACKLOG_MAX);
}

static bool is_long(const struct staging *staging)
{
	uint64_t in_order = staging_full_bytes(staging), all = staging_staged_bytes(staging);
	size_t extents = staging_extent_count(staging);

	return all >= in_order + STAGED_MAX ||
	       extents >= (in_order ? EXTENTS_IN_ORDER_MAX : STAGING_EXTENTS_FEW);
}

/* What must happen before the change is answered: saves by path are whole, and journals stay
 * bounded. */
static int finish_change(struct files *files, struct file *file, const struct handle *handle,
			 struct error *e)
{
	if (!handle)
		return save(files, file, go_on(file) | SAVE_OWN, e);
	drain_full(files, file);
	return file->staging && is_long(file->staging) ? save_so_far(files, file, e) : 0;
}

/* An unchanged journal is not left behind by a change that failed. */
static void end_unused(struct file *file)
{
	if (!file->dirty && !file->opens)
		end_staging(file);
}

/* One change of the bytes: what apply() does to the journal, with everything before and after that
 * a change needs. */
typedef int (*journal_change)(struct file *file, const void *arg, struct error *e);

static int change_bytes(struct files *files, struct file *file, const struct handle *handle,
			const struct identity *who, journal_change apply, const void *arg,
			struct error *e)
{
	lock_take(&file->lock);
	int rc = begin_change(files, file, handle, who, e);
	if (rc == 0)
		rc = apply(file, arg, e);
	if (rc == -E_NO_SPACE && file->draining) { /* which makes room */
		drain_wait(file);
		rc = begin_change(files, file, handle, who, e);
		rc = rc < 0 ? rc : apply(file, arg, e);
	}
	if (rc == 0) {
		changed(file, handle, who);
		rc = finish_change(files, file, handle, e);
	} else {
		end_unused(file);
	}
	lock_drop(&file->lock);
	return rc;
}

/* A range of the file, and what is to become of it. */
struct range {
	uint64_t offset, n;
	const void *data;
	bool keep_size;
	const struct share *share;
};

/* The bytes are the writer's own, if rc says that he wrote them. */
static int wrote(struct file *file, int rc)
{
	if (rc == 0) {
		file->written = true;
		file->from_doc = 0;
	}
	return rc;
}

static int apply_write(struct file *file, const void *arg, struct error *e)
{
	const struct range *range = arg;

	return wrote(file, staging_write(file->staging, range->offset, range->data, range->n, e));
}

int file_write(struct files *files, struct file *file, const struct handle *handle, uint64_t offset,
	       const void *data, size_t n, struct error *e)
{
	struct range range = { .offset = offset, .n = n, .data = data };

	return change_bytes(files, file, handle, &handle->who, apply_write, &range, e);
}

static int apply_truncate(struct file *file, const void *arg, struct error *e)
{
	const uint64_t *size = arg;
	int rc = staging_truncate(file->staging, *size, e);

	if (rc < 0)
		return rc;
	file->truncated |= *size == 0;
	file->from_doc = 0;
	return 0;
}

int file_truncate(struct files *files, struct file *file, const struct handle *handle,
		  const struct identity *who, uint64_t size, struct error *e)
{
	return change_bytes(files, file, handle, who, apply_truncate, &size, e);
}

static int apply_zero(struct file *file, const void *arg, struct error *e)
{
	const struct range *range = arg;

	return wrote(file, staging_zero(file->staging, range->offset, range->n, range->keep_size,
					e));
}

int file_zero(struct files *files, struct file *file, const struct handle *handle, uint64_t offset,
	      uint64_t n, bool keep_size, struct error *e)
{
	struct range range = { .offset = offset, .n = n, .keep_size = keep_size };

	return change_bytes(files, file, handle, &handle->who, apply_zero, &range, e);
}

static int apply_share(struct file *file, const void *arg, struct error *e)
{
	const struct range *range = arg;
	const struct share *share = range->share;
	int rc = wrote(file, staging_share(file->staging, range->offset, range->n, share->content,
					   share->from, e));
	bool whole = rc == 0 && range->offset == 0 && share->from == 0 && range->n == share->size &&
		     staging_size(file->staging) == share->size;
	if (whole) {
		file->from_doc = share->from_doc;
		file->from_version = share->from_version;
	}
	return rc;
}

int file_share(struct files *files, struct file *file, const struct handle *handle, uint64_t offset,
	       uint64_t n, const struct share *share, struct error *e)
{
	struct range range = { .offset = offset, .n = n, .share = share };

	return change_bytes(files, file, handle, &handle->who, apply_share, &range, e);
}

/* ------------------------------------------------------------ the end of it */

static void free_file(struct files *files, struct file *file, bool keep)
{
	struct error e = { 0 };

	if (keep) {
		staging_abandon(file->staging);
	} else if (save(files, file, 0, &e) < 0) {
		log_line(LOG_ERR,
			 "inode %llu: unsaved bytes stay in the journal for the next start: %s",
			 (unsigned long long)file->ino, e.text);
		staging_abandon(file->staging);
	} else {
		staging_end(file->staging);
	}
	file_free(file);
}

void files_free(struct files *files, bool keep)
{
	if (!files)
		return;
	drain_stop(files->drain);
	files_drop_orphans(files);
	for (size_t i = 0; i < FILE_BUCKETS; i++) {
		while (files->buckets[i]) {
			struct file *file = files->buckets[i];

			files->buckets[i] = file->next;
			free_file(files, file, keep);
		}
	}
	orphans_release(&files->orphans, keep ? NULL : files->store);
	lock_destroy(&files->lock);
	free(files);
}

struct bases *files_bases(struct files *files)
{
	return files->bases;
}
