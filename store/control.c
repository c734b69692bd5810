/* control.c - see control.h: finding the handler, checking its arguments, walking to what a path
 * means. */
#include "control.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_parts.h"
#include "timeline.h"

static const struct {
	const char *name, *arguments;
	int (*run)(const struct command *c, struct error *e);
} commands[] = {
#define X(word, arguments, what) { #word, arguments, control_##word },
	CONTROL_COMMANDS(X)
#undef X
};

/* Whether word is among the words, which are divided by blanks. */
static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; *at; at += at[0] == ' ') {
		size_t length = strcspn(at, " ");

		if (length == n && memcmp(at, word, n) == 0)
			return true;
		at += length;
	}
	return false;
}

int control_run(const struct control_context *context, const struct request *request,
		const struct answer *answer, struct error *e)
{
	struct command c = { context, request, answer, context->store, context->who };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, request->command) != 0)
			continue;
		for (size_t j = 0; j < request->count; j++) {
			if (!has_word(commands[i].arguments, request->arguments[j].name))
				return error_set(e, -E_USAGE,
						 "%s takes no argument %s: see `daybook %s --help`",
						 request->command, request->arguments[j].name,
						 request->command);
		}
		int rc = commands[i].run(&c, e);

		if (context->await_kernel)
			context->await_kernel(context->arg);
		return rc;
	}
	return error_set(
		e, -E_USAGE,
		"%s: there is no such command; daybookd may be older than daybook: restart it",
		request->command);
}

int control_number(const struct command *c, const char *name, uint64_t fallback, uint64_t *ret,
		   struct error *e)
{
	struct view text = request_get(c->request, name);
	const char *at = text.data;
	uint64_t n = 0;

	*ret = fallback;
	if (!text.data)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (at[i] < '0' || at[i] > '9' || n > (UINT64_MAX - 9) / 10)
			text.len = 0;
		else
			n = n * 10 + (uint64_t)(at[i] - '0');
	}
	if (text.len == 0)
		return error_set(e, -E_USAGE, "--%s takes a number", name);
	*ret = n;
	return 0;
}

bool control_flag(const struct command *c, const char *name)
{
	return view_equal(request_get(c->request, name), view_str("1"));
}

void control_step_back(void)
{
	setpriority(PRIO_PROCESS, (id_t)gettid(), 15);
}

int control_canceled(struct error *e)
{
	return error_set(e, -ECANCELED, "nobody listens to the answer any more");
}

int control_row(const struct command *c, const struct cell *cells, size_t count, struct error *e)
{
	return c->answer->row(c->answer->arg, cells, count) ? 0 : control_canceled(e);
}

struct cell control_digest(const char *name, const struct digest *digest, char *text)
{
	hex_encode(text, digest->bytes, DIGEST_LEN);
	return cell_text(name, view_of(text, 2 * DIGEST_LEN));
}

/* --- paths ---------------------------------------------------------------- */

/* Writes the path without needless slashes and dots to out. */
static int normalize(struct view path, struct buf *out, struct error *e)
{
	const char *at = path.data, *end = at ? at + path.len : at;

	buf_clear(out);
	while (at < end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct view name = view_of(at, (size_t)((slash ? slash : end) - at));

		at += name.len + 1;
		if (name.len == 0 || view_equal(name, view_str(".")))
			continue;
		if (view_equal(name, view_str("..")) || view_has(name, '\0'))
			return error_set(e, -E_NAME_BAD,
					 "a path from the share's root has no .. and no NUL in it");
		if (view_equal(name, view_str(HISTORY_NAME)))
			return error_set(e, -E_NAME_RESERVED,
					 "what is in " HISTORY_NAME
					 " is the past: name the file or directory itself");
		if (name.len > NAME_LEN_MAX)
			return error_set(e, -E_NAME_LONG,
					 "a name in the path is longer than %d bytes",
					 NAME_LEN_MAX);
		if (out->len)
			buf_u8(out, '/');
		buf_append(out, name.data, name.len);
	}
	return buf_check(out, e);
}

static bool take_first(void *arg, struct view name, uint64_t cookie,
		       const struct dirent_record *dirent)
{
	(void)name, (void)cookie;
	*(struct dirent_record *)arg = *dirent;
	return false;
}

/* The name in spot->parent: who bears it, or bore it last. */
static int find_name(const struct command *c, struct spot *spot, struct error *e)
{
	struct dirent_record dirent = { 0 };
	int r = timeline_name(c->store, spot->parent, spot->name, take_first, &dirent, e);

	if (r < 0)
		return r;
	spot->known = dirent.ino != 0;
	spot->live = spot->known && dirent.until == 0 && spot->parent_live;
	spot->ino = dirent.ino;
	spot->doc = dirent.doc;
	spot->type = (uint32_t)dirent.type & S_IFMT;
	return 0;
}

/* Also said of one that was there, to those who may not enter it. */
static int no_directory(const struct spot *spot, struct error *e)
{
	return error_set(e, -E_NO_ENTRY,
			 "%.*s: there is no such directory, nor was one that you may search",
			 (int)spot->name.len, (const char *)spot->name.data);
}

/* Steps from the spot into the directory that it is, which must let the caller search it. */
static int enter(const struct command *c, struct spot *spot, struct error *e)
{
	if (!spot->known)
		return no_directory(spot, e);
	if (spot->type != S_IFDIR)
		return error_set(e, -E_NOT_DIR, "%.*s: is not a directory", (int)spot->name.len,
				 (const char *)spot->name.data);
	int r = access_directory(c->store, c->who, spot->ino, e);
	if (r == 0 && !spot->live)
		return no_directory(spot, e);
	if (r == 0)
		return error_set(
			e, -E_DENIED,
			"%.*s: permission denied: you may not search a directory on the way",
			(int)spot->path.len, (const char *)spot->path.data);
	spot->parent = spot->ino;
	spot->parent_live = spot->live;
	return r < 0 ? r : 0;
}

int control_find(const struct command *c, struct view path, struct spot *ret, struct buf *memory,
		 struct error *e)
{
	struct spot spot = { .parent = ROOT_INODE,
			     .parent_live = true,
			     .known = true,
			     .live = true,
			     .ino = ROOT_INODE,
			     .type = S_IFDIR };
	int r = normalize(path, memory, e);
	const char *at = (const char *)memory->data, *end = at ? at + memory->len : at;

	spot.path = buf_view(memory);
	while (r == 0 && at < end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct view name = view_of(at, (size_t)((slash ? slash : end) - at));

		r = enter(c, &spot, e);
		if (r < 0)
			break;
		spot.name = name;
		at += name.len + 1;
		r = find_name(c, &spot, e);
	}
	if (r == 0)
		*ret = spot;
	return r;
}
