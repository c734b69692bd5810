/* operations.c - see operations.h. */
#include "early.h"
#include "operations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "fs/history.h"
#include "store/changelog.h"
#include "store/checkpoint.h"
#include "store/clock.h"
#include "store/control.h"
#include "store/digest.h"
#include "store/pack.h"
#include "store/repair.h"
#include "store/tag.h"
#include "store/timeline.h"
#include "store/verify.h"
#include "tools/backup.h"

#define TABLE_LINES 150
#define TABLES 6

static const struct actor anna = {
	.uid = 4001, .gid = 4001, .tgid = 101, .name = { "anna", 4 }, .command = { "vim", 3 }
};
static const struct credentials nobody_else = { 0, 0, 0, NULL };
static char store_at[4096], scratch_at[4096];
static size_t piece_bytes = 1 << 30; /* written at once */
struct store *operations_store;

void operations_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("#   ");
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

void operations_at(const char *path, const char *scratch)
{
	snprintf(store_at, sizeof(store_at), "%s", path);
	snprintf(scratch_at, sizeof(scratch_at), "%s", scratch);
}

int operations_open(struct error *e)
{
	return store_open(store_at, NULL, &operations_store, e);
}

void operations_close(void)
{
	store_close(operations_store);
	operations_store = NULL;
}

/* ---- names and bytes ---- */

static int ino_of(const char *path, uint64_t *ret, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	int rc = namespace_walk(operations_store, view_str(path), &inode, e);

	if (rc == 0)
		*ret = inode->r.ino;
	return rc;
}

bool operations_has(const char *name)
{
	uint64_t ino;

	return ino_of(name, &ino, NULL) == 0;
}

static int make(uint64_t parent, const char *name, uint32_t mode, struct error *e)
{
	struct make what = { .mode = mode,
			     .uid = anna.uid,
			     .gid = anna.gid,
			     .target = view_str(S_ISLNK(mode) ? "x" : "") };
	struct inode *inode = NULL;
	int rc = namespace_make(operations_store, &anna, parent, view_str(name), &what, &inode, e);

	inode_put(inode);
	return rc;
}

static struct staging_origin origin_of(const struct inode *inode)
{
	struct staging_origin origin = { .ino = inode->r.ino,
					 .content = inode->r.content,
					 .size = inode->r.size,
					 .uid = anna.uid,
					 .author = anna.name };

	store_date_origin(operations_store, &origin);
	return origin;
}

static int save_staged(struct staging *staging, uint64_t ino, bool fold, struct saved *ret,
		       struct error *e)
{
	struct work work = staging_work(staging);
	struct save save = { .work = &work, .fold = fold };

	return version_save(operations_store, &anna, ino, &save, ret, e);
}

int operations_save(const char *name, const char *text, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct staging *staging = NULL;
	struct saved saved;
	int rc = namespace_walk(operations_store, view_str(name), &inode, e);

	if (rc < 0)
		return rc;
	struct staging_origin origin = origin_of(inode);
	rc = staging_begin(store_journals(operations_store), &origin, &staging, e);
	if (rc < 0)
		return rc;
	if (*text)
		rc = staging_truncate(staging, 0, e);
	if (rc == 0)
		rc = early_write(staging, view_str(text), piece_bytes, e);
	if (rc == 0)
		rc = early_make(operations_store, staging, e);
	if (rc == 0)
		rc = save_staged(staging, origin.ino, false, &saved, e);
	staging_end(staging); /* what could not be saved is not to become a version */
	return rc;
}

/* ---- single changes ---- */

static int op_create(struct error *e) { return make(ROOT_INODE, "new", S_IFREG | 0644, e); }
static int op_mkdir(struct error *e) { return make(ROOT_INODE, "newdir", S_IFDIR | 0755, e); }
static int op_symlink(struct error *e) { return make(ROOT_INODE, "newlink", S_IFLNK | 0777, e); }
static int op_save(struct error *e) { return operations_save("b", "second text of b", e); }

static int op_tmpfile(struct error *e)
{
	struct make what = { .mode = S_IFREG | 0600, .uid = anna.uid, .gid = anna.gid };
	CLEANUP(inode_release) struct inode *inode = NULL, *linked = NULL;
	int rc = namespace_make_unnamed(operations_store, &anna, &what, &inode, e);

	return rc < 0 ? rc
		      : namespace_link(operations_store, &anna, inode->r.ino, ROOT_INODE,
				       view_str("named"), &linked, e);
}

static int op_large(struct error *e)
{
	static char text[(3 << 19) + 1];

	for (size_t i = 0; i + 1 < sizeof(text); i++)
		text[i] = (char)('a' + (i * i >> 7) % 23);
	return operations_save("b", text, e);
}

static int op_past_log(struct error *e)
{
	content_past_log_from(1 << 20);
	int rc = op_large(e);
	content_past_log_from(16 << 20);
	return rc;
}

static int op_early(struct error *e)
{
	content_segments_of(512 << 10), piece_bytes = 10000;
	int rc = op_past_log(e);
	content_segments_of(CONTENT_SEGMENT_MAX);
	piece_bytes = 1 << 30;
	return rc;
}

static int op_rename(struct error *e)
{
	uint64_t replaced;
	int rc = namespace_rename(operations_store, &anna, ROOT_INODE, view_str("b"), ROOT_INODE,
				  view_str("a"), 0, 0, &replaced, e);

	return rc < 0 || !replaced ? rc : namespace_drop_orphan(operations_store, replaced, e);
}

static int op_exchange(struct error *e)
{
	uint64_t replaced;

	return namespace_rename(operations_store, &anna, ROOT_INODE, view_str("b"), ROOT_INODE,
				view_str("a"), RENAME_EXCHANGE, 0, &replaced, e);
}

static int op_move(struct error *e)
{
	uint64_t replaced;

	return namespace_rename(operations_store, &anna, ROOT_INODE, view_str("folder"), ROOT_INODE,
				view_str("moved"), 0, 0, &replaced, e);
}

static int op_unlink(struct error *e)
{
	uint64_t ino;
	int rc = namespace_unlink(operations_store, &anna, ROOT_INODE, view_str("b"), &ino, e);

	return rc < 0 ? rc : namespace_drop_orphan(operations_store, ino, e);
}

static int op_link(struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	uint64_t ino;
	int rc = ino_of("b", &ino, e);

	return rc < 0 ? rc
		      : namespace_link(operations_store, &anna, ino, ROOT_INODE,
				       view_str("another"), &inode, e);
}

static int op_rmdir(struct error *e)
{
	return namespace_rmdir(operations_store, &anna, ROOT_INODE, view_str("dir"), e);
}

static int op_chmod(struct error *e)
{
	struct attributes set = { .set_mode = true, .mode = 0600 };
	CLEANUP(inode_release) struct inode *inode = NULL;
	uint64_t ino;
	int rc = ino_of("b", &ino, e);

	return rc < 0 ? rc : namespace_setattr(operations_store, &anna, ino, &set, &inode, e);
}

static int op_setxattr(struct error *e)
{
	uint64_t ino;
	int rc = ino_of("b", &ino, e);

	return rc < 0 ? rc
		      : namespace_setxattr(operations_store, &anna, ino, view_str("user.x"),
					   view_str("y"), 0, e);
}

static int op_removexattr(struct error *e)
{
	uint64_t ino;
	int rc = ino_of("b", &ino, e);

	return rc < 0 ? rc
		      : namespace_removexattr(operations_store, &anna, ino, view_str("user.was"),
					      e);
}

static int op_restore(struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct saved saved;
	int rc = namespace_walk(operations_store, view_str("tables"), &inode, e);

	return rc < 0 ? rc
		      : version_restore(operations_store, &anna, inode->r.ino, inode->r.doc, 1,
					&saved, e);
}

static int op_restore_beside(struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct saved saved;
	int rc = namespace_walk(operations_store, view_str("tables"), &inode, e);

	return rc < 0 ? rc
		      : version_restore_at(operations_store, &anna, ROOT_INODE,
					   view_str("as it was"), inode->r.doc, 1, &saved, e);
}

static int op_tag(struct error *e)
{
	uint64_t change;

	return tag_set(operations_store, &anna, ROOT_INODE, view_str("new tag"), &change, e);
}

static int op_untag(struct error *e)
{
	return tag_remove(operations_store, &anna, ROOT_INODE, view_str("tag"), e);
}

/* A file that stays open is saved again and again (L6): the journal goes on, saves fold. */
static int op_publish(struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct staging *staging = NULL;
	struct saved saved;
	int rc = namespace_walk(operations_store, view_str("b"), &inode, e);

	if (rc < 0)
		return rc;
	struct staging_origin origin = origin_of(inode);
	rc = staging_begin(store_journals(operations_store), &origin, &staging, e);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; rc == 0 && i < 3; i++) {
		rc = staging_write(staging, i * 7, "a line\n", 7, e);
		if (rc == 0)
			rc = save_staged(staging, origin.ino, i > 0, &saved, e);
		if (rc < 0)
			break;
		origin.content = saved.content, origin.size = saved.size;
		store_date_origin(operations_store, &origin);
		rc = staging_rebase(staging, &origin, e);
	}
	staging_end(staging);
	return rc;
}

/* ---- what looks ---- */

static bool each_name(void *arg, struct view name, uint64_t cookie,
		      const struct dirent_record *dirent)
{
	(void)name, (void)cookie, (void)dirent;
	++*(unsigned *)arg;
	return true;
}

static bool each_change(void *arg, const struct log_record *record)
{
	(void)record;
	++*(unsigned *)arg;
	return true;
}

static int op_list(struct error *e)
{
	struct log_query all = { 0 };
	unsigned names = 0, changes = 0;
	int rc = timeline_names(operations_store, ROOT_INODE, 0, 3, each_name, &names, e);

	if (rc == 0)
		rc = changelog_each(operations_store, &all, each_change, &changes, e);
	if (rc == 0 && (!names || !changes))
		operations_fail("a listing was empty and no error");
	return rc;
}

static bool ignore_finding(void *arg, const char *sentence)
{
	if (arg)
		snprintf(arg, 512, "%s", sentence);
	return true;
}

static int op_verify(struct error *e)
{
	struct verify_report report;

	return verify_store(operations_store, &(struct verify_options){ .read_contents = true },
			    ignore_finding, NULL, NULL, &report, e);
}

static bool stop_late(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	return done < total * 3 / 4;
}

/* One that is stopped, and is gone on with. */
static int op_verify_on(struct error *e)
{
	struct verify_options options = { .read_contents = true };
	struct verify_report report;
	int rc = verify_store(operations_store, &options, ignore_finding, stop_late, NULL, &report,
			      e);

	options.resume = true;
	if (rc == 0 || rc == -ECANCELED)
		rc = verify_store(operations_store, &options, ignore_finding, NULL, NULL, &report,
				  e);
	return rc;
}

static bool each_entry(void *arg, const char *name, const struct stat *st, uint64_t next)
{
	(void)st, (void)next;
	if (name[0] != '.')
		snprintf(arg, 512, "%s", name);
	return true;
}

static int list_folder(struct history *h, uint64_t node, char last[512], struct error *e)
{
	struct history_handle *handle = NULL;
	int rc = history_opendir(h, &nobody_else, node, &handle, e);

	if (rc == 0)
		rc = history_readdir(handle, 0, each_entry, last, e);
	history_release(handle);
	return rc;
}

/* Reads the beginning of what is below dir, folder and last of its entries (but for
 * directories). */
static int look_into(struct history *h, const char *folder, struct error *e)
{
	struct history_entry root, in = { 0 }, entry = { 0 };
	struct history_handle *handle = NULL;
	char last[512] = "", bytes[64];
	bool keep, direct;
	int rc = history_lookup(h, &nobody_else, ROOT_INODE, view_str(".history"), &root, e);

	if (rc == 0)
		rc = history_lookup(h, &nobody_else, root.node, view_str(folder), &in, e);
	if (rc == 0 && S_ISDIR(in.st.st_mode))
		rc = list_folder(h, in.node, last, e);
	if (rc < 0 || (S_ISDIR(in.st.st_mode) && !last[0]))
		return rc;
	if (last[0])
		rc = history_lookup(h, &nobody_else, in.node, view_str(last), &entry, e);
	if (rc == 0 && last[0] && S_ISDIR(entry.st.st_mode))
		return list_folder(h, entry.node, last, e);
	if (rc == 0)
		rc = history_open_file(h, &nobody_else, last[0] ? entry.node : in.node, &handle,
				       &keep, &direct, e);
	if (rc == 0)
		rc = history_read(handle, 0, bytes, sizeof(bytes), e);
	history_release(handle);
	return rc < 0 ? rc : 0;
}

static int op_history_tree(struct error *e)
{
	static const char *const folders[] = { "README.txt", "changes.csv", "files", "at",
					       "by",         "deleted",     "tags" };
	struct history *h = NULL;
	int rc = history_open(operations_store, NULL, &h, e);

	for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
		rc = look_into(h, folders[i], e);
	history_close(h);
	return rc;
}

/* ---- what the tools ask ---- */

static bool each_row(void *arg, const struct cell *cells, size_t count)
{
	(void)cells, (void)count;
	++*(unsigned *)arg;
	return true;
}

static int ask(const char *command, const char *argument, const char *value, const char *at,
	       struct error *e)
{
	unsigned rows = 0;
	struct control_context context = { .store = operations_store,
					   .who = &nobody_else,
					   .actor = anna };
	struct answer answer = { each_row, NULL, &rows };
	struct request request = { 0 };

	snprintf(request.command, sizeof(request.command), "%s", command);
	if (argument)
		request_add(&request, argument, view_str(value));
	if (at)
		request_add(&request, "at", view_str(at));
	int rc = control_run(&context, &request, &answer, e);
	if (rc == 0 && !rows)
		operations_fail("%s answered nothing and no error", command);
	return rc;
}

static int op_log(struct error *e) { return ask("log", "path", "", NULL, e); }
static int op_history(struct error *e) { return ask("history", "path", "tables", NULL, e); }
static int op_status(struct error *e) { return ask("status", NULL, NULL, NULL, e); }
static int op_tags(struct error *e) { return ask("tags", "path", "", NULL, e); }

static int op_restore_folder(struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct tag_record tag;
	char at[CLOCK_NAME_LEN + 1];
	int rc = tag_get(operations_store, ROOT_INODE, view_str("then"), &tag, &memory, e);

	if (rc < 0)
		return rc;
	clock_name(at, tag.time);
	return ask("restore", "path", "folder", at, e);
}

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

static int op_pack(struct error *e)
{
	struct pack_options options = { .age_ns = -1, .all = true, .pause = go_on };
	struct pack_report report;

	return pack_run(operations_store, &options, &report, e);
}

static int op_checkpoint(struct error *e)
{
	struct checkpoint checkpoint;
	int rc = checkpoint_make(operations_store, &checkpoint, e);

	return rc < 0 ? rc : checkpoint_drop(operations_store, checkpoint.name, e);
}

/* Copies a checkpoint to a directory of backups. */
static int op_backup(struct error *e)
{
	struct backups backups = { .fd = -1, .files_fd = -1, .lock_fd = -1 };
	struct backup made = { 0 };
	struct checkpoint checkpoint;
	struct store_facts facts;
	char from[4200], to[4200];
	int rc = store_facts(operations_store, &facts, e);

	snprintf(to, sizeof(to), "%s/backups", scratch_at);
	if (rc == 0)
		rc = checkpoint_make(operations_store, &checkpoint, e);
	if (rc < 0)
		return rc;
	snprintf(from, sizeof(from), "%s/%s", store_at, checkpoint.name);
	rc = backups_open(to, facts.id, true, &backups, e);
	made.change = checkpoint.change, made.time = checkpoint.time;
	snprintf(made.share, sizeof(made.share), "%s", facts.id);
	if (rc == 0)
		rc = backups_add(&backups, from, &made, NULL, NULL, e);
	backup_release(&made);
	backups_close(&backups);
	int dropped = checkpoint_drop(operations_store, checkpoint.name, e);
	return rc < 0 ? rc : dropped;
}

static void wipe(enum family family)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	CLEANUP(kv_iter_release)
	struct kv_iter *it =
		kv_iter_open(store_kv(operations_store), NULL, family, view_of(NULL, 0), false);
	struct view key;

	while (kv_iter_next(it, &key, NULL, NULL) > 0)
		kv_batch_delete(&batch, family, key);
	MUST(kv_write(store_kv(operations_store), &batch, e));
}

static void damage(void)
{
	wipe(FAMILY_BY_USER);
	wipe(FAMILY_LINK);
	wipe(FAMILY_BY_DIGEST);
}

static int op_repair(struct error *e)
{
	struct repair_report report;

	return repair_store(operations_store, &anna, false, NULL, NULL, &report, e);
}

/* ---- beginning and end ---- */

static int op_flush(struct error *e) { return kv_flush(store_kv(operations_store), e); }

static int op_close(struct error *e)
{
	(void)e;
	operations_close();
	return 0;
}

/* Opens a store that has unsaved bytes to recover. */
static int op_open(struct error *e) { return operations_open(e); }

static struct staging *adopted;

static bool adopt(void *arg, const struct staging_origin *origin, struct staging *staging,
		  bool dirty)
{
	*(uint64_t *)arg = origin->ino;
	adopted = staging;
	return dirty;
}

static void see_orphan(void *arg, uint64_t ino)
{
	(void)arg, (void)ino;
}

/* As a daemon that goes on where another one died: unsaved bytes are taken on, and saved later. */
static int op_take_over(struct error *e)
{
	struct store_options options = { .take_over = true };
	uint64_t ino = 0;
	struct take_over by = { adopt, see_orphan, &ino };
	struct saved saved;
	int rc = store_open(store_at, &options, &operations_store, e);

	adopted = NULL;
	if (rc < 0)
		return rc;
	rc = store_take_over(operations_store, &by, e);
	if (rc == 0 && !adopted)
		operations_fail("nothing was there to take over and no error");
	if (rc == 0)
		rc = save_staged(adopted, ino, false, &saved, e);
	if (rc == 0)
		staging_end(adopted);
	else
		staging_abandon(adopted);
	if (rc < 0)
		operations_close();
	return rc;
}

const struct operation operations[] = {
	{ "create", op_create, 0, NULL },
	{ "mkdir", op_mkdir, 0, NULL },
	{ "symlink", op_symlink, 0, NULL },
	{ "unnamed file", op_tmpfile, STEPS, NULL },
	{ "save", op_save, 0, NULL },
	{ "save of a large file", op_large, 0, NULL },
	{ "save past the log", op_past_log, STEPS, NULL },
	{ "early contents", op_early, STEPS, NULL },
	{ "saves of an open file", op_publish, STEPS, NULL },
	{ "rename over", op_rename, STEPS, NULL },
	{ "exchange", op_exchange, 0, NULL },
	{ "move of a folder", op_move, 0, NULL },
	{ "unlink", op_unlink, STEPS, NULL },
	{ "link", op_link, 0, NULL },
	{ "rmdir", op_rmdir, 0, NULL },
	{ "chmod", op_chmod, 0, NULL },
	{ "setxattr", op_setxattr, 0, NULL },
	{ "removexattr", op_removexattr, 0, NULL },
	{ "restore", op_restore, 0, NULL },
	{ "restore beside", op_restore_beside, STEPS, NULL },
	{ "restore of a folder", op_restore_folder, STEPS, NULL },
	{ "tag", op_tag, 0, NULL },
	{ "untag", op_untag, 0, NULL },
	{ "listings", op_list, 0, NULL },
	{ "history tree", op_history_tree, 0, NULL },
	{ "log", op_log, 0, NULL },
	{ "history", op_history, 0, NULL },
	{ "status", op_status, 0, NULL },
	{ "tags", op_tags, 0, NULL },
	{ "verify", op_verify, 0, NULL },
	{ "verify and go on", op_verify_on, 0, NULL },
	{ "pack", op_pack, STEPS, NULL },
	{ "checkpoint", op_checkpoint, 0, NULL },
	{ "backup", op_backup, STEPS, NULL },
	{ "repair", op_repair, STEPS | REPAIRS, damage },
	{ "flush", op_flush, 0, NULL },
	{ "close", op_close, STEPS, NULL },
	{ "open and recovery", op_open, OPENS | STEPS, NULL },
	{ "take over", op_take_over, OPENS | STEPS, NULL },
};
const size_t operation_count = sizeof(operations) / sizeof(operations[0]);

/* ---- before and after ---- */

static const char *table(unsigned n)
{
	static char text[16384];
	size_t at = 0;

	for (unsigned i = 0; i < TABLE_LINES; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%u;%u;%u\n", i,
				       i == n ? n : 0, (i + 1) * 2654435761u);
	return text;
}

static void make_file(uint64_t parent, const char *name, const char *path, const char *text)
{
	MUST(make(parent, name, S_IFREG | 0644, e));
	MUST(operations_save(path, text, e));
}

static void fill_folder(void)
{
	uint64_t folder = 0, gone, change;

	MUST(make(ROOT_INODE, "folder", S_IFDIR | 0755, e));
	MUST(ino_of("folder", &folder, e));
	make_file(folder, "changed", "folder/changed", "as it was");
	make_file(folder, "removed", "folder/removed", "as it was");
	MUST(tag_set(operations_store, &anna, ROOT_INODE, view_str("then"), &change, e));
	usleep(1100000); /* until that second is over */
	MUST(operations_save("folder/changed", "as it is", e));
	MUST(namespace_unlink(operations_store, &anna, folder, view_str("removed"), &gone, e));
	MUST(namespace_drop_orphan(operations_store, gone, e));
	make_file(folder, "added", "folder/added", "new");
}

static void leave_unsaved(void)
{
	struct inode *inode = NULL;
	struct staging *unsaved;

	MUST(namespace_walk(operations_store, view_str("unsaved"), &inode, e));
	struct staging_origin origin = origin_of(inode);
	MUST(staging_begin(store_journals(operations_store), &origin, &unsaved, e));
	MUST(staging_write(unsaved, 0, "unsaved bytes", 13, e));
	staging_abandon(unsaved);
	inode_put(inode);
}

void operations_prepare(const char *path)
{
	uint64_t change, ino;

	operations_at(path, path);
	MUST(store_init(path, 0755, 0, 0, e));
	MUST(operations_open(e));
	make_file(ROOT_INODE, "kept", "kept", "text that was synced");
	make_file(ROOT_INODE, "a", "a", "text of a");
	make_file(ROOT_INODE, "b", "b", "text of b");
	MUST(make(ROOT_INODE, "dir", S_IFDIR | 0755, e));
	MUST(make(ROOT_INODE, "unsaved", S_IFREG | 0644, e));
	MUST(make(ROOT_INODE, "tables", S_IFREG | 0644, e));
	for (unsigned i = 0; i < TABLES; i++)
		MUST(operations_save("tables", table(i), e));
	MUST(ino_of("b", &ino, e));
	MUST(namespace_setxattr(operations_store, &anna, ino, view_str("user.was"), view_str("z"),
				0, e));
	MUST(tag_set(operations_store, &anna, ROOT_INODE, view_str("tag"), &change, e));
	fill_folder();
	MUST(store_sync(operations_store, e));
	leave_unsaved();
}

void operations_check_text(const char *name, uint64_t number, const char *text)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct digest digest = digest_of(view_str(text));
	struct version_record v;

	MUST(namespace_walk(operations_store, view_str(name), &inode, e));
	MUST(version_get(operations_store, inode->r.doc, number, &v, &memory, e));
	if (!digest_equal(&v.digest, &digest))
		operations_fail("%s: version %" PRIu64 " is another", name, number);
}

void operations_check(const char *when)
{
	struct verify_report report;
	struct error e = { 0 };
	char last[512] = "";
	struct verify_options options = { .read_contents = true };

	if (verify_store(operations_store, &options, ignore_finding, NULL, last, &report, &e) < 0)
		operations_fail("it does not verify %s: %s: %s", when, e.text, last);
	operations_check_text("kept", 1, "text that was synced");
	operations_check_text("tables", 1, table(0));
	operations_check_text("unsaved", 1, "unsaved bytes");
}

uint64_t operations_fingerprint(void)
{
	XXH3_state_t *hash = XXH3_createState();
	struct view key, value;

	XXH3_64bits_reset(hash);
	for (int family = 0; family < FAMILY_COUNT; family++) {
		CLEANUP(kv_iter_release) struct kv_iter *it = NULL;

		if (family == FAMILY_CHUNK || family == FAMILY_CHUNK_NAME)
			continue;
		it = kv_iter_open(store_kv(operations_store), NULL, (enum family)family,
				  view_of(NULL, 0), false);
		while (kv_iter_next(it, &key, &value, NULL) > 0) {
			XXH3_64bits_update(hash, key.data, key.len);
			XXH3_64bits_update(hash, value.data, value.len);
		}
	}
	uint64_t result = XXH3_64bits_digest(hash);
	XXH3_freeState(hash);
	return result;
}
