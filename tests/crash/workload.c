/* workload.c DIRECTORY SEED STEPS - makes a store and works in it as the daemon does, telling the
 * trace what it was promised; run under record.c.  With STEPS 0 it only opens the store, lets it
 * recover, and closes it.
 *
 * What it tells (`check.c` reads it):
 *   open                                   store_init() has returned
 *   may INO DIGEST                         what follows may make the file these bytes
 *   bytes INO DIGEST                       the file has these bytes: the write has returned
 *   gone INO                               what follows may remove the file
 *   done CHANGE                            the change has returned
 *   save DOC NUMBER CHANGE UID DIGEST      a save has returned
 *   durable CHANGE                         a sync has returned that began after this change */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "store/changelog.h"
#include "store/checkpoint.h"
#include "store/clock.h"
#include "store/control.h"
#include "store/digest.h"
#include "store/namespace.h"
#include "store/repair.h"
#include "store/tag.h"
#include "store/timeline.h"
#include "store/verify.h"
#include "store/version.h"
#include "tests/crash/early.h"
#include "tests/crash/packing.h"
#include "tests/crash/trace.h"
#include "tests/unit/noise.h"

#define SECOND_EVERY 50 /* steps */
#define FILES_MAX 12
#define DIRS_MAX 3
#define FILE_BYTES_MAX (64u << 10)
#define EARLY_BYTES (16u << 10) /* of a segment that becomes content early */
/* More than a batch holds, so that chunks are written before the save. */
#define LARGE_BYTES (5u << 18)

static const struct actor people[] = {
	{ .uid = 4001,
	  .gid = 4001,
	  .tgid = 101,
	  .name = { "anna", 4 },
	  .command = { "soffice.bin", 11 } },
	{ .uid = 4002, .gid = 4002, .tgid = 102, .name = { "ben", 3 }, .command = { "vim", 3 } },
};

/* A file as it should be. */
struct file {
	uint64_t ino, parent;
	char name[32];
	struct buf bytes;
	struct staging *staging; /* held open by its writer between steps */
	const struct actor *writer;
};

static struct store *store;
static const char *path;
static uint64_t seed;
static struct file files[FILES_MAX];
static uint64_t dirs[DIRS_MAX]; /* 0: not there */

#define TRY(call) \
	do { \
		struct error e_ = { 0 }, *e = &e_; \
		int rc_ = (call); \
		if (rc_ < 0) { \
			fprintf(stderr, "workload: %s: %d %s\n", #call, rc_, e_.text); \
			abort(); \
		} \
	} while (0)

static unsigned pick(unsigned n)
{
	return (unsigned)noise_below(&seed, n);
}

static void done(void)
{
	uint64_t change;
	int64_t time;

	store_head(store, &change, &time);
	trace_ack("done %llu", (unsigned long long)change);
}

static void sync_all(void)
{
	uint64_t change;
	int64_t time;

	store_head(store, &change, &time);
	TRY(store_sync(store, e));
	trace_ack("durable %llu", (unsigned long long)change);
}

static void tell_bytes(const char *word, const struct file *f)
{
	struct digest digest = digest_of(buf_view(&f->bytes));
	char hex[2 * DIGEST_LEN + 1];

	hex_encode(hex, &digest, DIGEST_LEN);
	trace_ack("%s %llu %s", word, (unsigned long long)f->ino, hex);
}

static void open_store(void)
{
	/* Small, so that memtables are written out often. */
	struct store_options options = { .cache_bytes = 1 << 20 };

	content_past_log_from(24 << 10);
	TRY(store_open(path, &options, &store, e));
	done();
}

/* ---- bytes ---- */

static void resize(struct buf *b, size_t n)
{
	size_t was = b->len;

	b->len = n < was ? n : was;
	if (n > was && !memset(buf_grow(b, n - was), 0, n - was))
		abort();
}

static void write_at(struct file *f, size_t at, size_t n)
{
	uint8_t *data = malloc(n + 8);

	noise_fill(data, n, noise_next(&seed));
	if (at + n > f->bytes.len)
		resize(&f->bytes, at + n);
	memcpy(f->bytes.data + at, data, n);
	tell_bytes("may", f);
	TRY(staging_write(f->staging, at, data, n, e));
	tell_bytes("bytes", f);
	free(data);
}

static void write_some(struct file *f, size_t most)
{
	write_at(f, pick((unsigned)f->bytes.len + 1), 1 + pick((unsigned)most));
}

static void write_in_order(struct file *f)
{
	content_segments_of(EARLY_BYTES);
	for (size_t at = 0, n, end = EARLY_BYTES * (1 + pick(3)) + 9; at < end; at += n) {
		n = 1 + pick(9000);
		write_at(f, at, n);
		if (pick(4) == 0 || at + n >= end)
			TRY(early_make(store, f->staging, e));
	}
	content_segments_of(CONTENT_SEGMENT_MAX);
}

static void cut_some(struct file *f)
{
	size_t size = pick(2) ? 0 : pick(FILE_BYTES_MAX);

	resize(&f->bytes, size);
	tell_bytes("may", f);
	TRY(staging_truncate(f->staging, size, e));
	tell_bytes("bytes", f);
}

static void zero_some(struct file *f)
{
	size_t at = pick((unsigned)f->bytes.len + 1), n = 1 + pick(5000);

	if (at + n > f->bytes.len)
		resize(&f->bytes, at + n);
	memset(f->bytes.data + at, 0, n);
	tell_bytes("may", f);
	TRY(staging_zero(f->staging, at, n, false, e));
	tell_bytes("bytes", f);
}

/* Takes the bytes of another file's saved content, as cp does. */
static void share_some(struct file *f)
{
	struct file *other = &files[pick(FILES_MAX)];
	struct inode *inode = NULL;

	if (!other->ino || other == f || other->staging)
		return;
	TRY(inode_get(store, other->ino, &inode, e));
	if (inode->r.content) {
		if (f->bytes.len < inode->r.size)
			resize(&f->bytes, inode->r.size);
		TRY(content_read(store_contents(store), inode->r.content, 0, f->bytes.data,
				 inode->r.size, e));
		tell_bytes("may", f);
		TRY(staging_share(f->staging, 0, inode->r.size, inode->r.content, 0, e));
		tell_bytes("bytes", f);
	}
	inode_put(inode);
}

static struct staging_origin origin_of(const struct file *f, const struct actor *who,
				       uint64_t content, uint64_t size)
{
	struct staging_origin origin = { .ino = f->ino,
					 .content = content,
					 .size = size,
					 .uid = who->uid,
					 .gid = who->gid,
					 .tgid = who->tgid,
					 .author = who->name,
					 .command = who->command };

	store_date_origin(store, &origin);
	return origin;
}

static void begin(struct file *f, const struct actor *who)
{
	struct inode *inode = NULL;

	TRY(inode_get(store, f->ino, &inode, e));
	struct staging_origin origin = origin_of(f, who, inode->r.content, inode->r.size);
	TRY(staging_begin(store_journals(store), &origin, &f->staging, e));
	f->writer = who;
	inode_put(inode);
}

static void change_bytes(struct file *f)
{
	for (unsigned n = 1 + pick(4); n > 0; n--) {
		switch (pick(8)) {
		case 0: cut_some(f); break;
		case 1: zero_some(f); break;
		case 2: share_some(f); break;
		case 3: write_in_order(f); break;
		default: write_some(f, pick(3) ? 3000 : 20000);
		}
	}
}

static void tell_save(const struct saved *saved, const struct actor *who)
{
	struct buf memory = { 0 };
	struct version_record v;
	char hex[2 * DIGEST_LEN + 1];

	if (saved->unchanged) {
		done();
		return;
	}
	TRY(version_get(store, saved->doc, saved->number, &v, &memory, e));
	hex_encode(hex, &v.digest, DIGEST_LEN);
	trace_ack("save %llu %llu %llu %u %s", (unsigned long long)saved->doc,
		  (unsigned long long)saved->number, (unsigned long long)v.change, who->uid, hex);
	buf_release(&memory);
}

/* Saves; the journal ends, or goes on. */
static void save(struct file *f, bool fold, bool go_on)
{
	struct work work = staging_work(f->staging);
	struct save what = { .work = &work, .fold = fold };
	struct digest digest = digest_of(buf_view(&f->bytes));
	struct content_ref content;
	struct saved saved;

	TRY(version_save(store, f->writer, f->ino, &what, &saved, e));
	TRY(content_stat(store_contents(store), saved.content, &content, e));
	if (!digest_equal(&digest, &content.digest)) {
		fprintf(stderr, "workload: %s: saved other bytes than were written\n", f->name);
		abort();
	}
	tell_save(&saved, f->writer);
	struct staging_origin origin = origin_of(f, f->writer, saved.content, saved.size);
	if (go_on) {
		TRY(staging_rebase(f->staging, &origin, e));
	} else {
		staging_end(f->staging);
		f->staging = NULL;
	}
	if (pick(5) < 3)
		sync_all();
}

/* ---- names ---- */

static uint64_t a_directory(void)
{
	uint64_t dir = dirs[pick(DIRS_MAX)];

	return dir ? dir : ROOT_INODE;
}

static void make_file(struct file *f, uint64_t parent, const char *name, const struct actor *who)
{
	struct make make = { .mode = S_IFREG | 0644, .uid = who->uid, .gid = who->gid };
	struct inode *inode = NULL;

	TRY(namespace_make(store, who, parent, view_str(name), &make, &inode, e));
	*f = (struct file){ .ino = inode->r.ino, .parent = parent };
	snprintf(f->name, sizeof(f->name), "%s", name);
	inode_put(inode);
	tell_bytes("bytes", f);
	done();
}

static void end_writing(struct file *f)
{
	if (f->staging)
		save(f, true, false);
}

static void unlink_file(struct file *f)
{
	uint64_t ino;

	end_writing(f);
	trace_ack("gone %llu", (unsigned long long)f->ino);
	TRY(namespace_unlink(store, &people[pick(2)], f->parent, view_str(f->name), &ino, e));
	TRY(namespace_drop_orphan(store, ino, e));
	done();
	buf_release(&f->bytes);
	*f = (struct file){ 0 };
}

static void rename_file(struct file *f, uint64_t parent, const char *name, struct file *over)
{
	uint64_t replaced;

	end_writing(f);
	if (over) {
		end_writing(over);
		trace_ack("gone %llu", (unsigned long long)over->ino);
	}
	TRY(namespace_rename(store, &people[pick(2)], f->parent, view_str(f->name), parent,
			     view_str(name), 0, 0, &replaced, e));
	if (replaced)
		TRY(namespace_drop_orphan(store, replaced, e));
	done();
	f->parent = parent;
	snprintf(f->name, sizeof(f->name), "%s", name);
	if (over) {
		buf_release(&over->bytes);
		*over = *f;
		*f = (struct file){ 0 };
	}
}

/* A temporary file is written and renamed over. */
static void save_by_rename(struct file *f, const struct actor *who)
{
	struct file temporary;
	char name[32];

	snprintf(name, sizeof(name), "lu%u.tmp", pick(100000));
	make_file(&temporary, f->parent, name, who);
	begin(&temporary, who);
	change_bytes(&temporary);
	save(&temporary, false, false);
	snprintf(name, sizeof(name), "%s", f->name);
	rename_file(&temporary, f->parent, name, f);
	if (pick(2))
		sync_all();
}

/* The file is renamed to a backup, written anew, and the backup removed. */
static void save_by_backup(struct file *f, const struct actor *who)
{
	struct file backup = *f;
	char name[32], backup_name[40];

	snprintf(name, sizeof(name), "%s", f->name);
	snprintf(backup_name, sizeof(backup_name), "%.20s~%u", f->name, pick(100000));
	rename_file(&backup, f->parent, backup_name, NULL);
	make_file(f, backup.parent, name, who);
	begin(f, who);
	change_bytes(f);
	save(f, false, false);
	unlink_file(&backup);
}

static void change_attributes(struct file *f, const struct actor *who)
{
	struct attributes set = {
		.set_mode = true, .mode = pick(2) ? 0640 : 0664, .set_mtime = pick(2), .mtime = 77
	};
	uint8_t value[600];
	struct inode *inode = NULL;

	noise_fill(value, sizeof(value), noise_next(&seed));
	TRY(namespace_setattr(store, who, f->ino, &set, &inode, e));
	inode_put(inode);
	done();
	TRY(namespace_setxattr(store, who, f->ino, view_str("user.mark"),
			       view_of(value, 1 + pick(600)), 0, e));
	done();
	if (pick(3) == 0) {
		TRY(namespace_removexattr(store, who, f->ino, view_str("user.mark"), e));
		done();
	}
}

static void link_and_unlink(struct file *f, const struct actor *who)
{
	struct inode *inode = NULL;
	uint64_t ino;
	char name[32];

	end_writing(f);
	snprintf(name, sizeof(name), "link%u", pick(100000));
	TRY(namespace_link(store, who, f->ino, a_directory(), view_str(name), &inode, e));
	uint64_t parent = inode->r.parent;
	inode_put(inode);
	done();
	for (unsigned i = 0; i < DIRS_MAX + 1; i++) { /* it is in one of them */
		struct dirent_record dirent;

		parent = i < DIRS_MAX ? dirs[i] : ROOT_INODE;
		if (parent && namespace_lookup(store, parent, view_str(name), &dirent, NULL) == 0)
			TRY(namespace_unlink(store, who, parent, view_str(name), &ino, e));
	}
	done();
}

static void restore_some(struct file *f, const struct actor *who)
{
	struct inode *inode = NULL;
	struct buf memory = { 0 };
	struct version_record v;
	struct saved saved;

	end_writing(f);
	TRY(inode_get(store, f->ino, &inode, e));
	uint64_t doc = inode->r.doc, head = inode->r.version;
	inode_put(inode);
	uint64_t number = head ? 1 + pick((unsigned)head) : 0;
	if (!number || version_get(store, doc, number, &v, &memory, NULL) < 0) {
		buf_release(&memory);
		return;
	}
	buf_clear(&f->bytes);
	if (v.size)
		TRY(content_read(store_contents(store), v.content, 0, buf_grow(&f->bytes, v.size),
				 v.size, e));
	buf_release(&memory);
	tell_bytes("may", f);
	TRY(version_restore(store, who, f->ino, doc, number, &saved, e));
	tell_bytes("bytes", f);
	tell_save(&saved, who);
}

static void change_directories(const struct actor *who)
{
	struct make make = { .mode = S_IFDIR | 0755, .uid = who->uid, .gid = who->gid };
	struct inode *inode = NULL;
	unsigned which = pick(DIRS_MAX);
	char name[16];
	bool used = false;

	snprintf(name, sizeof(name), "dir%u", which);
	for (size_t i = 0; i < FILES_MAX; i++)
		used |= files[i].ino && files[i].parent == dirs[which];
	if (dirs[which] && used)
		return;
	if (dirs[which]) {
		TRY(namespace_rmdir(store, who, ROOT_INODE, view_str(name), e));
		dirs[which] = 0;
	} else {
		TRY(namespace_make(store, who, ROOT_INODE, view_str(name), &make, &inode, e));
		dirs[which] = inode->r.ino;
		inode_put(inode);
	}
	done();
}

static void change_tags(const struct actor *who)
{
	uint64_t instant;
	char name[24];

	snprintf(name, sizeof(name), "tag %u", pick(4));
	if (tag_set(store, who, ROOT_INODE, view_str(name), &instant, NULL) < 0)
		tag_remove(store, &people[0], ROOT_INODE, view_str(name), NULL);
	done();
}

/* ---- a folder that is put back ---- */

/* A file that nothing is promised about but what the log and the tree say. */
static void save_untold(uint64_t parent, const char *name, const struct actor *who)
{
	struct make make = { .mode = S_IFREG | 0644, .uid = who->uid, .gid = who->gid };
	struct dirent_record dirent;
	struct inode *inode = NULL;
	struct file f = { .parent = parent };
	uint8_t bytes[3000];

	if (namespace_lookup(store, parent, view_str(name), &dirent, NULL) == 0) {
		f.ino = dirent.ino;
	} else {
		TRY(namespace_make(store, who, parent, view_str(name), &make, &inode, e));
		f.ino = inode->r.ino;
		inode_put(inode);
	}
	noise_fill(bytes, sizeof(bytes), noise_next(&seed));
	begin(&f, who);
	TRY(staging_write(f.staging, 0, bytes, 1 + pick(sizeof(bytes)), e));
	struct work work = staging_work(f.staging);
	struct save what = { .work = &work };
	struct saved saved;
	TRY(version_save(store, who, f.ino, &what, &saved, e));
	staging_end(f.staging);
	done();
}

static void change_folder(const struct actor *who)
{
	struct make make = { .mode = S_IFDIR | 0755, .uid = who->uid, .gid = who->gid };
	struct dirent_record dirent;
	struct inode *inode = NULL;
	char name[16];

	if (namespace_lookup(store, ROOT_INODE, view_str("folder"), &dirent, NULL) < 0) {
		TRY(namespace_make(store, who, ROOT_INODE, view_str("folder"), &make, &inode, e));
		dirent.ino = inode->r.ino;
		inode_put(inode);
	}
	for (unsigned n = 1 + pick(3); n > 0; n--) {
		snprintf(name, sizeof(name), "part%u", pick(5));
		save_untold(dirent.ino, name, who);
	}
	snprintf(name, sizeof(name), "part%u", pick(5));
	uint64_t folder = dirent.ino, gone;
	if (pick(2) && namespace_unlink(store, who, folder, view_str(name), &gone, NULL) == 0)
		TRY(namespace_drop_orphan(store, gone, e));
	done();
}

static bool any_row(void *arg, const struct cell *cells, size_t count)
{
	(void)arg, (void)cells, (void)count;
	return true;
}

/* As it was some changes ago, when it was. */
static void restore_folder(const struct actor *who)
{
	uint64_t change;
	int64_t time;

	static const struct credentials root = { 0, 0, 0, NULL };
	struct control_context context = { .store = store, .who = &root, .actor = *who };
	struct answer answer = { any_row, NULL, NULL };
	struct request request = { .command = "restore" };
	char at[CLOCK_NAME_LEN + 1];

	store_head(store, &change, &time);
	TRY(timeline_time(store, 1 + pick((unsigned)change), &time, e));
	clock_name(at, time);
	request_add(&request, "path", view_str("folder"));
	request_add(&request, "at", view_str(at));
	control_run(&context, &request, &answer, NULL);
	done();
}

/* ---- what goes on beside ---- */

static bool no_finding(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "workload: verify: %s\n", sentence);
	return true;
}

static bool stop_soon(void *arg, uint64_t all, uint64_t total)
{
	(void)arg;
	return all < total / 2;
}

/* One that is stopped keeps how far it came, and the next goes on from there. */
static void verify_in_parts(void)
{
	struct verify_options options = { .read_contents = true };
	struct verify_report report;

	verify_store(store, &options, no_finding, stop_soon, NULL, &report, NULL);
	options.resume = true;
	TRY(verify_store(store, &options, no_finding, NULL, NULL, &report, e));
}

static void keep_house(const struct actor *who)
{
	struct checkpoint checkpoint;
	struct repair_report report;

	switch (pick(3)) {
	case 0:
		verify_in_parts();
		break;
	case 1:
		TRY(checkpoint_make(store, &checkpoint, e));
		TRY(checkpoint_drop(store, checkpoint.name, e));
		break;
	default:
		packing_end(); /* it wants a store that nobody else uses */
		TRY(repair_store(store, who, false, NULL, NULL, &report, e));
		done();
		packing_begin(store);
	}
}

/* ---- the whole ---- */

static bool adopt(void *arg, const struct staging_origin *origin, struct staging *staging,
		  bool dirty)
{
	(void)arg, (void)dirty;
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (files[i].ino == origin->ino && files[i].writer) {
			files[i].staging = staging;
			return true;
		}
	}
	return false;
}

static void keep_orphan(void *arg, uint64_t ino)
{
	(void)arg, (void)ino;
}

/* Ends the store without saving what is staged, as a daemon does that cannot save.  Then recovery
 * has it; or another process takes over, and goes on with the journals. */
static void reopen(bool take_over)
{
	struct store_options options = { .cache_bytes = 1 << 20, .take_over = true };
	struct take_over by = { adopt, keep_orphan, NULL };

	packing_end();
	for (size_t i = 0; i < FILES_MAX; i++) {
		files[i].writer = files[i].staging ? files[i].writer : NULL;
		staging_abandon(files[i].staging);
		files[i].staging = NULL;
	}
	store_close(store);
	if (take_over) {
		TRY(store_open(path, &options, &store, e));
		TRY(store_take_over(store, &by, e));
		done();
	} else {
		open_store();
	}
	packing_begin(store);
}

static void large_file(const struct actor *who)
{
	struct file f;
	char name[32];

	snprintf(name, sizeof(name), "large%u", pick(100000));
	make_file(&f, ROOT_INODE, name, who);
	begin(&f, who);
	resize(&f.bytes, LARGE_BYTES);
	noise_fill(f.bytes.data, LARGE_BYTES, noise_next(&seed));
	tell_bytes("may", &f);
	TRY(staging_write(f.staging, 0, f.bytes.data, LARGE_BYTES, e));
	tell_bytes("bytes", &f);
	save(&f, false, true);
	write_some(&f, 20000);
	save(&f, true, false);
	unlink_file(&f);
}

static void step(void)
{
	const struct actor *who = &people[pick(2)];
	struct file *f = &files[pick(FILES_MAX)];
	char name[32];

	if (!f->ino) {
		snprintf(name, sizeof(name), "file%u.xlsx", pick(100000));
		make_file(f, a_directory(), name, who);
		return;
	}
	switch (pick(27)) {
	case 0: case 1: save_by_rename(f, who); break;
	case 2: case 3: save_by_backup(f, who); break;
	case 4: unlink_file(f); break;
	case 5:
		snprintf(name, sizeof(name), "moved%u", pick(100000));
		rename_file(f, a_directory(), name, NULL);
		break;
	case 6: case 7: end_writing(f); change_attributes(f, who); break;
	case 8: link_and_unlink(f, who); break;
	case 9: restore_some(f, who); break;
	case 10: case 11: change_directories(who); break;
	case 12: change_tags(who); break;
	case 13: TRY(kv_flush(store_kv(store), e)); break;
	case 14: if (pick(4) == 0) reopen(pick(2)); break;
	case 15: if (pick(4) == 0) large_file(who); break;
	case 16: change_folder(who); break;
	case 17: restore_folder(who); break;
	case 18: if (pick(3) == 0) keep_house(who); break;
	default:
		if (f->staging && f->writer != who)
			end_writing(f);
		if (!f->staging)
			begin(f, who);
		change_bytes(f);
		if (pick(4))
			save(f, false, pick(2));
	}
}

/* Several at once, each with a file of its own and every save durable: their syncs are shared. */
static void *saver(void *arg)
{
	struct file *f = arg;
	uint64_t own = f->ino;

	for (unsigned i = 0; i < 8; i++) {
		struct saved saved;
		uint64_t change;
		int64_t time;

		begin(f, f->writer);
		resize(&f->bytes, 6000);
		noise_fill(f->bytes.data, 6000, noise_next(&own));
		tell_bytes("may", f);
		TRY(staging_write(f->staging, 0, f->bytes.data, f->bytes.len, e));
		tell_bytes("bytes", f);
		struct work work = staging_work(f->staging);
		struct save what = { .work = &work };
		TRY(version_save(store, f->writer, f->ino, &what, &saved, e));
		tell_save(&saved, f->writer);
		staging_end(f->staging);
		f->staging = NULL;
		store_head(store, &change, &time);
		TRY(store_sync(store, e));
		trace_ack("durable %llu", (unsigned long long)change);
	}
	return NULL;
}

static void save_at_once(void)
{
	struct file at_once[3];
	pthread_t threads[3];
	char name[32];

	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "shared%u.%zu", pick(100000), i);
		make_file(&at_once[i], ROOT_INODE, name, &people[i % 2]);
		at_once[i].writer = &people[i % 2];
	}
	for (size_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, saver, &at_once[i]);
	for (size_t i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		buf_release(&at_once[i].bytes);
	}
}

int main(int argc, char **argv)
{
	unsigned steps = argc == 4 ? (unsigned)atoi(argv[3]) : 0;

	if (argc != 4)
		return fprintf(stderr, "usage: workload DIRECTORY SEED STEPS\n"), 2;
	path = argv[1];
	seed = strtoull(argv[2], NULL, 10);
	if (steps) {
		TRY(store_init(path, 0755, 0, 0, e));
		trace_ack("open");
	}
	open_store();
	if (steps)
		packing_begin(store);
	for (unsigned i = 0; i < steps; i++) {
		if (i == steps / 2)
			save_at_once();
		if (i % SECOND_EVERY == SECOND_EVERY - 1) /* "as it was then" is by the second */
			usleep(1000000 - (useconds_t)(clock_now() % NS_PER_SECOND / 1000));
		step();
	}
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (steps && files[i].ino)
			end_writing(&files[i]);
		buf_release(&files[i].bytes);
	}
	packing_end();
	store_close(store);
	return 0;
}
