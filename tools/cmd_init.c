/* cmd_init.c - daybook init: makes a store. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "print.h"
#include "store/store.h"

static bool read_id(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*ret = (uint32_t)n;
	return text[0] >= '0' && text[0] <= '9' && !*end && n < UINT32_MAX;
}

/* "USER", "USER:GROUP", "USER:" (his own group), ":GROUP". */
static int read_owner(const char *text, uint32_t *uid, uint32_t *gid, struct error *e)
{
	const char *group = strchrnul(text, ':');
	CLEANUP(buf_release) struct buf name = { 0 };
	struct passwd *user;

	buf_append(&name, text, (size_t)(group - text));
	if (name.len && !read_id(buf_cstr(&name), uid)) {
		user = getpwnam(buf_cstr(&name));
		if (!user)
			return error_set(e, -E_USAGE, "--owner: there is no user %s",
					 buf_cstr(&name));
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	}
	if (*group && group[1] && !read_id(group + 1, gid)) {
		struct group *found = getgrnam(group + 1);

		if (!found)
			return error_set(e, -E_USAGE, "--owner: there is no group %s", group + 1);
		*gid = found->gr_gid;
	}
	return 0;
}

static int read_mode(const char *text, uint32_t *ret, struct error *e)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end || mode > 07777)
		return error_set(e, -E_USAGE, "--mode takes an octal number like 2775");
	*ret = (uint32_t)mode;
	return 0;
}

static void print_made(struct buf *out, const struct cell *cells, size_t count)
{
	print_text(out, cells, count, "store", 0);
	buf_printf(out, ": made; mount it with `daybook mount ");
	print_text(out, cells, count, "store", 0);
	buf_printf(out, " MOUNTPOINT`\n");
}

static int tell(const struct invocation *in, const char *path, struct error *e)
{
	struct store_options options = { .read_only = true };
	struct printer printer = { .row = print_made };
	struct answer answer = print_answer(&printer, false);
	struct store_facts facts;
	struct store *store;
	int r = store_open(path, &options, &store, e);

	if (r < 0)
		return r;
	r = store_facts(store, &facts, e);
	if (r == 0)
		r = print_format(in, &printer.format, e);
	if (r == 0) {
		struct cell cells[] = { cell_text("store", view_str(facts.path)),
					cell_text("share", view_str(facts.id)) };

		answer.row(answer.arg, cells, sizeof(cells) / sizeof(cells[0]));
	}
	store_close(store);
	return r;
}

int cmd_init(const struct invocation *in, struct error *e)
{
	uint32_t mode = 0755, uid = geteuid(), gid = getegid();
	int r = 0;

	if (option(in, "mode"))
		r = read_mode(option(in, "mode"), &mode, e);
	if (r == 0 && option(in, "owner"))
		r = read_owner(option(in, "owner"), &uid, &gid, e);
	if (r == 0)
		r = store_init(in->arguments[0], mode, uid, gid, e);
	return r < 0 ? r : tell(in, in->arguments[0], e);
}
