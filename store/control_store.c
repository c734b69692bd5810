/* control_store.c - the store as a whole: status, tags, verification. */
#include <sys/stat.h>
#include <unistd.h>

#include "changelog.h"
#include "checkpoint.h"
#include "control_parts.h"
#include "pack.h"
#include "key.h"
#include "timeline.h"
#include "verify.h"

/* One of what is known of a mount's processes (fs/holder.h); without a mount there is nothing to
 * say. */
static struct cell of_daemon(const struct control_context *context, struct cell cell)
{
	return context->workers ? cell : (struct cell){ .name = cell.name, .kind = CELL_NONE };
}

#define DAEMON_CELLS(context) \
	of_daemon(context, cell_number("holder", (context)->holder)), \
	of_daemon(context, cell_number("worker", (uint64_t)getpid())), \
	of_daemon(context, cell_number("restarts", (uint64_t)(context)->workers - 1)), \
	of_daemon(context, cell_time("mounted_time", (context)->mounted_ns)), \
	of_daemon(context, cell_time("started_time", (context)->started_ns))

int control_status(const struct command *c, struct error *e)
{
	struct packing_record packing;
	struct store_facts facts;
	struct digest chain;
	uint64_t head;
	char digest[DIGEST_TEXT];
	const char *recovered = store_recovery_report(c->store),
		   *mountpoint = c->context->mountpoint;
	int r = store_facts(c->store, &facts, e);

	if (r == 0)
		r = changelog_head(c->store, &head, &chain, e);
	if (r == 0)
		r = pack_facts(c->store, &packing, e);
	if (r < 0)
		return r;
	/* What recovery did names files: not for everybody. */
	if (c->who->uid != 0)
		recovered = "";
	struct cell cells[] = { cell_text("store", view_str(facts.path)),
				cell_text("share", view_str(facts.id)),
				cell_text_some("mountpoint",
					       view_str(mountpoint ? mountpoint : "")),
				cell_number("changes", head),
				control_digest("chain", &chain, digest),
				cell_time("first_time", facts.first_time),
				cell_time("last_time", facts.last_time),
				cell_number("live_files", facts.live_files),
				cell_number("live_bytes", facts.live_bytes),
				cell_number("versions", facts.versions),
				cell_number("version_bytes", facts.version_bytes),
				cell_number("content_bytes", facts.content_bytes),
				cell_number("index_bytes", facts.index_bytes),
				cell_number("packed_contents", packing.segments),
				cell_number("packed_bytes", packing.bytes),
				cell_number("packed_stored_bytes", packing.stored),
				cell_number("unswept_bytes", packing.unswept),
				cell_text_some("recovery", view_str(recovered)),
				DAEMON_CELLS(c->context) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

int control_restart(const struct command *c, struct error *e)
{
	if (c->who->uid != 0)
		return error_set(e, -E_NOT_PERMITTED, "only root may restart a share's daemon");
	if (!c->context->workers)
		return error_set(e, -E_NO_DAEMON,
				 "no daemon serves this store: there is nothing to restart");
	if (!c->context->can_restart(c->context->arg))
		return error_set(e, -E_INVALID,
				 "this kernel cannot hand a mount over: unmount the share and "
				 "mount it again");
	struct cell cells[] = { DAEMON_CELLS(c->context) };
	int r = control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
	if (r == 0)
		c->context->restart(c->context->arg);
	return r;
}

/* --- tags ----------------------------------------------------------------- */

/* Is directory ino the one at top, or below it?  1, 0 or a code. */
static int is_below(struct store *store, uint64_t ino, uint64_t top, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	struct inode_record inode;

	for (int depth = 0; depth < DEPTH_DAMAGED && ino != top; depth++) {
		int r = timeline_inode(store, UINT64_MAX, ino, &inode, &memory, e);

		if (r < 0 || ino == ROOT_INODE || inode.parent == 0)
			return r == -E_STALE ? 0 : r;
		ino = inode.parent;
	}
	return ino == top;
}

static int list_tag(const struct command *c, uint64_t directory, struct view name,
		    const struct tag_record *tag, struct error *e)
{
	CLEANUP(buf_release) struct buf path = { 0 };
	int r = access_place(c->store, c->who, directory, e);

	if (r <= 0)
		return r;
	r = namespace_path(c->store, directory, &path, e);
	if (r < 0 && r != -E_STALE && r != -E_NO_ENTRY)
		return r;
	struct cell cells[] = { cell_text("tag", name),
				cell_text("path", buf_view(&path)),
				cell_number("change", tag->change),
				cell_time("time", tag->time),
				cell_text("author", tag->author),
				cell_number("uid", tag->uid) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

int control_tags(const struct command *c, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	CLEANUP(kv_iter_release) struct kv_iter *it = NULL;
	struct view key, value;
	struct spot spot;
	int r = control_find(c, request_get(c->request, "path"), &spot, &memory, e);

	if (r < 0)
		return r;
	if (!spot.known || spot.type != S_IFDIR)
		return error_set(e, -E_NOT_DIR,
				 "tags are listed for a directory and what is below it");
	it = kv_iter_open(store_kv(c->store), NULL, FAMILY_TAG, view_of("", 0), false);
	while (r >= 0 && (r = kv_iter_next(it, &key, &value, e)) > 0) {
		struct reader in = reader_of(key);
		uint64_t directory = reader_u64(&in);
		struct view name = key_name_left(&in);
		struct tag_record tag;

		r = in.failed ? error_set(e, -E_CORRUPT, "a tag is damaged")
			      : tag_decode(&tag, value, e);
		if (r == 0)
			r = is_below(c->store, directory, spot.ino, e);
		if (r > 0)
			r = list_tag(c, directory, name, &tag, e);
	}
	return r;
}

/* --- checkpoints ---------------------------------------------------------- */

static int check_keeper(const struct command *c, const char *what, struct error *e)
{
	if (c->who->uid == 0 || c->who->uid == geteuid())
		return 0;
	return error_set(
		e, -E_DENIED,
		"permission denied: only root and the user that the store belongs to may %s it",
		what);
}

int control_checkpoint(const struct command *c, struct error *e)
{
	struct checkpoint checkpoint;
	struct store_facts facts;
	int r = check_keeper(c, "back up", e);

	if (r == 0)
		r = store_facts(c->store, &facts, e);
	if (r == 0)
		r = checkpoint_make(c->store, &checkpoint, e);
	if (r < 0)
		return r;
	struct cell cells[] = { cell_text("name", view_str(checkpoint.name)),
				cell_text("store", view_str(facts.path)),
				cell_text("share", view_str(facts.id)),
				cell_number("change", checkpoint.change),
				cell_time("time", checkpoint.time) };
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

int control_uncheckpoint(const struct command *c, struct error *e)
{
	CLEANUP(buf_release) struct buf name = { 0 };
	struct view given = request_get(c->request, "name");
	int r = check_keeper(c, "back up", e);

	if (r < 0)
		return r;
	buf_append(&name, given.data, given.len);
	return checkpoint_drop(c->store, buf_cstr(&name), e);
}

/* --- verification --------------------------------------------------------- */

static int tell_verified(const struct command *c, const char *damage, const char *lost,
			 const struct verify_report *report, struct error *e)
{
#define COUNT(what) (report ? cell_number(#what, report->what) : cell_number_some(#what, 0))
	struct cell cells[] = { cell_text_some("damage", view_str(damage)),
				COUNT(changes),
				COUNT(inodes),
				COUNT(dirents),
				COUNT(documents),
				COUNT(versions),
				COUNT(contents),
				COUNT(chunks),
				COUNT(bytes),
				COUNT(damaged),
				cell_text_some("lost", view_str(lost)) };
#undef COUNT
	return control_row(c, cells, sizeof(cells) / sizeof(cells[0]), e);
}

static bool tell_damage(void *arg, const char *sentence)
{
	return tell_verified(arg, sentence, "", NULL, NULL) == 0;
}

static bool tell_known(void *arg, const char *sentence)
{
	return tell_verified(arg, "", sentence, NULL, NULL) == 0;
}

static bool tell_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct answer *answer = ((const struct command *)arg)->answer;

	return !answer->progress || answer->progress(answer->arg, done, total);
}

#define RATE_MAX 1000000u /* MiB a second */
/* While people save: a durable save of 16 KiB took 1.1 times as long beside it, and twice as long
 * without a limit. */
#define RATE_BESIDE_SAVES 100

int control_verify(const struct command *c, struct error *e)
{
	struct verify_report report = { 0 };
	struct verify_options options = { .read_contents = true,
					  .only_new = control_flag(c, "quick"),
					  .resume = control_flag(c, "resume"),
					  .known = tell_known };
	uint64_t rate;
	int r, told;

	r = check_keeper(c, "verify", e);
	if (r == 0)
		r = control_number(c, "rate", c->context->workers ? RATE_BESIDE_SAVES : 0, &rate,
				   e);
	if (r < 0)
		return r;
	if (options.resume && options.only_new)
		return error_set(e, -E_USAGE, "--quick is over soon: there is nothing to resume");
	if (rate > RATE_MAX)
		return error_set(e, -E_USAGE, "--rate takes MiB a second, up to %u", RATE_MAX);
	options.rate_bytes = rate << 20;
	control_step_back();
	r = verify_store(c->store, &options, tell_damage, tell_progress, (void *)c, &report, e);
	if (r < 0 && r != -E_FAILED_VERIFY)
		return r;
	told = tell_verified(c, "", "", &report, e);
	return told < 0 ? told : r;
}
