/* lagging.c - see lagging.h. */
#include "lagging.h"

#include <sys/stat.h>

#include "changelog.h"
#include "clock.h"
#include "internal.h"

/* Those whose log record names, as the parent, the directory that they change. */
static bool names_its_directory(uint64_t op)
{
	return op == OP_CREATE || op == OP_SYMLINK || op == OP_UNLINK || op == OP_RENAME;
}

static size_t place_of(const struct lagging *lagging, uint64_t ino)
{
	size_t i = 0;

	while (i < lagging->count && lagging->at[i]->r.ino != ino)
		i++;
	return i;
}

bool lagging_may(const struct change *c, const struct inode_edit *edit)
{
	const struct inode_record *r = &edit->r;

	return names_its_directory(c->log.op) && edit->old && S_ISDIR(r->mode) &&
	       r->ino == c->log.parent && r->nlink == edit->old->r.nlink &&
	       r->since == edit->old->r.since && r->mtime == c->time && r->ctime == c->time &&
	       place_of(&c->store->lagging, r->ino) < LAGGING_MAX;
}

static int put_record(struct kv_batch *batch, const struct inode_record *r, struct error *e)
{
	CLEANUP(buf_release) struct buf encoded = { 0 };
	struct key key = key_number(r->ino);

	inode_encode(&encoded, r);
	kv_batch_put_buf(batch, FAMILY_INODE, key_view(&key), &encoded);
	return buf_check(&encoded, e);
}

int lagging_put(struct change *c, struct error *e)
{
	const struct lagging *lagging = &c->store->lagging;
	int rc = 0;

	for (size_t i = 0; change_begins_a_second(c) && i < lagging->count && rc == 0; i++) {
		bool edited = false;

		for (size_t k = 0; k < c->inode_count; k++)
			edited |= c->inodes[k].r.ino == lagging->at[i]->r.ino;
		rc = edited ? 0 : put_record(c->batch, &lagging->at[i]->r, e);
	}
	return rc;
}

static void let_go(struct store *store, size_t i)
{
	struct lagging *lagging = &store->lagging;
	struct inode *inode = lagging->at[i];

	lagging->at[i] = lagging->at[--lagging->count];
	inode_cache_keep(store->inodes, inode, false);
	inode_put(inode);
}

void lagging_written(struct change *c)
{
	struct lagging *lagging = &c->store->lagging;

	while (lagging->count && change_begins_a_second(c))
		let_go(c->store, 0);
	for (size_t i = 0; i < c->inode_count; i++) {
		struct inode_edit *edit = &c->inodes[i];
		size_t place = place_of(lagging, edit->r.ino);

		if (place < lagging->count)
			let_go(c->store, place);
		if (edit->lags) {
			inode_cache_keep(c->store->inodes, edit->fresh, true);
			lagging->at[lagging->count++] = edit->fresh;
		}
	}
}

void lagging_close(struct store *store)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct lagging *lagging = &store->lagging;
	int rc = 0;

	for (size_t i = 0; i < lagging->count; i++)
		rc |= put_record(&batch, &lagging->at[i]->r, NULL);
	if (rc == 0 && lagging->count)
		kv_write(store->kv, &batch, NULL);
	while (lagging->count)
		let_go(store, 0);
}

/* The change of that record changed its directory last. */
static int recover_one(struct store *store, const struct log_record *log, struct error *e)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(inode_release) struct inode *directory = NULL;
	int rc = names_its_directory(log->op) ? inode_get(store, log->parent, &directory, e)
					      : -E_STALE;

	if (rc < 0 || !S_ISDIR(directory->r.mode) || directory->r.ctime >= log->time)
		return rc;
	struct inode_record r = directory->r;
	r.mtime = r.ctime = log->time;
	rc = put_record(&batch, &r, e);
	if (rc == 0)
		rc = kv_write(store->kv, &batch, e);
	if (rc == 0)
		inode_cache_replace(store->inodes, r.ino, NULL);
	return rc;
}

/* More than a second has: where the clock stood still, times did too, and none lags. */
#define CHANGES_MAX 100000

/* What is not there, or not sound, is others' to tell: times are no reason not to open. */
static bool is_damage(int rc)
{
	return rc == -E_STALE || rc == -E_TIME_RANGE || rc == -E_CORRUPT;
}

int lagging_recover(struct store *store, struct error *e)
{
	int64_t second = store->last_time / NS_PER_SECOND;
	uint64_t head = store->head_change, stop = head > CHANGES_MAX ? head - CHANGES_MAX : 0;
	int rc = 0;

	for (uint64_t n = head; n > stop && rc == 0; n--) {
		CLEANUP(buf_release) struct buf memory = { 0 };
		struct log_record log;

		rc = changelog_get(store, n, &log, &memory, e);
		if (rc == 0 && log.time / NS_PER_SECOND != second)
			break;
		if (rc == 0)
			rc = recover_one(store, &log, e);
		if (is_damage(rc))
			rc = 0;
	}
	return rc;
}
