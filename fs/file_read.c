/* file_read.c - see file.h: what is in a file now, unsaved bytes included. */
#include <sys/stat.h>

#include "file_parts.h"

/* The file as a work, unsaved or saved; *extent is its memory when it is saved. */
static int work_of(struct files *files, const struct file *file, struct extent *extent,
		   struct work *ret, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc;

	if (file->staging) {
		*ret = staging_work(file->staging);
		return 0;
	}
	rc = inode_get(files->store, file->ino, &inode, e);
	if (rc < 0)
		return rc;
	*extent =
		(struct extent){ 0, inode->r.size, inode->r.content ? EXTENT_CONTENT : EXTENT_ZERO,
				 inode->r.content, 0 };
	*ret = (struct work){ extent, inode->r.size ? 1 : 0, inode->r.size, -1 };
	return 0;
}

int file_read(struct files *files, struct file *file, uint64_t offset, void *out, size_t n,
	      struct error *e)
{
	struct content_store *contents = store_contents(files->store);
	struct extent extent;
	struct work work;

	lock_take(&file->lock);
	int rc = work_of(files, file, &extent, &work, e);
	if (rc < 0 || file->staging) {
		rc = rc < 0 ? rc : work_read(contents, &work, offset, out, n, e);
		lock_drop(&file->lock);
		return rc;
	}
	lock_drop(&file->lock);
	return work_read(contents, &work, offset, out, n, e);
}

int file_seek(struct files *files, struct file *file, uint64_t offset, bool hole, uint64_t *ret,
	      struct error *e)
{
	struct extent extent;
	struct work work;

	lock_take(&file->lock);
	int rc = work_of(files, file, &extent, &work, e);
	if (rc == 0)
		rc = work_seek(store_contents(files->store), &work, offset, hole, ret, e);
	lock_drop(&file->lock);
	return rc;
}

bool files_attributes(struct files *files, uint64_t ino, struct file_attributes *attributes)
{
	struct file *file = file_peek(files, ino);

	if (!file)
		return false;
	lock_take(&file->lock);
	bool unsaved = file->dirty;
	if (unsaved) {
		struct work work = staging_work(file->staging);

		attributes->size = work.size;
		attributes->data = work_data_bytes(store_contents(files->store), &work);
		attributes->mtime = file->mtime;
		attributes->ctime =
			file->ctime > attributes->ctime ? file->ctime : attributes->ctime;
		attributes->atime = file->atime ? file->atime : attributes->atime;
		if (file->kill_privileges) {
			attributes->mode &= ~(uint64_t)S_ISUID;
			if (attributes->mode & S_IXGRP)
				attributes->mode &= ~(uint64_t)S_ISGID;
		}
	}
	lock_drop(&file->lock);
	file_put(files, file);
	return unsaved;
}
