/* adopt.c - see adopt.h. */
#include "adopt.h"

#include "store/clock.h"

/* The handle's save is the head, and its next one belongs to it.  The caller has the lock, or the
 * file alone. */
static void go_on_folding(struct file *file, struct handle *handle, uint64_t version)
{
	file->writer = handle->who;
	file->writer_handle = file->fold_handle = handle->id;
	file->base = handle->folds = version;
}

int adopt_handle(struct files *files, struct store *store, struct handle *handle, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct file *file;
	int rc = inode_get(store, handle->ino, &inode, e);

	if (rc == 0)
		rc = file_get(files, handle->ino, &file, e);
	if (rc < 0)
		return rc;
	handle->file = file;
	file_open(files, file);
	if (handle->folds && handle->folds == inode->r.version)
		go_on_folding(file, handle, handle->folds);
	return 0;
}

void adopt_staging(const struct handle *handle, const struct staging_origin *origin,
		   struct staging *staging, bool dirty)
{
	struct file *file = handle->file;
	struct staging_times times = staging_times(staging);
	uint64_t size = staging_size(staging);

	lock_take(&file->lock);
	file->staging = staging;
	file->dirty = dirty;
	file->truncated = dirty && origin->size > 0 && size == 0;
	file->written = dirty && size > 0;
	file->kill_privileges = dirty && handle->who.uid != 0;
	file->writer = handle->who;
	file->writer_handle = handle->id;
	file->fold_handle = origin->folds ? handle->id : 0;
	file->base = origin->base;
	file->mtime = times.mtime ? times.mtime : origin->mtime;
	file->atime = times.atime;
	file->ctime = origin->mtime;
	file->attributes = true; /* perhaps */
	file->changed = file->unpublished = clock_monotonic();
	lock_drop(&file->lock);
}

void adopt_saved(struct store *store, struct file *file, struct handle *handle)
{
	CLEANUP(inode_release) struct inode *inode = NULL;

	if (inode_get(store, file->ino, &inode, NULL) < 0)
		return;
	lock_take(&file->lock);
	if (file->dirty && file->writer_handle == handle->id) {
		file->dirty = false;
		staging_end(file->staging);
		file->staging = NULL;
	}
	if (!file->dirty)
		go_on_folding(file, handle, inode->r.version);
	lock_drop(&file->lock);
}

void adopt_discard(struct file *file, const struct handle *handle)
{
	lock_take(&file->lock);
	file->opens--;
	if (file->writer_handle == handle->id) {
		file->dirty = false;
		file->writer_handle = file->fold_handle = 0;
		staging_end(file->staging);
		file->staging = NULL;
	}
	lock_drop(&file->lock);
}
