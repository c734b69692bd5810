/* recovery.c - see recovery.h. */
#include "recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "clock.h"
#include "directory.h"
#include "internal.h"
#include "version.h"

#define KEPT_SECONDS ((int64_t)183 * 86400)

struct recovery {
	struct store *store;
	const struct take_over *by;
	bool worked;            /* there were journals */
	bool keeps;             /* some of them were set aside */
	struct buf early;       /* ids of early contents that adopted ones have, u64 */
};

/* Keeps a journal that cannot become a version, out of the way of the next one for that inode. */
static int set_aside(struct store *store, const char *name, const char *why, struct error *e)
{
	char lost[STAGING_KEPT_MAX];
	int rc = staging_set_aside(store->staging_fd, name, lost, e);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	buf_printf(&store->report,
		   "unsaved bytes could not become a version (%s); they are kept in staging/%s\n",
		   why, lost);
	return 0;
}

/* Did the writer change anything? */
static bool is_untouched(const struct staging *staging, const struct work *work,
			 const struct staging_origin *origin)
{
	struct staging_times times = staging_times(staging);

	if (times.mtime || times.atime || work->size != origin->size)
		return false;
	if (work->size == 0)
		return true;
	return origin->content && work->count == 1 && work->extents[0].kind == EXTENT_CONTENT &&
	       work->extents[0].content == origin->content && work->extents[0].from == 0;
}

static int save_leftover(struct store *store, struct staging *staging,
			 const struct staging_origin *origin, bool torn, struct error *e)
{
	struct actor actor = { .uid = (uint32_t)origin->uid,
			       .gid = (uint32_t)origin->gid,
			       .tgid = (uint32_t)origin->tgid,
			       .name = origin->author,
			       .command = origin->command,
			       .client = origin->client };
	CLEANUP(buf_release) struct buf path = { 0 };
	struct work work = staging_work(staging);
	struct staging_times times = staging_times(staging);
	struct save save = { .work = &work,
			     .base = origin->base,
			     .mtime = times.mtime ? times.mtime : origin->mtime,
			     .atime = times.atime,
			     .attributes = true,
			     .incomplete = true,
			     .recovered = true };
	struct saved saved;

	if (is_untouched(staging, &work, origin))
		return 0;
	int rc = version_save(store, &actor, origin->ino, &save, &saved, e);
	if (rc < 0)
		return rc;
	if (namespace_path(store, origin->ino, &path, NULL) < 0 || !path.len)
		buf_printf(&path, "inode %llu", (unsigned long long)origin->ino);
	buf_printf(&store->report,
		   "%s: unsaved bytes of %.*s became version %llu, marked incomplete%s\n",
		   buf_cstr(&path), (int)origin->author.len, (const char *)origin->author.data,
		   (unsigned long long)saved.number,
		   torn ? "; the last write was cut short and is dropped" : "");
	return 0;
}

/* What became of a journal of an earlier boot. */
enum fate {
	FATE_RECOVER,
	FATE_SAVED,    /* its file was saved since: the disk brought back what had been removed or
			  written over */
	FATE_BASELESS, /* what it was written over was lost */
};

/* The change that made the version which the inode holds, 0: none. */
static int saved_by(struct store *store, const struct inode_record *inode, uint64_t *ret,
		    struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record v = { 0 };
	int rc =
		inode->version ? version_get(store, inode->doc, inode->version, &v, &memory, e) : 0;

	*ret = v.change;
	return rc;
}

/* Journals are not synced, so a power cut may bring back one that was done with, or keep one whose
 * base it took. As long as the machine goes on neither can be. */
static int judge(struct recovery *r, const struct staging_origin *origin, enum fate *ret,
		 struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	uint64_t saved;

	*ret = FATE_RECOVER;
	if (origin->boot == r->store->boot)
		return 0;
	int rc = inode_get(r->store, origin->ino, &inode, e);
	if (rc < 0)
		return rc == -E_STALE ? 0 : rc; /* of one that is gone saving tells */
	rc = saved_by(r->store, &inode->r, &saved, e);
	if (rc == 0 && saved > origin->change)
		*ret = FATE_SAVED;
	else if (inode->r.content != origin->content)
		*ret = FATE_BASELESS;
	return rc;
}

/* To be called before somebody goes on with the staging. */
static int note_early(struct recovery *r, const struct staging *staging, struct error *e)
{
	size_t count;
	const uint64_t *ids = staging_early(staging, &count);

	for (size_t i = 0; i < count; i++)
		buf_u64(&r->early, ids[i]);
	return buf_check(&r->early, e);
}

static bool is_early_kept(void *arg, uint64_t id)
{
	const struct recovery *r = arg;
	struct reader in = reader_of(buf_view(&r->early));

	while (reader_left(&in) > 0) {
		if (reader_u64(&in) == id)
			return true;
	}
	return false;
}

static int recover_journal(struct recovery *r, const char *name, struct error *e)
{
	const struct take_over *by = r->by;
	struct store *store = r->store;
	CLEANUP(buf_release) struct buf strings = { 0 };
	struct staging_origin origin;
	struct staging *staging;
	bool torn;
	struct error why = { 0 };
	int rc = staging_recover(store->journals, name, &staging, &origin, &strings, &torn, &why);

	if (rc == 1) {
		unlinkat(store->staging_fd, name, 0);
		return 0;
	}
	if (rc == -E_CORRUPT) { /* staging_recover set it aside */
		r->keeps = true;
		buf_printf(&store->report, "%s\n", why.text);
		return 0;
	}
	if (rc < 0)
		return error_set(e, rc, "staging/%s: %s", name, why.text);
	bool damaged = staging_is_damaged(staging);
	struct work work = staging_work(staging);
	enum fate fate = FATE_RECOVER;
	rc = judge(r, &origin, &fate, &why);
	if (rc == 0 && fate == FATE_SAVED) {
		staging_remove(staging);
		return 0;
	}
	if (rc == 0 && fate == FATE_BASELESS)
		rc = error_set(
			&why, -E_CORRUPT,
			"what they were written over did not reach the disk before a power cut");
	if (rc == 0)
		rc = note_early(r, staging, &why);
	if (rc == 0 && by && !damaged &&
	    by->adopt(by->arg, &origin, staging, !is_untouched(staging, &work, &origin)))
		return 0;
	rc = rc < 0 ? rc : save_leftover(store, staging, &origin, torn && !damaged, &why);
	r->keeps |= rc < 0 || damaged;
	if (rc == 0 && damaged) {
		staging_abandon(staging);
		return set_aside(store, name,
				 "their journal is damaged in the middle: only what was written "
				 "before that did",
				 e);
	}
	if (rc == 0) {
		staging_remove(staging);
		return 0;
	}
	staging_abandon(staging);
	if (rc == -E_STALE || rc == -E_CORRUPT || rc == -E_INVALID)
		return set_aside(store, name, why.text, e);
	return error_set(e, rc, "staging/%s: %s", name, why.text);
}

/* Journals that were set aside are kept for half a year, for whoever misses what is in them. */
static void forget_old(struct recovery *r, const char *name)
{
	struct store *store = r->store;
	struct stat st;

	r->keeps = true;
	if (r->by || fstatat(store->staging_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    clock_now() / NS_PER_SECOND - st.st_mtim.tv_sec < KEPT_SECONDS ||
	    unlinkat(store->staging_fd, name, 0) < 0)
		return;
	buf_printf(&store->report,
		   "staging/%s, unsaved bytes that had been kept for half a year, was removed\n",
		   name);
}

static int recover_entry(void *arg, const char *name, struct error *e)
{
	struct recovery *r = arg;

	if (strncmp(name, STAGING_KEPT, strlen(STAGING_KEPT)) == 0)
		forget_old(r, name);
	if (name[0] == '.' || strncmp(name, STAGING_KEPT, strlen(STAGING_KEPT)) == 0)
		return 0;
	r->worked = true;
	if (strspn(name, "0123456789abcdef") == strlen(name))
		return recover_journal(r, name, e);
	unlinkat(r->store->staging_fd, name, 0); /* a journal that had not yet begun */
	return 0;
}

static int recover_journals(struct recovery *r, struct error *e)
{
	struct store *store = r->store;
	int rc = directory_each(store->staging_fd, ".", "staging", recover_entry, r, e);

	/* What became a version stays one, and what was removed does not come back. */
	if (rc == 0 && r->worked && !r->by)
		rc = kv_sync(store->kv, e);
	if (rc == 0 && r->worked && !r->by && fsync(store->staging_fd) < 0)
		rc = error_system(e, "%s/staging", store->path);
	return rc;
}

/* Orphans are dropped, or shown to who goes on with them. */
static int visit_orphans(struct store *store, const struct take_over *by, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_ORPHAN, view_of(NULL, 0), false);
	struct view key;
	int rc;

	while ((rc = kv_iter_next(it, &key, NULL, e)) > 0) {
		struct reader r = reader_of(key);
		uint64_t ino = reader_u64(&r);

		if (!reader_done(&r))
			continue;
		if (by)
			by->orphan(by->arg, ino);
		rc = by ? 0 : namespace_drop_orphan(store, ino, e);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int recovery_take_over(struct store *store, const struct take_over *by, struct error *e)
{
	checkpoint_drop_old(store, by ? 86400 : 0);
	buf_printf(&store->report, "%s", kv_opening_note(store->kv));
	struct recovery r = { .store = store, .by = by };
	int rc = recover_journals(&r, e);

	/* A journal that is kept may name them. */
	if (rc == 0 && !r.keeps)
		rc = content_forget_early(store->contents, is_early_kept, &r, e);
	buf_release(&r.early);
	if (rc == 0)
		rc = visit_orphans(store, by, e);
	if (rc == 0)
		buf_cstr(&store->report);
	return rc < 0 ? rc : buf_check(&store->report, e);
}

int recovery_run(struct store *store, struct error *e)
{
	return recovery_take_over(store, NULL, e);
}
