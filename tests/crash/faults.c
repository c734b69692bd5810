/* faults.c DIRECTORY - every operation of a store with every call that touches its directory failing in its turn; run
 * under record.c with CRASH_ROOT=DIRECTORY.  TAP: a point for each operation and fault.
 *
 * For each operation and each way to fail the n-th call fails, n being raised until the operation goes through without
 * the fault.  An operation that fails has a code that fits and a sentence.  Then, the disk being well again, the store
 * verifies as it stands and after it was opened anew, and has what had been saved and synced: before, and by an
 * operation that said it had succeeded.  FAULTS=save: only operations whose name has this in it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "store/changelog.h"
#include "store/digest.h"
#include "store/tag.h"
#include "store/timeline.h"
#include "store/verify.h"
#include "store/version.h"

#define CALLS_MAX 400
#define SECONDS_MAX 60

static const struct actor anna = { .uid = 4001, .gid = 4001, .tgid = 101, .name = { "anna", 4 }, .command = { "vim", 3 } };
static const char *root;
static struct store *store;

static void path_of(char out[4096], const char *name)
{
	snprintf(out, 4096, "%s/%s", root, name);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
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

#define MUST(call) \
	do { \
		struct error e_ = { 0 }, *e = &e_; \
		int rc_ = (call); \
		if (rc_ < 0) \
			fail("%s: %d %s", #call, rc_, e_.text); \
	} while (0)

/* ---- operations ---- */

static uint64_t ino_of(const char *name)
{
	struct dirent_record dirent = { 0 };

	namespace_lookup(store, ROOT_INODE, view_str(name), &dirent, NULL);
	return dirent.ino;
}

static int make(const char *name, uint32_t mode, struct error *e)
{
	struct make what = { .mode = mode, .uid = anna.uid, .gid = anna.gid, .target = view_str(S_ISLNK(mode) ? "x" : "") };
	struct inode *inode = NULL;
	int rc = namespace_make(store, &anna, ROOT_INODE, view_str(name), &what, &inode, e);

	inode_put(inode);
	return rc;
}

/* As the daemon saves: a journal, a version, the journal's end. */
static int save_text(const char *name, const char *text, struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct staging_origin origin = { .uid = anna.uid, .author = anna.name };
	struct staging *staging = NULL;
	struct saved saved;
	int rc = inode_get(store, ino_of(name), &inode, e);

	if (rc < 0)
		return rc;
	origin.ino = inode->r.ino, origin.content = inode->r.content, origin.size = inode->r.size;
	store_date_origin(store, &origin);
	rc = staging_begin(store_staging_fd(store), &origin, &staging, e);
	if (rc == 0)
		rc = staging_write(staging, 0, text, strlen(text), e);
	if (rc == 0) {
		struct work work = staging_work(staging);
		struct save save = { .work = &work };

		rc = version_save(store, &anna, origin.ino, &save, &saved, e);
	}
	if (rc == 0)
		staging_end(staging);
	else
		staging_abandon(staging);
	return rc;
}

static int op_create(struct error *e) { return make("new", S_IFREG | 0644, e); }
static int op_mkdir(struct error *e) { return make("newdir", S_IFDIR | 0755, e); }
static int op_symlink(struct error *e) { return make("newlink", S_IFLNK | 0777, e); }
static int op_save(struct error *e) { return save_text("b", "second text of b", e); }

static int op_large(struct error *e)
{
	size_t n = 3 << 19;
	char *text = malloc(n + 1);

	for (size_t i = 0; text && i < n; i++)
		text[i] = (char)('a' + (i * i >> 7) % 23);
	if (!text)
		return -ENOMEM;
	text[n] = '\0';
	int rc = save_text("b", text, e);
	free(text);
	return rc;
}

static int op_rename(struct error *e)
{
	uint64_t replaced;
	int rc = namespace_rename(store, &anna, ROOT_INODE, view_str("b"), ROOT_INODE, view_str("a"), 0, 0, &replaced, e);

	return rc < 0 || !replaced ? rc : namespace_drop_orphan(store, replaced, e);
}

static int op_unlink(struct error *e)
{
	uint64_t ino;
	int rc = namespace_unlink(store, &anna, ROOT_INODE, view_str("b"), &ino, e);

	return rc < 0 ? rc : namespace_drop_orphan(store, ino, e);
}

static int op_link(struct error *e)
{
	struct inode *inode = NULL;
	int rc = namespace_link(store, &anna, ino_of("b"), ROOT_INODE, view_str("another"), &inode, e);

	inode_put(inode);
	return rc;
}

static int op_rmdir(struct error *e) { return namespace_rmdir(store, &anna, ROOT_INODE, view_str("dir"), e); }

static int op_chmod(struct error *e)
{
	struct attributes set = { .set_mode = true, .mode = 0600 };
	struct inode *inode = NULL;
	int rc = namespace_setattr(store, &anna, ino_of("b"), &set, &inode, e);

	inode_put(inode);
	return rc;
}

static int op_setxattr(struct error *e)
{
	return namespace_setxattr(store, &anna, ino_of("b"), view_str("user.x"), view_str("y"), 0, e);
}

static int op_removexattr(struct error *e)
{
	return namespace_removexattr(store, &anna, ino_of("b"), view_str("user.was"), e);
}

static int op_restore(struct error *e)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	struct saved saved;
	int rc = inode_get(store, ino_of("b"), &inode, e);

	return rc < 0 ? rc : version_restore(store, &anna, inode->r.ino, inode->r.doc, 1, &saved, e);
}

static int op_tag(struct error *e)
{
	uint64_t change;

	return tag_set(store, &anna, ROOT_INODE, view_str("new tag"), &change, e);
}

static int op_untag(struct error *e) { return tag_remove(store, &anna, ROOT_INODE, view_str("tag"), e); }

static bool each_name(void *arg, struct view name, uint64_t cookie, const struct dirent_record *dirent)
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
	int rc = timeline_names(store, ROOT_INODE, 0, 3, each_name, &names, e);

	if (rc == 0)
		rc = changelog_each(store, &all, each_change, &changes, e);
	if (rc == 0 && (!names || !changes))
		fail("a listing was empty and no error");
	return rc;
}

static bool ignore_finding(void *arg, const char *sentence)
{
	(void)arg, (void)sentence;
	return true;
}

static int op_verify(struct error *e)
{
	struct verify_report report;

	return verify_store(store, &(struct verify_options){ .read_contents = true }, ignore_finding, NULL, NULL, &report, e);
}

static int op_flush(struct error *e) { return kv_flush(store_kv(store), e); }

static int op_close(struct error *e)
{
	(void)e;
	store_close(store);
	store = NULL;
	return 0;
}

/* Opens a store that has unsaved bytes to recover. */
static int op_open(struct error *e)
{
	char path[4096];

	path_of(path, "store");
	return store_open(path, NULL, &store, e);
}

struct operation {
	const char *name;
	int (*run)(struct error *e);
	bool opens; /* it opens the store itself */
};

static const struct operation operations[] = {
	{ "create", op_create, false }, { "mkdir", op_mkdir, false }, { "symlink", op_symlink, false },
	{ "save", op_save, false }, { "save of a large file", op_large, false }, { "rename over", op_rename, false },
	{ "unlink", op_unlink, false }, { "link", op_link, false }, { "rmdir", op_rmdir, false }, { "chmod", op_chmod, false },
	{ "setxattr", op_setxattr, false }, { "removexattr", op_removexattr, false }, { "restore", op_restore, false },
	{ "tag", op_tag, false }, { "untag", op_untag, false }, { "listings", op_list, false }, { "verify", op_verify, false },
	{ "flush", op_flush, false }, { "close", op_close, false }, { "open and recovery", op_open, true },
};

/* ---- ways to fail ---- */

enum source { OUTSIDE, KV, STAGING };

struct way {
	const char *name;
	enum source source;
	unsigned calls;
	int code; /* errno, of OUTSIDE and STAGING; of KV a code */
	bool lasting;
};

static const struct way ways[] = {
	{ "EIO", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_SYNC | FAULT_NAME, EIO, false },
	{ "ENOSPC for good", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_NAME, ENOSPC, true },
	{ "EDQUOT", OUTSIDE, FAULT_OPEN | FAULT_WRITE | FAULT_NAME, EDQUOT, false },
	{ "EINTR", OUTSIDE, FAULT_WRITE | FAULT_READ, EINTR, false },
	{ "short writes", OUTSIDE, FAULT_WRITE, 0, false },
	{ "reads that fail", OUTSIDE, FAULT_READ, EIO, false },
	{ "calls of the key-value store that fail", KV, 0, -E_KV, false },
	{ "writes to a journal that fail", STAGING, 0, ENOSPC, false },
};

static void arm(const struct way *way, unsigned n)
{
	struct fault fault = { .nth = n, .calls = way->calls, .code = way->code, .lasting = way->lasting };

	if (way->source == OUTSIDE)
		fault_set(&fault);
	else if (way->source == KV)
		kv_fail_nth(n, way->code);
	else
		staging_fail_nth(n, way->code, n % 2 ? 0 : 7);
}

static void disarm(void)
{
	fault_set(&(struct fault){ 0 });
	kv_fail_nth(0, 0);
	staging_fail_nth(0, 0, 0);
}

static bool fits(const struct way *way, int rc)
{
	int err = error_errno(rc);

	if (way->code == ENOSPC || way->code == EDQUOT)
		return err == ENOSPC || err == EDQUOT || err == EIO;
	return err == EIO || err == EINTR || err == EPROTO || err == ESTALE || err == EINVAL;
}

/* ---- one try ---- */

static void assert_verifies(const char *when)
{
	struct verify_report report;
	struct error e = { 0 };
	char first[512] = "";

	if (verify_store(store, &(struct verify_options){ .read_contents = true }, ignore_finding, NULL, first, &report, &e) < 0)
		fail("it does not verify %s: %s", when, e.text);
}

static void assert_text(const char *name, uint64_t number, const char *text)
{
	CLEANUP(inode_release) struct inode *inode = NULL;
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct digest digest = digest_of(view_str(text));
	struct version_record v;

	MUST(inode_get(store, ino_of(name), &inode, e));
	MUST(version_get(store, inode->r.doc, number, &v, &memory, e));
	if (!digest_equal(&v.digest, &digest))
		fail("%s: version %" PRIu64 " is another", name, number);
}

/* The store as it is before each try: made by a process of its own. */
static void prepare(void)
{
	struct staging_origin origin = { .uid = anna.uid, .author = anna.name };
	struct staging *unsaved;
	char path[4096];
	uint64_t change;

	path_of(path, "base");
	MUST(store_init(path, 0755, 0, 0, e));
	MUST(store_open(path, NULL, &store, e));
	MUST(make("kept", S_IFREG | 0644, e));
	MUST(save_text("kept", "text that was synced", e));
	MUST(make("a", S_IFREG | 0644, e));
	MUST(save_text("a", "text of a", e));
	MUST(make("b", S_IFREG | 0644, e));
	MUST(save_text("b", "text of b", e));
	MUST(make("dir", S_IFDIR | 0755, e));
	MUST(make("unsaved", S_IFREG | 0644, e));
	MUST(namespace_setxattr(store, &anna, ino_of("b"), view_str("user.was"), view_str("z"), 0, e));
	MUST(tag_set(store, &anna, ROOT_INODE, view_str("tag"), &change, e));
	MUST(store_sync(store, e));
	origin.ino = ino_of("unsaved");
	store_date_origin(store, &origin);
	MUST(staging_begin(store_staging_fd(store), &origin, &unsaved, e));
	MUST(staging_write(unsaved, 0, "unsaved bytes", 13, e));
	staging_abandon(unsaved);
	_exit(0); /* as killed: its log is to be replayed */
}

static void copy_store(const char *from, const char *to)
{
	char command[9000];

	snprintf(command, sizeof(command), "unset LD_PRELOAD; rm -rf '%s/%s' && cp -a '%s/%s' '%s/%s'", root, to, root, from,
		 root, to);
	if (system(command) != 0)
		fail("cp");
}

/* Exit status of a try: 0 the fault came and all is well, 1 all is not, 2 the operation went through without it. */
static void try_once(const struct operation *op, const struct way *way, unsigned n)
{
	struct error why = { 0 };
	char path[4096];

	alarm(SECONDS_MAX);
	path_of(path, "store");
	if (!op->opens)
		MUST(op_open(e));
	arm(way, n);
	int rc = op->run(&why), synced = rc < 0 || !store ? rc : store_sync(store, rc < 0 ? NULL : &why);
	bool came = way->source != OUTSIDE ? rc < 0 || synced < 0 : fault_came();
	disarm();
	if (rc < 0 && (!fits(way, rc) || !why.text[0]))
		fail("call %u: %s answers %d (%s) \"%s\"", n, op->name, rc, error_name(rc), why.text);
	if (rc < 0 && op->opens)
		store = NULL;
	if (store)
		assert_verifies("as it stands");
	store_close(store);
	store = NULL;
	MUST(op_open(e));
	assert_verifies("when it was opened again");
	assert_text("kept", 1, "text that was synced");
	assert_text("unsaved", 1, "unsaved bytes");
	if (op->run == op_save && synced == 0)
		assert_text("b", 2, "second text of b");
	if (op->run == op_create && synced == 0 && !ino_of("new"))
		fail("what was created and synced is not there");
	store_close(store);
	_exit(came ? 0 : 2);
}

/* 0, 1 or 2 as above. */
static int in_a_child(const struct operation *op, const struct way *way, unsigned n)
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0 && !op)
		prepare();
	if (child == 0)
		try_once(op, way, n);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 1;
	if (WIFSIGNALED(status))
		printf("#   call %u: ended with %s\n", n, strsignal(WTERMSIG(status)));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static bool try_all(const struct operation *op, const struct way *way, unsigned *ret_calls)
{
	unsigned n = 1;
	int result = 0;

	for (; n <= CALLS_MAX && result == 0; n++) {
		copy_store("base", "store");
		result = in_a_child(op, way, n);
	}
	*ret_calls = n - 2;
	if (result == 1)
		printf("#   when call %u failed: %s\n", n - 1, way->name);
	return result == 2;
}

/* ---- a sync that failed ---- */

/* Once the log could not be synced its pages may be gone although the next sync says 0: what is acknowledged after that
 * must not stand in what was written to it before. */
static void sync_that_failed(void)
{
	char command[9000];
	struct fault fault = { .nth = 1, .calls = FAULT_SYNC, .code = EIO, .path = ".log" };
	struct error why = { 0 };

	MUST(op_open(e));
	MUST(store_sync(store, e));
	snprintf(command, sizeof(command), "unset LD_PRELOAD; cd '%s/store/db' && stat -c '%%s %%n' *.log > ../../synced", root);
	if (system(command) != 0)
		fail("stat");
	MUST(save_text("b", "second text of b", e));
	fault_set(&fault);
	if (store_sync(store, &why) == 0)
		fail("a sync that failed says that it did not");
	disarm();
	int again = store_sync(store, &why), saved = save_text("b", "third text of b", &why);
	int later = saved < 0 ? saved : store_sync(store, &why);
	printf("#   after it: sync %d, save %d, sync %d\n", again, saved, later);
	copy_store("store", "copy");
	snprintf(command, sizeof(command), "unset LD_PRELOAD; cd '%s/copy/db' && while read -r size name; do"
		 " [ ! -e \"$name\" ] || truncate -s \"$size\" \"$name\"; done < ../../synced", root);
	if (system(command) != 0)
		fail("truncate");
	fflush(stdout);
	pid_t child = fork();
	int status;
	if (child == 0) { /* RocksDB is open here: the copy is opened by a program of its own */
		setenv("CRASH_BOOT", "2", 1);
		execl("/proc/self/exe", "faults", root, again == 0 ? "2" : "1", later == 0 ? "3" : "1", NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* The other half: which of b's versions must be in the copy. */
static int look_at_copy(uint64_t first, uint64_t second)
{
	static const char *const texts[] = { NULL, "text of b", "second text of b", "third text of b" };
	char path[4096];

	path_of(path, "copy");
	MUST(store_open(path, NULL, &store, e));
	assert_text("b", first, texts[first]);
	if (second > 1)
		assert_text("b", second, texts[second]);
	store_close(store);
	return 0;
}

static bool is_wanted(const struct operation *op)
{
	const char *only = getenv("FAULTS");

	return !only || strstr(op->name, only);
}

int main(int argc, char **argv)
{
	size_t count = sizeof(operations) / sizeof(operations[0]), kinds = sizeof(ways) / sizeof(ways[0]), n = 0, failed = 0, wanted = 0;
	int status;

	if (argc != 2 && argc != 4)
		return fprintf(stderr, "usage: faults DIRECTORY\n"), 2;
	root = argv[1];
	if (argc == 4)
		return look_at_copy(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	if (!fault_set)
		return fprintf(stderr, "faults: must run under record.so\n"), 2;
	for (size_t i = 0; i < count; i++)
		wanted += is_wanted(&operations[i]);
	printf("1..%zu\n", wanted * kinds + 1);
	if (in_a_child(NULL, NULL, 0) != 0)
		return 1;
	for (size_t i = 0; i < count * kinds; i++) {
		const struct operation *op = &operations[i / kinds];
		const struct way *way = &ways[i % kinds];
		unsigned calls = 0;

		if (!is_wanted(op))
			continue;
		if (op->run == op_open && way->lasting) { /* it takes the room it sees for room, tries again, and asserts */
			printf("ok %zu - %s: %s # SKIP RocksDB 7.8 ends the program\n", ++n, op->name, way->name);
			continue;
		}
		bool fine = try_all(op, way, &calls);
		failed += !fine;
		printf("%sok %zu - %s: %s, %u calls\n", fine ? "" : "not ", ++n, op->name, way->name, calls);
	}
	copy_store("base", "store");
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		sync_that_failed();
	waitpid(child, &status, 0);
	bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	printf("%sok %zu - after a sync that failed nothing is acknowledged that stands on it\n", fine ? "" : "not ", ++n);
	return failed || !fine;
}
