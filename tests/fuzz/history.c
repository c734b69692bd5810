/* history.c - paths below .history as anybody may write them: fs/history.h. Input: who asks, then
 * the path's names, each ended by a NUL; what they lead to is looked at, listed and read. */
#include "fs/history.h"
#include "share.h"
#include "store/clock.h"

static struct history *tree;

static bool count_entry(void *arg, const char *name, const struct stat *st, uint64_t next)
{
	must(name[0] && strlen(name) <= NAME_LEN_MAX && !strchr(name, '/'));
	must((st->st_mode & S_IFMT) && next);
	return ++*(size_t *)arg < 100;
}

static void list(const struct credentials *who, uint64_t node)
{
	struct history_handle *handle;
	size_t count = 0;

	if (history_opendir(tree, who, node, &handle, NULL) < 0)
		return;
	made(history_readdir(handle, 0, count_entry, &count, NULL));
	must(count >= 2);
	history_release(handle);
}

static void read_all(const struct credentials *who, uint64_t node)
{
	struct history_handle *handle;
	bool keep, direct;
	char bytes[4096];
	uint64_t at = 0;
	int n;

	if (history_open_file(tree, who, node, &handle, &keep, &direct, NULL) < 0)
		return;
	while ((n = history_read(handle, at, bytes, sizeof(bytes), NULL)) > 0)
		at += (uint64_t)n;
	must(n == 0);
	must(history_read(handle, UINT64_MAX, bytes, sizeof(bytes), NULL) == 0);
	history_seek(handle, at / 2, true, &at, NULL);
	history_release(handle);
}

static void look(const struct credentials *who, uint64_t node, struct view name)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct history_source source;
	struct stat st;

	if (history_getattr(tree, who, node, &st, NULL, NULL) < 0)
		return;
	history_listxattr(tree, who, node, &out, NULL);
	history_getxattr(tree, who, node, name, &out, NULL);
	history_source(tree, who, node, &source, NULL);
	if (S_ISDIR(st.st_mode))
		list(who, node);
	else if (S_ISREG(st.st_mode))
		read_all(who, node);
	else if (S_ISLNK(st.st_mode))
		history_readlink(tree, who, node, &out, NULL);
}

/* mkdir and rmdir of the last name: tags come and go. */
static void tag(const struct credentials *who, uint64_t parent, struct view name)
{
	struct actor actor = { .uid = who->uid, .gid = who->gid, .name = view_str("somebody") };
	struct history_entry entry;

	if (history_mkdir(tree, who, &actor, parent, name, &entry, NULL) == 0) {
		look(who, entry.node, name);
		history_forget(tree, entry.node, 1);
	}
	history_rmdir(tree, who, &actor, parent, name, NULL);
}

static void begin(void)
{
	history_close(tree);
	share_close();
	share_begin();
	made(history_open(share, NULL, &tree, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	struct credentials who = share_person(how);
	uint64_t nodes[32], at = how & 0x40 ? ROOT_INODE : 2;
	struct view name = view_str(HISTORY_NAME);
	size_t depth = 0;

	if (share_worn())
		begin();
	size_t held = history_node_count(tree);
	for (; depth < 32; depth++) {
		struct history_entry entry;
		struct error e = { 0 };
		int rc = history_lookup(tree, &who, at, name, &entry, &e);

		must(rc == 0 || (rc == e.code && rc != -E_CORRUPT));
		if (rc < 0)
			break;
		must(history_is_node(entry.node) && entry.st.st_ino);
		at = nodes[depth] = entry.node;
		const uint8_t *end = in.left ? memchr(in.at, '\0', in.left) : NULL;
		name = take(&in, end ? (size_t)(end - in.at) : in.left);
		take_u8(&in);
	}
	if (depth > 0) {
		look(&who, at, name);
		if (how & 0x80)
			tag(&who, at, name);
	}
	while (depth-- > 0)
		history_forget(tree, nodes[depth], 1);
	must(history_node_count(tree) == held);
	return 0;
}
