/* test_history.c - the history tree without a mount: what is listed, found, read and hidden. */
#include <errno.h>
#include <fnmatch.h>

#include "fs/history.h"
#include "store/acl.h"
#include "store/clock.h"
#include "store/names.h"
#include "store/timeline.h"
#include "tree.h"

#define R ROOT_INODE

static struct history *history;
static const struct credentials as_root = { 0, 0, 0, NULL }, as_anna = { 4001, 4001, 0, NULL },
				as_ben = { 4002, 4002, 0, NULL };

static void setup(void)
{
	tree_setup();
	ck_ok(history_open(tree_store, NULL, &history, e));
}

static void teardown(void)
{
	history_close(history);
	tree_teardown();
}

/* Walks a path of history names from the live directory dir; every step is forgotten but the
 * last. */
static int walk(const struct credentials *who, uint64_t dir, const char *path,
		struct history_entry *ret, struct error *e)
{
	int rc = history_lookup(history, who, dir, view_str(".history"), ret, e);

	while (rc == 0 && *path) {
		size_t n = strcspn(path, "/");
		uint64_t parent = ret->node;

		rc = history_lookup(history, who, parent, view_of(path, n), ret, e);
		history_forget(history, parent, 1);
		path += n + (path[n] == '/');
	}
	return rc;
}

static struct stat stat_of(const struct credentials *who, uint64_t dir, const char *path)
{
	struct history_entry entry;

	ck_ok(walk(who, dir, path, &entry, e));
	history_forget(history, entry.node, 1);
	return entry.st;
}

static bool exists(const struct credentials *who, uint64_t dir, const char *path)
{
	struct history_entry entry;
	int rc = walk(who, dir, path, &entry, NULL);

	ck_assert_msg(rc == 0 || rc == -E_NO_ENTRY, "%s: %d", path, rc);
	if (rc == 0)
		history_forget(history, entry.node, 1);
	return rc == 0;
}

struct names {
	unsigned count;
	char name[64][NAMES_LEN_MAX + 1];
	unsigned stop_after;
	uint64_t next;
};

static bool take_name(void *arg, const char *name, const struct stat *st, uint64_t next)
{
	struct names *names = arg;

	ck_assert(st->st_ino != 0 && (st->st_mode & S_IFMT) != 0);
	if (names->stop_after && names->count == names->stop_after)
		return false;
	names->next = next;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	ck_assert_uint_lt(names->count, 64);
	strcpy(names->name[names->count++], name);
	return true;
}

/* Lists a folder, in one go and in pieces of three; every name that is listed resolves with what
 * was listed. */
static struct names *list(const struct credentials *who, uint64_t dir, const char *path)
{
	static struct names names, parts;
	struct history_handle *handle;
	struct history_entry folder, entry;

	ck_ok(walk(who, dir, path, &folder, e));
	ck_ok(history_opendir(history, who, folder.node, &handle, e));
	names = parts = (struct names){ 0 };
	ck_ok(history_readdir(handle, 0, take_name, &names, e));
	for (unsigned before = ~0u; before != parts.count;) {
		before = parts.count;
		parts.stop_after = before + 3;
		ck_ok(history_readdir(handle, parts.next, take_name, &parts, e));
	}
	history_release(handle);
	ck_assert_uint_eq(names.count, parts.count);
	for (unsigned i = 0; i < names.count; i++) {
		ck_assert_str_eq(names.name[i], parts.name[i]);
		ck_ok(history_lookup(history, who, folder.node, view_str(names.name[i]), &entry,
				     e));
		history_forget(history, entry.node, 1);
	}
	history_forget(history, folder.node, 1);
	return &names;
}

/* The name in the list that fits the pattern, NULL when there is none; more than one is a
 * failure. */
static const char *fit(const struct names *names, const char *pattern)
{
	const char *found = NULL;

	for (unsigned i = 0; i < names->count; i++) {
		if (fnmatch(pattern, names->name[i], 0) != 0)
			continue;
		ck_assert_msg(!found, "%s fits %s and %s", pattern, found, names->name[i]);
		found = names->name[i];
	}
	return found;
}

/* folder/NAME for the one name in folder that fits. */
static const char *only(const struct credentials *who, uint64_t dir, const char *folder,
			const char *pattern)
{
	static char path[1024];
	const char *name = fit(list(who, dir, folder), pattern);

	ck_assert_msg(name != NULL, "%s/%s: nothing fits", folder, pattern);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static const char *read_all(const struct credentials *who, uint64_t dir, const char *path)
{
	static char text[65536];
	struct history_handle *handle;
	struct history_entry entry;
	bool keep, direct;
	int n;

	ck_ok(walk(who, dir, path, &entry, e));
	ck_ok(history_open_file(history, who, entry.node, &handle, &keep, &direct, e));
	ck_ok(n = history_read(handle, 0, text, sizeof(text) - 1, e));
	ck_assert_int_eq(n, entry.st.st_size); /* right before any read */
	ck_assert_int_eq(history_read(handle, (uint64_t)n, text + n, 10, NULL), 0);
	text[n] = '\0';
	history_release(handle);
	history_forget(history, entry.node, 1);
	return text;
}

static void next_second(void)
{
	int64_t now = clock_now() / NS_PER_SECOND;

	while (clock_now() / NS_PER_SECOND == now)
		usleep(5000);
}

static void chmod_to(const struct actor *owner, uint64_t ino, uint32_t mode)
{
	struct attributes set = { .set_mode = true, .mode = mode };
	struct actor other = *owner; /* another session: not folded into the save */
	struct inode *inode = NULL;

	other.tgid += 1000;
	ck_ok(namespace_setattr(tree_store, &other, ino, &set, &inode, e));
	inode_put(inode);
}

static uint64_t head(void)
{
	struct digest digest;
	uint64_t change;

	ck_ok(changelog_head(tree_store, &change, &digest, e));
	return change;
}

START_TEST(the_folder_has_its_parts)
{
	struct history_entry entry, again;

	ck_assert_uint_eq(list(&as_ben, R, "")->count, 8);
	ck_assert(fit(list(&as_ben, R, ""), "README.txt") != NULL);
	ck_assert_str_eq(read_all(&as_ben, R, "README.txt"), read_all(&as_anna, R, "README.txt"));
	ck_assert(exists(&as_ben, R, "files") && exists(&as_ben, R, "at") &&
		  !exists(&as_ben, R, "nothing"));
	ck_assert(!exists(&as_ben, R, ".history"));
	ck_ok(walk(&as_ben, R, "at", &entry, e));
	ck_ok(walk(&as_anna, R, "at", &again, e));
	ck_assert_uint_eq(entry.node, again.node);
	ck_assert(history_is_node(entry.node) && entry.entry_timeout <= 1 &&
		  entry.attr_timeout <= 1);
	ck_assert_uint_eq(entry.st.st_mode, S_IFDIR | 0777);
	history_forget(history, entry.node, 2);
	ck_assert_uint_eq(history_node_count(history), 0);
	ck_fails(history_lookup(history, &as_ben, entry.node, view_str("x"), &again, e), E_STALE);
	ck_fails(history_lookup(history, &as_ben, R, view_str("x"), &again, e), E_NO_ENTRY);
}
END_TEST

START_TEST(files_shows_every_version_with_its_author)
{
	uint64_t d = tree_make(&anna, R, "dept", S_IFDIR | 0777),
		 ino = tree_write(&anna, d, "budget.xlsx", "one");
	struct stat st;

	tree_save(&ben, ino, "two, longer");
	ck_assert_uint_eq(list(&as_ben, d, "files")->count, 1);
	ck_assert_uint_eq(list(&as_ben, d, "files/budget.xlsx")->count, 3);
	ck_assert_str_eq(read_all(&as_ben, d,
				  only(&as_ben, d, "files/budget.xlsx", "budget.*Z.v1.anna.xlsx")),
			 "one");
	ck_assert_str_eq(read_all(&as_ben, d,
				  only(&as_ben, d, "files/budget.xlsx", "budget.*Z.v2.ben.xlsx")),
			 "two, longer");
	st = stat_of(&as_anna, d, only(&as_anna, d, "files/budget.xlsx", "*.v2.ben.xlsx"));
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(st.st_uid, 4002);
	ck_assert_int_eq(st.st_size, 11);
	ck_assert_int_ge(st.st_mtim.tv_sec, clock_now() / NS_PER_SECOND - 5);
	ck_assert(st.st_ino != ino && (st.st_ino >> 63) == 0);
	ck_assert(
		!exists(&as_ben, d, "files/budget.xlsx/budget.2020-01-01_00.00.00Z.v1.anna.xlsx"));
	ck_assert(!exists(&as_ben, d, "files/other.xlsx"));
	tree_unlink(&anna, d, "budget.xlsx");
	ck_assert_str_eq(
		read_all(&as_ben, d, only(&as_ben, d, "files/budget.xlsx", "*.v1.anna.xlsx")),
		"one");
}
END_TEST

START_TEST(at_shows_the_directory_as_it_was)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755),
		 sub = tree_make(&anna, d, "sub", S_IFDIR | 0750);
	uint64_t ino = tree_write(&anna, d, "f", "one");
	char path[128], then[CLOCK_NAME_LEN + 1];
	struct inode *inode = NULL;

	tree_write(&anna, sub, "g", "gee");
	ck_ok(namespace_link(tree_store, &anna, ino, sub, view_str("f2"), &inode, e));
	inode_put(inode);
	ck_ok(namespace_setxattr(tree_store, &anna, ino, view_str("user.k"), view_str("v"), 0, e));
	uint64_t change = head();
	clock_name(then, clock_now());
	next_second();
	tree_save(&anna, ino, "two");
	tree_unlink(&anna, sub, "g");
	chmod_to(&anna, ino, 0600);
	ck_ok(namespace_removexattr(tree_store, &anna, ino, view_str("user.k"), e));
	snprintf(path, sizeof(path), "at/%s/f", then);
	ck_assert_str_eq(read_all(&as_root, d, path), "one");
	struct stat f = stat_of(&as_root, d, path);
	ck_assert_uint_eq(f.st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(f.st_nlink, 2);
	snprintf(path, sizeof(path), "at/%s/sub/g", then);
	ck_assert_str_eq(read_all(&as_root, d, path), "gee");
	snprintf(path, sizeof(path), "at/change-%d/sub/f2", (int)change);
	struct stat f2 = stat_of(&as_root, d, path);
	ck_assert_uint_eq(f.st_ino, f2.st_ino); /* one inode within the instant */
	ck_assert(f.st_ino != ino);
	snprintf(path, sizeof(path), "at/%s", then);
	ck_assert_uint_eq(list(&as_root, d, path)->count, 2);
	ck_assert_str_eq(read_all(&as_root, d, "at/now/f"), "two");
	ck_assert(!exists(&as_root, d, "at/now/sub/g"));
	ck_assert(!exists(&as_root, d, "at/2001"));
	ck_assert(!exists(&as_root, d, "at/yesterday")); /* there was no store yet */
	ck_assert(!exists(&as_root, d, "at/nonsense"));
	ck_assert(!exists(&as_root, d, "at/change-0") && !exists(&as_root, d, "at/change-999999"));
	ck_assert(!exists(&as_root, d, "at/change-1")); /* d was made with change 2 */
	snprintf(path, sizeof(path), "at/%.10s/f", then);
	ck_assert_str_eq(read_all(&as_root, d, path), "two");
	/* what is listed: both seconds, newest first */
	struct names *names = list(&as_root, d, "at");
	ck_assert_uint_ge(names->count, 2);
	ck_assert(strcmp(names->name[0], names->name[1]) > 0);
	ck_assert_str_eq(names->name[names->count - 1], then);
	/* xattrs and facts as of then */
	CLEANUP(buf_release) struct buf value = { 0 };
	struct history_entry entry;
	snprintf(path, sizeof(path), "at/change-%d/f", (int)change);
	ck_ok(walk(&as_root, d, path, &entry, e));
	ck_ok(history_getxattr(history, &as_root, entry.node, view_str("user.k"), &value, e));
	ck_assert_str_eq(buf_cstr(&value), "v");
	buf_clear(&value);
	ck_ok(history_getxattr(history, &as_root, entry.node, view_str("user.daybook.author"),
			       &value, e));
	ck_assert_str_eq(buf_cstr(&value), "anna");
	ck_fails(history_getxattr(history, &as_root, entry.node, view_str("user.daybook.from"),
				  &value, e),
		 E_NO_XATTR);
	buf_clear(&value);
	ck_ok(history_listxattr(history, &as_root, entry.node, &value, e));
	ck_assert_uint_eq(value.len, 7);
	ck_assert_mem_eq(value.data, "user.k", 7);
	struct history_source source;
	ck_ok(history_source(history, &as_root, entry.node, &source, e));
	ck_assert_uint_eq(source.version, 1);
	ck_assert_uint_eq(source.size, 3);
	history_forget(history, entry.node, 1);
}
END_TEST

START_TEST(names_that_one_may_not_read_are_nowhere)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0777),
		 ino = tree_write(&anna, d, "secret.txt", "s1");
	uint64_t hidden = tree_make(&anna, d, "hidden", S_IFDIR | 0755), gone;
	char at[64], day[64];

	tree_write(&anna, d, "open.txt", "o1");
	tree_write(&anna, hidden, "inside.txt", "i1");
	gone = tree_write(&anna, d, "gone.txt", "g1");
	struct actor later = anna;
	later.tgid = 7;
	chmod_to(&anna, gone, 0600);
	tree_unlink(&later, d, "gone.txt");
	snprintf(at, sizeof(at), "at/change-%d", (int)head() - 1);
	ck_assert_str_eq(read_all(&as_anna, d, "at/now/hidden/inside.txt"), "i1");
	chmod_to(&anna, ino, 0600);
	chmod_to(&anna, hidden, 0700);
	char date[CLOCK_NAME_LEN + 1];
	clock_name(date, clock_now());
	snprintf(day, sizeof(day), "by/anna/%.10s", date);
	static const char *folders[] = { "files", "deleted" };
	for (int i = 0; i < 2; i++) {
		struct names *names = list(&as_ben, d, folders[i]);

		ck_assert(!fit(names, "*secret*") && !fit(names, "*gone*"));
	}
	ck_assert(fit(list(&as_ben, d, at), "open.txt") &&
		  !fit(list(&as_ben, d, at), "secret.txt"));
	ck_assert(!fit(list(&as_ben, d, at), "hidden") && fit(list(&as_anna, d, at), "hidden"));
	ck_assert(fit(list(&as_anna, d, "deleted"), "gone.*Z.v1.anna.txt") != NULL);
	ck_assert(fit(list(&as_anna, d, "files"), "secret.txt") &&
		  exists(&as_anna, d, "files/secret.txt"));
	ck_assert(!exists(&as_ben, d, "files/secret.txt") && !exists(&as_ben, d, "files/gone.txt"));
	ck_assert(!exists(&as_ben, d, "at/now/secret.txt") && !exists(&as_ben, d, "at/now/hidden"));
	ck_assert(!fit(list(&as_ben, d, day), "secret*") && !fit(list(&as_ben, d, day), "inside*"));
	ck_assert(fit(list(&as_anna, d, day), "secret*") && fit(list(&as_anna, d, day), "inside*"));
	ck_assert(!strstr(read_all(&as_ben, d, "changes.csv"), "secret"));
	ck_assert(!strstr(read_all(&as_ben, d, "changes.csv"), "gone"));
	ck_assert(!strstr(read_all(&as_ben, d, "changes.csv"), "hidden"));
	ck_assert(strstr(read_all(&as_anna, d, "changes.csv"), "secret") != NULL);
	ck_assert(strstr(read_all(&as_ben, d, "changes.csv"), "open.txt") != NULL);
	/* a version that was found by somebody else's lookup is still refused */
	struct history_entry entry;
	struct history_handle *handle;
	bool keep, direct;
	ck_ok(walk(&as_anna, d, only(&as_anna, d, "files/secret.txt", "*v1*"), &entry, e));
	ck_fails(history_open_file(history, &as_ben, entry.node, &handle, &keep, &direct, e),
		 E_DENIED);
	struct history_source source;
	ck_fails(history_source(history, &as_ben, entry.node, &source, e), E_DENIED);
	/* what not everybody may see is asked for every time */
	ck_ok(walk(&as_anna, d, "at/now/secret.txt", &entry, e));
	ck_assert(entry.entry_timeout == 0);
	ck_ok(walk(&as_anna, d, "at/now/open.txt", &entry, e));
	ck_assert(entry.entry_timeout > 0);
	ck_ok(walk(&as_anna, d, "changes.csv", &entry, e));
	ck_assert(entry.entry_timeout == 0 && entry.attr_timeout == 0);
	/* listing takes read permission on the directory */
	chmod_to(&anna, d, 0711);
	ck_ok(walk(&as_ben, d, "files", &entry, e));
	ck_fails(history_opendir(history, &as_ben, entry.node, &handle, e), E_DENIED);
	ck_assert(exists(&as_ben, d, "files/open.txt"));
	ck_assert(!strstr(read_all(&as_ben, d, "changes.csv"), "open.txt"));
}
END_TEST

START_TEST(changes_opens_in_excel)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0755);
	const char *text;

	tree_write(&anna, d, "=cmd()|x, \"q\".csv", "1");
	text = read_all(&as_anna, d, "changes.csv");
	ck_assert_mem_eq(text, "\xEF\xBB\xBF" "change,time,operation,author,path", 3 + 33);
	ck_assert(strstr(text, "\"d/=cmd()|x, \"\"q\"\".csv\"") != NULL);
	ck_assert(strstr(text, ",save,anna,") < strstr(text, ",create,anna,"));
	text = read_all(&as_anna, d, "files/%3Dcmd()%7Cx, %22q%22.csv/changes.csv");
	ck_assert(strstr(text, ",save,anna,") && strstr(text, ",create,anna,") &&
		  !strstr(text, "mkdir"));
	/* its size is right again after a change */
	tree_write(&ben, d, "more", "1");
	ck_assert(strstr(read_all(&as_anna, d, "changes.csv"), ",save,ben,") != NULL);
	/* brought up to date or made anew, it is the same */
	char grown[8192];
	for (int i = 0; i < 4; i++) {
		tree_save(&ben, tree_ino(d, "more"), i % 2 ? "22" : "1");
		strcpy(grown, read_all(&as_anna, d, "changes.csv"));
	}
	history_close(history);
	ck_ok(history_open(tree_store, NULL, &history, e));
	ck_assert_str_eq(grown, read_all(&as_anna, d, "changes.csv"));
}
END_TEST

START_TEST(deleted_shows_when_and_by_whom)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0777),
		 sub = tree_make(&anna, d, "sub", S_IFDIR | 0777);
	uint64_t ino = tree_write(&anna, d, "old.xlsx", "one");

	tree_save(&anna, ino, "last");
	tree_write(&anna, sub, "in.txt", "inside");
	tree_write(&anna, d, "stays", "x");
	tree_write(&anna, d, "moved", "x");
	tree_write(&anna, d, "~$lock.xlsx", "x");
	tree_unlink(&ben, d, "old.xlsx");
	tree_unlink(&ben, d, "~$lock.xlsx");
	tree_rename(&anna, d, "moved", "elsewhere");
	tree_unlink(&ben, sub, "in.txt");
	ck_ok(namespace_rmdir(tree_store, &ben, d, view_str("sub"), e));
	struct names *names = list(&as_ben, d, "deleted");
	ck_assert_uint_eq(names->count, 2);
	ck_assert_str_eq(read_all(&as_ben, d, only(&as_ben, d, "deleted", "old.*Z.v2.ben.xlsx")),
			 "last");
	char folder[512];
	snprintf(folder, sizeof(folder), "%s", only(&as_ben, d, "deleted", "sub.*Z.ben"));
	ck_assert_str_eq(read_all(&as_ben, d, only(&as_ben, d, folder, "in.*.v1.ben.txt")),
			 "inside");
	/* scratch is hidden, not lost */
	ck_assert(!fit(list(&as_ben, d, "files"), "~$lock.xlsx") &&
		  exists(&as_ben, d, "files/~$lock.xlsx"));
	/* a name that is used again is not deleted */
	tree_write(&anna, d, "old.xlsx", "again");
	ck_assert(!fit(list(&as_ben, d, "deleted"), "old*"));
}
END_TEST

START_TEST(by_shows_who_saved_what_on_which_day)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0777),
		 sub = tree_make(&anna, d, "sub", S_IFDIR | 0777);
	char folder[64], day[CLOCK_NAME_LEN + 1];
	struct actor dom = { .uid = 4005, .gid = 4005, .tgid = 9, .name = { "DOM\\anna", 8 } };
	struct actor other = { .uid = 4006, .gid = 4006, .tgid = 9, .name = { "anna", 4 } };

	tree_write(&anna, d, "a.txt", "1");
	tree_write(&anna, sub, "a.txt", "2");
	tree_write(&ben, sub, "b.txt", "3");
	tree_write(&ben, R, "above.txt", "4");
	clock_name(day, clock_now());
	ck_assert_uint_eq(list(&as_ben, d, "by")->count, 2);
	snprintf(folder, sizeof(folder), "by/anna/%.10s", day);
	ck_assert_uint_eq(list(&as_ben, d, "by/anna")->count, 1);
	/* two files of one name, number and second, from two directories */
	ck_assert_uint_eq(list(&as_ben, d, folder)->count, 2);
	ck_assert_uint_eq(list(&as_ben, sub, folder)->count, 1);
	snprintf(folder, sizeof(folder), "by/ben/%.10s", day);
	ck_assert_uint_eq(list(&as_ben, d, folder)->count, 1);
	ck_assert_uint_eq(list(&as_ben, R, folder)->count, 2);
	ck_assert(!exists(&as_ben, d, "by/ben/2001-01-01") && !exists(&as_ben, d, "by/carl"));
	ck_assert(!exists(&as_ben, d, "by/ben/2001") && !exists(&as_ben, d, "by/ben/now"));
	/* users who share a name */
	history_close(history);
	ck_ok(history_open(tree_store, NULL, &history, e));
	tree_write(&dom, d, "c.txt", "5");
	tree_write(&other, d, "d.txt", "5");
	struct names *names = list(&as_ben, d, "by");
	ck_assert_uint_eq(names->count, 4);
	ck_assert(fit(names, "anna") && fit(names, "DOM+anna") && fit(names, "anna-4006"));
	ck_assert(exists(&as_ben, d, "by/anna-4001"));
}
END_TEST

START_TEST(tags_pin_the_present)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0775),
		 ino = tree_write(&anna, d, "f", "one");
	struct history_entry tags, entry;

	ck_ok(walk(&as_anna, d, "tags", &tags, e));
	ck_ok(history_mkdir(history, &as_anna, &anna, tags.node, view_str("Q1 close"), &entry, e));
	ck_assert_uint_eq(entry.st.st_mode, S_IFDIR | 0775);
	tree_save(&anna, ino, "two");
	ck_assert_str_eq(read_all(&as_ben, d, "tags/Q1 close/f"), "one");
	ck_assert_uint_eq(list(&as_ben, d, "tags")->count, 1);
	ck_fails(
		history_mkdir(history, &as_anna, &anna, tags.node, view_str("Q1 close"), &entry, e),
		E_EXISTS);
	ck_fails(history_mkdir(history, &as_anna, &anna, tags.node, view_str("a:b"), &entry, e),
		 E_NAME_BAD);
	ck_fails(history_mkdir(history, &as_ben, &ben, tags.node, view_str("x"), &entry, e),
		 E_DENIED);
	ck_fails(history_rmdir(history, &as_ben, &ben, tags.node, view_str("Q1 close"), e),
		 E_NOT_PERMITTED);
	ck_fails(history_rmdir(history, &as_anna, &anna, tags.node, view_str("none"), e),
		 E_NO_ENTRY);
	ck_assert(strstr(read_all(&as_anna, d, "changes.csv"), ",tag,anna,") != NULL);
	ck_ok(history_rmdir(history, &as_anna, &anna, tags.node, view_str("Q1 close"), e));
	ck_assert(!exists(&as_anna, d, "tags/Q1 close"));
	ck_assert(strstr(read_all(&as_anna, d, "changes.csv"), ",untag,anna,") != NULL);
	struct history_entry at;
	ck_ok(walk(&as_anna, d, "at", &at, e));
	ck_fails(history_mkdir(history, &as_anna, &anna, at.node, view_str("x"), &entry, e),
		 E_READ_ONLY);
	ck_fails(history_rmdir(history, &as_anna, &anna, at.node, view_str("x"), e), E_READ_ONLY);
	struct history_source source;
	ck_fails(history_source(history, &as_anna, at.node, &source, e), E_READ_ONLY);
}
END_TEST

START_TEST(conflicts_have_both_contents)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0777),
		 ino = tree_write(&anna, d, "b.xlsx", "base");

	tree_save_as(&ben, ino, "ben's", 1, false);
	struct saved saved = tree_save_as(&anna, ino, "anna's", 1, false);
	ck_assert(saved.conflict);
	ck_assert_uint_eq(list(&as_ben, d, "conflicts")->count, 2);
	ck_assert_str_eq(read_all(&as_ben, R, only(&as_ben, R, "conflicts", "b.*.v2.ben.xlsx")),
			 "ben's");
	ck_assert_str_eq(read_all(&as_ben, d, only(&as_ben, d, "conflicts", "b.*.v3.anna.xlsx")),
			 "anna's");
}
END_TEST

START_TEST(bad_names_get_names_that_resolve)
{
	char longest[256], path[1024];
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0777);

	memset(longest, 'l', 255);
	memcpy(longest + 250, ".xlsx", 6);
	tree_write(&anna, d, longest, "long");
	longest[0] = ':';
	tree_write(&anna, d, longest, "long and bad");
	tree_write(&anna, d, "bad\xff\n.", "bad");
	tree_write(&anna, d, "100%41", "percent");
	struct names *names = list(&as_anna, d, "files");
	ck_assert_uint_eq(names->count, 4);
	for (unsigned i = 0; i < 4; i++) {
		char name[256];

		strcpy(name, list(&as_anna, d, "files")->name[i]);
		snprintf(path, sizeof(path), "files/%s", name);
		ck_assert_uint_eq(list(&as_anna, d, path)->count, 2);
		ck_assert(list(&as_anna, d, path)->name[0][0] != '.');
	}
	snprintf(path, sizeof(path), "files/%s", longest);
	ck_assert(exists(&as_anna, d, path)); /* the live name works, too */
	ck_assert_str_eq(read_all(&as_anna, d, only(&as_anna, d, "files/bad%FF%0A%2E", "*v1*")),
			 "bad");
}
END_TEST

START_TEST(a_handle_keeps_what_it_opened)
{
	uint64_t d = tree_make(&anna, R, "d", S_IFDIR | 0777);
	struct history_handle *handle;
	struct history_entry entry;
	bool keep, direct;
	char text[4096];
	uint64_t offset;

	tree_write(&anna, d, "f", "content");
	ck_ok(walk(&as_anna, d, "changes.csv", &entry, e));
	ck_ok(history_open_file(history, &as_anna, entry.node, &handle, &keep, &direct, e));
	ck_assert(direct && !keep);
	tree_write(&anna, d, "g", "content");
	int n;
	ck_ok(n = history_read(handle, 0, text, sizeof(text), e));
	ck_assert_int_eq(n, entry.st.st_size);
	ck_fails(history_seek(handle, (uint64_t)n, false, &offset, e), ENXIO);
	ck_ok(history_seek(handle, 5, true, &offset, e));
	ck_assert_uint_eq(offset, (uint64_t)n);
	history_release(handle);
	ck_ok(walk(&as_anna, d, only(&as_anna, d, "files/f", "f*v1*"), &entry, e));
	ck_ok(history_open_file(history, &as_anna, entry.node, &handle, &keep, &direct, e));
	ck_assert(keep && !direct);
	ck_ok(history_seek(handle, 2, false, &offset, e));
	ck_assert_uint_eq(offset, 2);
	ck_ok(n = history_read(handle, 3, text, 2, e));
	ck_assert_int_eq(n, 2);
	ck_assert_mem_eq(text, "te", 2);
	history_release(handle);
	ck_fails(history_opendir(history, &as_anna, entry.node, &handle, e), E_NOT_DIR);
	ck_ok(walk(&as_anna, d, "at", &entry, e));
	ck_fails(history_open_file(history, &as_anna, entry.node, &handle, &keep, &direct, e),
		 E_IS_DIR);
}
END_TEST

START_TEST(symlinks_point_where_they_pointed)
{
	struct make make = {
		.mode = S_IFLNK | 0777, .uid = 4001, .gid = 4001, .target = view_str("old/target")
	};
	CLEANUP(buf_release) struct buf target = { 0 };
	struct inode *inode = NULL;
	struct history_entry entry;
	char path[64];
	uint64_t ino;

	ck_ok(namespace_make(tree_store, &anna, R, view_str("l"), &make, &inode, e));
	inode_put(inode);
	snprintf(path, sizeof(path), "at/change-%d/l", (int)head());
	ck_ok(namespace_unlink(tree_store, &anna, R, view_str("l"), &ino, e));
	ck_ok(walk(&as_ben, R, path, &entry, e));
	ck_assert(S_ISLNK(entry.st.st_mode));
	ck_ok(history_readlink(history, &as_ben, entry.node, &target, e));
	ck_assert_str_eq(buf_cstr(&target), "old/target");
}
END_TEST

START_TEST(a_restore_says_where_it_came_from)
{
	uint64_t ino = tree_write(&anna, R, "f", "one"), doc = tree_doc(R, "f");
	CLEANUP(buf_release) struct buf value = { 0 };
	struct history_source source;
	struct history_entry entry;
	char expected[64];
	struct saved saved;

	tree_save(&ben, ino, "two");
	ck_ok(walk(&as_ben, R, only(&as_ben, R, "files/f", "*v1*"), &entry, e));
	ck_ok(history_source(history, &as_ben, entry.node, &source, e));
	ck_assert_uint_eq(source.doc, doc);
	ck_ok(version_restore(tree_store, &ben, ino, source.doc, source.version, &saved, e));
	ck_assert_uint_eq(saved.number, 3);
	ck_ok(history_fact(tree_store, doc, 3, view_str("user.daybook.from"), &value, e));
	snprintf(expected, sizeof(expected), "%d@1", (int)doc);
	ck_assert_str_eq(buf_cstr(&value), expected);
	ck_assert_str_eq(read_all(&as_ben, R, only(&as_ben, R, "files/f", "*v3.ben")), "one");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tests = tcase_create("history");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, the_folder_has_its_parts);
	tcase_add_test(tests, files_shows_every_version_with_its_author);
	tcase_add_test(tests, at_shows_the_directory_as_it_was);
	tcase_add_test(tests, names_that_one_may_not_read_are_nowhere);
	tcase_add_test(tests, changes_opens_in_excel);
	tcase_add_test(tests, deleted_shows_when_and_by_whom);
	tcase_add_test(tests, by_shows_who_saved_what_on_which_day);
	tcase_add_test(tests, tags_pin_the_present);
	tcase_add_test(tests, conflicts_have_both_contents);
	tcase_add_test(tests, bad_names_get_names_that_resolve);
	tcase_add_test(tests, a_handle_keeps_what_it_opened);
	tcase_add_test(tests, symlinks_point_where_they_pointed);
	tcase_add_test(tests, a_restore_says_where_it_came_from);
	suite_add_tcase(suite, tests);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
