/* database.c - a database in which anything may stand: everything that reads a store, and that
 * changes one, on records that were made up.  store/ never trusts what is on disk. Input: one byte,
 * then edits of the share's database, each a kind and what it needs (edit()).  With bit 0 of that
 * byte the log is chained again, so that what stands in it is believed; with bit 1 the counts are
 * made again at the start; with bit 2 the store is changed, packed and repaired, and read again. */
#include "fs/history.h"
#include "share.h"
#include "store/changelog.h"
#include "store/control.h"
#include "store/digest.h"
#include "store/pack.h"
#include "store/repair.h"
#include "store/timeline.h"
#include "store/verify.h"

#define EDITS_MAX 16
#define LISTED_MAX 200
#define READ_MAX 20000
#define INODES 12
#define DOCUMENTS 8

/* Damage may be refused, never trusted: every code but those that say that our own code is
 * wrong. */
static bool may_be(int rc)
{
	return rc >= 0 || (error_errno(rc) > 0 && rc != -E_KV && rc != -E_PROTOCOL);
}

/* ---- making things up ---- */

static void put(enum family family, struct view key, struct view value)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };

	kv_batch_put(&batch, family, key, value);
	made(kv_write(store_kv(share), &batch, NULL));
}

#define ALTER_u(member) \
	if (which-- == 0) \
		r.member = take_number(in);
#define ALTER_t(member) \
	if (which-- == 0) \
		r.member = (int64_t)take_number(in);
#define ALTER_d(member) ALTER_t(member)
#define ALTER_s(member) \
	if (which-- == 0) \
		r.member = take_string(in);
#define ALTER_n(member) ALTER_s(member)
#define ALTER_h(member) \
	if (which-- == 0) \
		memset(r.member.bytes, take_u8(in), DIGEST_LEN);
#define ALTER(kind, member) ALTER_##kind(member)

/* A record with one field that is another. */
#define X(record, FIELDS) \
	static bool alter_##record(struct view value, struct input *in, struct buf *out) \
	{ \
		struct record##_record r; \
		unsigned which = take_u8(in); \
\
		if (record##_decode(&r, value, NULL) < 0) \
			return false; \
		FIELDS(ALTER) \
		record##_encode(out, &r); \
		return true; \
	}
RECORDS(X)
#undef X

static bool alter_record(enum family family, struct view value, struct input *in, struct buf *out)
{
	switch (family) {
	case FAMILY_DIRENT:
	case FAMILY_PAST_DIRENT: return alter_dirent(value, in, out);
	case FAMILY_INODE:
	case FAMILY_PAST_INODE: return alter_inode(value, in, out);
	case FAMILY_DOCUMENT: return alter_document(value, in, out);
	case FAMILY_VERSION: return alter_version(value, in, out);
	case FAMILY_CONTENT: return alter_content(value, in, out);
	case FAMILY_SEGMENT: return alter_segment(value, in, out);
	case FAMILY_LOG: return alter_log(value, in, out);
	case FAMILY_TAG: return alter_tag(value, in, out);
	case FAMILY_CONFLICT: return alter_conflict(value, in, out);
	default: return alter_packing(value, in, out) || alter_origin(value, in, out);
	}
}

/* Bytes with some of them replaced, cut off or added. */
static void alter_bytes(struct view value, struct input *in, struct buf *out)
{
	size_t at = (size_t)take_number(in) % (value.len + 1);
	struct view with = take_string(in);
	bool cut = take_u8(in) & 1;

	buf_append(out, value.data, at);
	buf_append(out, with.data, with.len);
	if (!cut && value.len - at > with.len)
		buf_append(out, (const uint8_t *)value.data + at + with.len,
			   value.len - at - with.len);
}

static void remove_key(enum family family, struct view key)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };

	kv_batch_delete(&batch, family, key);
	made(kv_write(store_kv(share), &batch, NULL));
}

/* Kinds: 0 a field of a record, 1 its bytes, 2 it is gone, 3 it stands under an altered key as
 * well, 4 the value of another of any family, 5 a new key and value. */
static void edit(struct input *in)
{
	CLEANUP(buf_release) struct buf key = { 0 }, value = { 0 }, out = { 0 };
	uint8_t kind = take_u8(in) % 6;
	enum family family, other;
	struct view at;

	memory_kv_key((size_t)take_number(in) % memory_kv_count(), &family, &at);
	buf_append(&key, at.data, at.len);
	if (kv_get(store_kv(share), NULL, family, buf_view(&key), &value, NULL) == 0)
		return;
	switch (kind) {
	case 0:
		if (alter_record(family, buf_view(&value), in, &out))
			put(family, buf_view(&key), buf_view(&out));
		break;
	case 1:
		alter_bytes(buf_view(&value), in, &out);
		put(family, buf_view(&key), buf_view(&out));
		break;
	case 2: remove_key(family, buf_view(&key)); break;
	case 3:
		alter_bytes(buf_view(&key), in, &out);
		put(family, buf_view(&out), buf_view(&value));
		break;
	case 4:
		memory_kv_key((size_t)take_number(in) % memory_kv_count(), &other, &at);
		if (kv_get(store_kv(share), NULL, other, at, &out, NULL) > 0)
			put(family, buf_view(&key), buf_view(&out));
		break;
	default:
		at = take_string(in);
		put((enum family)(take_u8(in) % FAMILY_COUNT), at, take_string(in));
		break;
	}
}

/* Every record of the log that decodes names the one before it. */
static void chain(void)
{
	CLEANUP(kv_batch_release) struct kv_batch batch = { 0 };
	struct kv_iter *it =
		kv_iter_open(store_kv(share), NULL, FAMILY_LOG, view_of(NULL, 0), false);
	struct digest digest = { { 0 } };
	struct view key, value;

	while (kv_iter_next(it, &key, &value, NULL) > 0) {
		CLEANUP(buf_release) struct buf out = { 0 };
		struct log_record r;

		if (log_decode(&r, value, NULL) < 0)
			continue;
		r.prev = digest;
		log_encode(&out, &r);
		digest = digest_of(buf_view(&out));
		kv_batch_put(&batch, FAMILY_LOG, key, buf_view(&out));
	}
	kv_iter_close(it);
	made(kv_write(store_kv(share), &batch, NULL));
}

/* ---- reading everything ---- */

static const struct credentials *const root = &(struct credentials){ 0 };

static bool count_dirent(void *arg, struct view name, uint64_t cookie,
			 const struct dirent_record *dirent)
{
	(void)name, (void)cookie, (void)dirent;
	return ++*(size_t *)arg < LISTED_MAX;
}

static bool count_version(void *arg, uint64_t number, const struct version_record *version)
{
	(void)number, (void)version;
	return ++*(size_t *)arg < LISTED_MAX;
}

static bool count_name_version(void *arg, const struct name_version *version)
{
	(void)version;
	return ++*(size_t *)arg < LISTED_MAX;
}

static bool count_record(void *arg, const struct log_record *record)
{
	return access_log_record(share, root, record, NULL) >= 0 && ++*(size_t *)arg < LISTED_MAX;
}

static bool count_tag(void *arg, struct view name, const struct tag_record *tag)
{
	(void)name, (void)tag;
	return ++*(size_t *)arg < LISTED_MAX;
}

static bool count_conflict(void *arg, uint64_t change, const struct conflict_record *conflict)
{
	(void)change, (void)conflict;
	return ++*(size_t *)arg < LISTED_MAX;
}

static bool count_finding(void *arg, const char *sentence)
{
	must(sentence[0]);
	return ++*(size_t *)arg < LISTED_MAX;
}

static bool count_row(void *arg, const struct cell *cells, size_t count)
{
	(void)cells;
	must(count <= ROW_CELLS_MAX);
	return ++*(size_t *)arg < LISTED_MAX;
}

static void read_content(uint64_t content)
{
	static uint8_t bytes[4096];
	struct content_ref ref;
	int n = content_stat(store_contents(share), content, &ref, NULL);

	must(may_be(n));
	for (uint64_t at = 0; n >= 0 && at < READ_MAX; at += (uint64_t)n) {
		n = content_read(store_contents(share), content, at, bytes, sizeof(bytes), NULL);
		must(may_be(n) && n <= (int)sizeof(bytes));
		if (n <= 0)
			break;
	}
	if (n >= 0)
		must(may_be(content_read(store_contents(share), content, ref.size - 1, bytes, 10,
					 NULL)));
}

static void read_document(uint64_t doc)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct document_record document;
	struct version_record version;
	size_t count = 0;

	must(may_be(document_get(share, doc, &document, &memory, NULL)));
	must(may_be(version_each(share, doc, 0, count_version, &count, NULL)));
	must(may_be(access_document(share, root, doc, NULL)));
	for (uint64_t number = 1; number <= 3; number++) {
		if (version_get(share, doc, number, &version, &memory, NULL) < 0)
			continue;
		must(may_be(access_version(share, root, doc, number, &version, NULL)));
		read_content(version.content);
	}
}

static void read_past(uint64_t ino, uint64_t head)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record record;
	struct dirent_record dirent;
	size_t count = 0;

	for (uint64_t at = 1; at <= head && at < 30; at += 4) {
		int rc = timeline_inode(share, at, ino, &record, &memory, NULL);

		must(may_be(rc));
		if (rc == 0)
			must(may_be(access_past(share, root, &record, NULL)));
		must(may_be(timeline_readdir(share, at, ino, 0, count_dirent, &count, NULL)));
		must(may_be(
			timeline_lookup(share, at, ino, view_str("budget.csv"), &dirent, NULL)));
	}
}

static void read_directory(uint64_t ino)
{
	struct dirent_record dirent;
	struct log_query query = { .under = ino, .limit = LISTED_MAX };
	int64_t times[8];
	uint64_t change;
	size_t count = 0;

	must(may_be(namespace_readdir(share, ino, 0, count_dirent, &count, NULL)));
	must(may_be(namespace_lookup(share, ino, view_str("budget.csv"), &dirent, NULL)));
	must(may_be(timeline_newest(share, ino, &change, times, NULL)));
	must(may_be(timeline_instants(share, ino, times, 8, NULL)));
	count = 0;
	must(may_be(timeline_names(share, ino, 0, 3, count_dirent, &count, NULL)));
	must(may_be(timeline_name(share, ino, view_str("new.xlsx"), count_dirent, &count, NULL)));
	must(may_be(timeline_name_versions(share, ino, view_str("budget.csv"), true,
					   count_name_version, &count, NULL)));
	must(may_be(timeline_name_versions(share, ino, view_str("gone.txt"), true,
					   count_name_version, &count, NULL)));
	must(may_be(timeline_conflicts(share, ino, count_conflict, &count, NULL)));
	must(may_be(tag_each(share, ino, count_tag, &count, NULL)));
	must(may_be(changelog_each(share, &query, count_record, &count, NULL)));
}

static void read_inode(uint64_t ino)
{
	CLEANUP(buf_release) struct buf path = { 0 };
	struct inode *inode;

	must(may_be(namespace_path(share, ino, &path, NULL)));
	must(may_be(access_directory(share, root, ino, NULL)));
	if (inode_get(share, ino, &inode, NULL) < 0)
		return;
	must(may_be(access_past_inode(share, root, &inode->r, NULL)));
	read_content(inode->r.content);
	inode_put(inode);
}

static void read_log(void)
{
	struct log_query query = { .by_uid = true, .uid = 4001, .limit = LISTED_MAX };
	size_t count = 0;

	must(may_be(changelog_each(share, &query, count_record, &count, NULL)));
	query.by_uid = false;
	must(may_be(changelog_each(share, &query, count_record, &count, NULL)));
	query.oldest_first = true;
	must(may_be(changelog_each(share, &query, count_record, &count, NULL)));
}

static void ask(const char *command, const char *path)
{
	size_t rows = 0;
	struct answer answer = { .row = count_row, .arg = &rows };
	struct control_context context = { .store = share,
					   .who = root,
					   .actor = { .name = view_str("somebody") } };
	struct request request = { 0 };

	snprintf(request.command, sizeof(request.command), "%s", command);
	if (path)
		request_add(&request, "path", view_str(path));
	must(may_be(control_run(&context, &request, &answer, NULL)));
}

static void read_all(void)
{
	struct verify_options options = { .read_contents = true };
	struct verify_report report;
	uint64_t head;
	int64_t time;
	size_t count = 0;

	store_head(share, &head, &time);
	read_log();
	for (uint64_t ino = 1; ino <= INODES; ino++) {
		read_inode(ino);
		read_directory(ino);
		read_past(ino, head);
	}
	for (uint64_t doc = 1; doc <= DOCUMENTS; doc++)
		read_document(doc);
	ask("status", NULL);
	ask("history", "dept/budget.csv");
	ask("log", "dept");
	ask("tags", "");
	ask("conflicts", "");
	must(may_be(verify_store(share, &options, count_finding, NULL, &count, &report, NULL)));
}

/* ---- and the history tree ---- */

static bool count_entry(void *arg, const char *name, const struct stat *st, uint64_t next)
{
	must(name[0] && strlen(name) <= NAME_LEN_MAX && !strchr(name, '/') && st && next);
	return ++*(size_t *)arg < LISTED_MAX;
}

static void list_node(struct history *tree, uint64_t node)
{
	struct history_handle *handle;
	char bytes[2048];
	bool keep, direct;
	size_t count = 0;

	if (history_opendir(tree, root, node, &handle, NULL) == 0) {
		must(may_be(history_readdir(handle, 0, count_entry, &count, NULL)));
		history_release(handle);
	}
	if (history_open_file(tree, root, node, &handle, &keep, &direct, NULL) == 0) {
		must(may_be(history_read(handle, 0, bytes, sizeof(bytes), NULL)));
		history_release(handle);
	}
}

static void browse(void)
{
	static const char *const paths[][4] = { { "changes.csv" },
						{ "files", "budget.csv" },
						{ "files", "gone.txt" },
						{ "at" },
						{ "at", "now", "budget.csv" },
						{ "at", "now", "secret" },
						{ "by", "anna" },
						{ "deleted" },
						{ "tags", "Q1 close" },
						{ "conflicts" } };
	struct history *tree;
	struct dirent_record dept;

	made(history_open(share, NULL, &tree, NULL));
	uint64_t start = namespace_lookup(share, ROOT_INODE, view_str("dept"), &dept, NULL) < 0
				 ? ROOT_INODE
				 : dept.ino;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct history_entry entry;
		int rc = history_is_node(start)
				 ? -1
				 : history_lookup(tree, root, start, view_str(HISTORY_NAME), &entry,
						  NULL);

		for (size_t depth = 0; rc == 0 && depth < 4; depth++) {
			list_node(tree, entry.node);
			if (!paths[i][depth])
				break;
			rc = history_lookup(tree, root, entry.node, view_str(paths[i][depth]),
					    &entry, NULL);
		}
		must(may_be(rc));
	}
	history_close(tree);
}

/* ---- changing it ---- */

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

static void change_all(void)
{
	struct pack_options pack = { .all = true, .pause = go_on };
	struct pack_report packed;
	struct repair_report repaired;
	struct dirent_record dirent;
	struct attributes mode = { .set_mode = true, .mode = 0600 };
	struct saved saved;
	struct inode *inode;
	uint64_t ino;

	if (namespace_lookup(share, ROOT_INODE, view_str("dept"), &dirent, NULL) == 0) {
		struct make make = { .mode = S_IFREG | 0644 };
		uint64_t dept = dirent.ino;

		if (namespace_make(share, &anna, dept, view_str("more"), &make, &inode, NULL) == 0)
			inode_put(inode);
		must(may_be(namespace_rename(share, &anna, dept, view_str("new.xlsx"), dept,
					     view_str("budget.csv"), 0, 0, &ino, NULL)));
		must(may_be(namespace_unlink(share, &ben, dept, view_str("link"), &ino, NULL)));
		must(may_be(namespace_rename(share, &ben, dept, view_str("secret"), ROOT_INODE,
					     view_str("s"), 0, 0, &ino, NULL)));
		must(may_be(version_restore_at(share, &ben, dept, view_str("gone.txt"), 4, 1,
					       &saved, NULL)));
	}
	for (ino = 1; ino <= INODES; ino++) {
		struct extent zero = { 0, 100, EXTENT_ZERO, 0, 0 };
		struct work work = { &zero, 1, 100, -1 };
		struct save save = { .work = &work, .mtime = 1 };

		must(may_be(version_save(share, &ben, ino, &save, &saved, NULL)));
		if (namespace_setattr(share, &anna, ino, &mode, &inode, NULL) == 0)
			inode_put(inode);
	}
	must(may_be(pack_run(share, &pack, &packed, NULL)));
	must(may_be(repair_store(share, &anna, false, go_on, NULL, &repaired, NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	struct error e = { 0 };

	share_begin();
	for (size_t i = 0; i < EDITS_MAX && in.left > 0; i++)
		edit(&in);
	if (how & 1)
		chain();
	if (how & 2)
		remove_key(FAMILY_META, view_str("live"));
	share_close();
	int rc = share_open(&e);
	must(rc == 0 || (rc == e.code && may_be(rc) && e.text[0]));
	if (rc < 0)
		return 0;
	read_all();
	browse();
	if (how & 4) {
		change_all();
		read_all();
	}
	share_close();
	return 0;
}
