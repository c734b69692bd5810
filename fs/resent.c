/* resent.c - see resent.h. */
#include "resent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "adopt.h"
#include "kernel.h"
#include "log.h"
#include "ops.h"
#include "store/changelog.h"
#include "store/clock.h"

/* What the daemon changes by itself the kernel is told of at once, but for a death. */
#define TOLD_WITHIN_S 60
/* Changes: what was done and not answered is among the last few of each thread. */
#define LOOKED_BACK 4096

/* A request that was carried out. */
struct done {
	uint64_t request, ino;
};

struct resent {
	size_t count;
	struct done done[LOOKED_BACK];
};

void resent_free(struct resent *resent)
{
	free(resent);
}

void request_begin(const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;

	request_number = request->size >= sizeof(*in) ? in->unique & ~KERNEL_RESENT : 0;
}

/* ------------------------------------------------ what another worker left */

static bool add_done(void *arg, const struct log_record *record)
{
	struct resent *resent = arg;

	if (record->request)
		resent->done[resent->count++] = (struct done){ record->request, record->ino };
	return resent->count < LOOKED_BACK;
}

static int read_done(struct mount *m, struct error *e)
{
	struct log_query query = { .first = m->region->mounted_change + 1, .limit = LOOKED_BACK };

	m->resent = calloc(1, sizeof(*m->resent));
	if (!m->resent)
		return error_set(e, -E_NO_MEMORY, "out of memory for taking over");
	return changelog_each(m->store, &query, add_done, m->resent, e);
}

/* -E_STALE: two handles for one directory, of which a dying worker made one. */
static int open_directory_again(struct mount *m, const struct handle *handle, struct error *e)
{
	return inode_set_add(&m->listed, handle->ino)
		       ? 0
		       : error_set(e, -E_STALE, "a directory is open already");
}

static int open_past_again(struct mount *m, struct handle *handle, struct error *e)
{
	struct caller caller;
	bool keep, direct;

	identity_of_caller(handle->who.uid, handle->who.gid, (pid_t)handle->who.tgid, &caller);
	struct credentials who = identity_credentials(&caller);
	if (handle->directory)
		return history_opendir(m->history, &who, handle->ino, &handle->past, e);
	return history_open_file(m->history, &who, handle->ino, &handle->past, &keep, &direct, e);
}

/* Handles that cannot be opened again are gone: who uses them is told ESTALE. */
static void open_handles_again(struct mount *m)
{
	struct handle *handle = NULL;
	uint64_t id = 0;

	while ((handle = handle_next(m->handles, id))) {
		struct error e = { 0 };
		int rc;

		id = handle->id;
		if (!handle->ino) { /* its worker died while it was made: the request comes again */
			handle_remove(m->handles, handle);
			continue;
		}
		if (history_is_node(handle->ino))
			rc = open_past_again(m, handle, &e);
		else
			rc = handle->directory ? open_directory_again(m, handle, &e)
					       : adopt_handle(m->files, m->store, handle, &e);
		if (rc < 0) {
			log_line(LOG_WARNING, "an open file could not be taken over: %s", e.text);
			handle_remove(m->handles, handle);
		}
	}
}

/* The version that the inode holds is of a save that is not at its end (file.c). */
static bool holds_part(struct mount *m, uint64_t ino)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct version_record version;

	return inode_get(m->store, ino, &inode, NULL) == 0 &&
	       version_get(m->store, inode->r.doc, inode->r.version, &version, &memory, NULL) ==
		       0 &&
	       (version.flags & VERSION_INCOMPLETE);
}

static bool adopt(void *arg, const struct staging_origin *origin, struct staging *staging,
		  bool dirty)
{
	struct mount *m = arg;
	struct handle *handle;

	if (!origin->handle || handle_find(m->handles, origin->handle, &handle, NULL) < 0 ||
	    !handle->file || handle->ino != origin->ino || handle->who.uid != origin->uid ||
	    handle->who.tgid != origin->tgid)
		return false;
	adopt_staging(handle, origin, staging,
		      dirty || (origin->folds && holds_part(m, origin->ino)));
	return true;
}

static void orphan(void *arg, uint64_t ino)
{
	struct mount *m = arg;

	files_orphaned(m->files, ino);
}

int resent_prepare(struct mount *m, struct error *e)
{
	struct take_over by = { .adopt = adopt, .orphan = orphan, .arg = m };
	int rc = read_done(m, e);

	if (rc < 0)
		return rc;
	open_handles_again(m);
	return store_take_over(m->store, &by, e);
}

/* Changes without a request are the daemon's own. */
static bool tell_again(void *arg, const struct log_record *record)
{
	const char *path = record->path.data;
	size_t at = record->path.len;
	struct mount *m = arg;

	if (record->time < clock_now() - TOLD_WITHIN_S * NS_PER_SECOND)
		return false;
	if (record->request || record->change <= m->region->mounted_change)
		return true;
	while (at && path[at - 1] != '/')
		at--;
	notifier_inode(m->notifier, record->ino);
	notifier_inode(m->notifier, record->parent);
	notifier_entry(m->notifier, record->parent, view_of(path + at, record->path.len - at));
	return true;
}

int resent_tell(struct mount *m, struct error *e)
{
	struct log_query query = { .first = m->region->mounted_change + 1, .limit = LOOKED_BACK };

	return m->resent ? changelog_each(m->store, &query, tell_again, m, e) : 0;
}

/* ------------------------------------------------------ what is sent again */

static const struct done *find_done(const struct resent *resent, uint64_t request)
{
	for (size_t i = 0; resent && i < resent->count; i++) {
		if (resent->done[i].request == request)
			return &resent->done[i];
	}
	return NULL;
}

/* The handle that was made for a request whose answer nobody got. */
static void drop_unanswered(struct mount *m, uint64_t request)
{
	struct handle *handle = handle_opened_by(m->handles, request);

	if (!handle)
		return;
	if (handle->file) {
		adopt_discard(handle->file, handle);
		file_put(m->files, handle->file);
	}
	end_handle(m, handle);
}

static void fill_entry(struct mount *m, const struct inode *inode, struct fuse_entry_out *to)
{
	struct fuse_entry_param entry;

	entry_of_inode(m, inode, &entry);
	to->nodeid = entry.ino;
	to->generation = entry.generation;
	to->entry_valid = (uint64_t)entry.entry_timeout;
	to->attr_valid = (uint64_t)entry.attr_timeout;
	kernel_fill_attr(&entry.attr, &to->attr);
}

static int answer_entry(struct mount *m, int fd, const struct fuse_in_header *in, uint64_t ino,
			struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct fuse_entry_out out = { 0 };
	int rc = inode_get(m->store, ino, &inode, e);

	if (rc < 0)
		return rc;
	fill_entry(m, inode, &out);
	kernel_answer(fd, in->unique, 0, &out, sizeof(out));
	return 0;
}

/* CREATE, TMPFILE: the file is there, what is wanted is that it be open. */
static int answer_create(struct mount *m, int fd, const struct fuse_in_header *in,
			 const struct fuse_create_in *ask, uint64_t ino, struct error *e)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct fuse_file_info fi = { .flags = (int)ask->flags & ~(O_CREAT | O_EXCL | O_TRUNC) };
	struct caller caller;
	int rc = inode_get(m->store, ino, &inode, e);

	if (rc < 0)
		return rc;
	identity_of_caller(in->uid, in->gid, (pid_t)in->pid, &caller);
	rc = open_live(m, &caller, inode, &fi, e);
	if (rc < 0)
		return rc;
	fill_entry(m, inode, &out.entry);
	out.open.fh = fi.fh;
	out.open.open_flags = FOPEN_KEEP_CACHE;
	if (!kernel_answer(fd, in->unique, 0, &out, sizeof(out)))
		close_handle(m, fi.fh);
	return 0;
}

static int answer_attributes(struct mount *m, int fd, const struct fuse_in_header *in,
			     struct error *e)
{
	struct fuse_attr_out out = { .attr_valid = (uint64_t)MOUNT_TIMEOUT_S };
	struct stat st;
	int rc = stat_of(m, in->nodeid, &st, e);

	if (rc < 0)
		return rc;
	kernel_fill_attr(&st, &out.attr);
	kernel_answer(fd, in->unique, 0, &out, sizeof(out));
	return 0;
}

/* The handle's bytes are saved: what follows finds nothing to save. */
static void note_saved(struct mount *m, uint64_t fh)
{
	struct handle *handle;

	if (handle_find(m->handles, fh, &handle, NULL) == 0 && handle->file)
		adopt_saved(m->store, handle->file, handle);
}

/* 1: answered; 0: to be carried out again. */
static int answer_done(struct mount *m, int fd, const struct fuse_in_header *in, size_t n,
		       const struct done *done, struct error *e)
{
	const void *body = in + 1;

	switch (in->opcode) {
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
		kernel_answer(fd, in->unique, 0, NULL, 0);
		return 1;
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK: {
		int rc = history_is_node(in->nodeid) ? 0 : answer_entry(m, fd, in, done->ino, e);
		return rc < 0 ? rc : !history_is_node(in->nodeid);
	}
	case FUSE_CREATE:
	case FUSE_TMPFILE: {
		int rc = n < sizeof(struct fuse_create_in)
				 ? -E_INVALID
				 : answer_create(m, fd, in, body, done->ino, e);
		return rc < 0 ? rc : 1;
	}
	case FUSE_SETATTR: {
		int rc = answer_attributes(m, fd, in, e);
		return rc < 0 ? rc : 1;
	}
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_RELEASE:
	case FUSE_WRITE:
		if (n >= sizeof(uint64_t)) /* all of these begin with the handle */
			note_saved(m, *(const uint64_t *)body);
		return 0;
	default:
		return 0;
	}
}

bool resent_handle(struct mount *m, int fd, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	struct error e = { 0 };

	if (request->flags & FUSE_BUF_IS_FD || request->size < sizeof(*in) ||
	    !(in->unique & KERNEL_RESENT))
		return false;
	if (in->opcode == FUSE_OPEN || in->opcode == FUSE_OPENDIR || in->opcode == FUSE_CREATE ||
	    in->opcode == FUSE_TMPFILE)
		drop_unanswered(m, request_number);
	const struct done *done = find_done(m->resent, request_number);
	if (!done)
		return false;
	int rc = answer_done(m, fd, in, request->size - sizeof(*in), done, &e);
	if (rc < 0)
		kernel_answer(fd, in->unique, error_errno(rc), NULL, 0);
	return rc != 0;
}
