/* dirents.c - see dirents.h: a chained hash table whose entries are also a list by use.  The entry
 * of a whole directory is that of the empty name in it. */
#include "dirents.h"

#include <stdlib.h>
#define XXH_NO_STREAM
#include <xxhash.h>

#include "lock.h"

#define BUCKETS 65536 /* a power of two */

struct name_entry {
	struct name_entry *newer, *older, *chain;
	uint64_t parent;
	struct dirent_state state;
	uint8_t len;
	char name[];
};

struct dirents {
	struct lock lock;
	size_t bytes, bytes_max;
	uint64_t epoch;          /* counts commits */
	struct name_entry *newest, *oldest;
	struct name_entry *buckets[BUCKETS];
};

int dirents_new(size_t bytes, struct dirents **ret, struct error *e)
{
	struct dirents *dirents = calloc(1, sizeof(*dirents));

	if (!dirents)
		return error_set(e, -E_NO_MEMORY, "out of memory for the cache of names");
	lock_init(&dirents->lock, LOCK_CACHE);
	dirents->bytes_max = bytes;
	*ret = dirents;
	return 0;
}

void dirents_free(struct dirents *dirents)
{
	if (!dirents)
		return;
	for (struct name_entry *entry = dirents->oldest, *next; entry; entry = next) {
		next = entry->newer;
		free(entry);
	}
	lock_destroy(&dirents->lock);
	free(dirents);
}

static struct name_entry **bucket_of(struct dirents *dirents, uint64_t parent, struct view name)
{
	return &dirents->buckets[XXH3_64bits_withSeed(name.data, name.len, parent) & (BUCKETS - 1)];
}

static struct view name_of(const struct name_entry *entry)
{
	return view_of(entry->name, entry->len);
}

static size_t bytes_of(const struct name_entry *entry)
{
	return sizeof(*entry) + entry->len + 16;
}

static struct name_entry *look_up(struct dirents *dirents, uint64_t parent, struct view name)
{
	struct name_entry *at = *bucket_of(dirents, parent, name);

	while (at && (at->parent != parent || !view_equal(name_of(at), name)))
		at = at->chain;
	return at;
}

static void list_remove(struct dirents *dirents, struct name_entry *entry)
{
	*(entry->newer ? &entry->newer->older : &dirents->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &dirents->oldest) = entry->newer;
}

static void list_put_newest(struct dirents *dirents, struct name_entry *entry)
{
	entry->newer = NULL;
	entry->older = dirents->newest;
	*(dirents->newest ? &dirents->newest->newer : &dirents->oldest) = entry;
	dirents->newest = entry;
}

static void touch(struct dirents *dirents, struct name_entry *entry)
{
	list_remove(dirents, entry);
	list_put_newest(dirents, entry);
}

static bool is_whole(struct dirents *dirents, uint64_t directory)
{
	struct name_entry *entry = look_up(dirents, directory, view_of("", 0));

	if (entry)
		touch(dirents, entry);
	return entry != NULL;
}

static void let_go(struct dirents *dirents, struct name_entry *entry)
{
	struct name_entry **at = bucket_of(dirents, entry->parent, name_of(entry));

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	list_remove(dirents, entry);
	dirents->bytes -= bytes_of(entry);
	free(entry);
}

/* With a name its directory ceases to be whole. */
static void let_go_oldest(struct dirents *dirents)
{
	uint64_t parent = dirents->oldest->parent;

	let_go(dirents, dirents->oldest);
	struct name_entry *whole = look_up(dirents, parent, view_of("", 0));
	if (whole)
		let_go(dirents, whole);
}

/* A new entry, of which nothing is known; NULL when memory is out: then the directory is not
 * whole. */
static struct name_entry *add(struct dirents *dirents, uint64_t parent, struct view name)
{
	struct name_entry *entry = malloc(sizeof(*entry) + name.len),
			  **bucket = bucket_of(dirents, parent, name);

	if (!entry) {
		struct name_entry *whole = look_up(dirents, parent, view_of("", 0));

		if (whole)
			let_go(dirents, whole);
		return NULL;
	}
	*entry =
		(struct name_entry){ .chain = *bucket, .parent = parent, .len = (uint8_t)name.len };
	view_copy(entry->name, name);
	*bucket = entry;
	list_put_newest(dirents, entry);
	dirents->bytes += bytes_of(entry);
	while (dirents->bytes > dirents->bytes_max && dirents->oldest != entry)
		let_go_oldest(dirents);
	return entry;
}

void dirents_find(struct dirents *dirents, uint64_t parent, struct view name,
		  struct dirent_state *ret, uint64_t *ret_epoch)
{
	*ret = (struct dirent_state){ 0 };
	lock_take(&dirents->lock);
	struct name_entry *entry = name.len ? look_up(dirents, parent, name) : NULL;
	if (entry) {
		touch(dirents, entry);
		*ret = entry->state;
	} else if (is_whole(dirents, parent)) {
		ret->live = ret->past = DIRENT_NONE;
	}
	*ret_epoch = dirents->epoch;
	lock_drop(&dirents->lock);
}

/* With the lock held. */
static void keep(struct dirents *dirents, uint64_t parent, struct view name,
		 const struct dirent_state *state)
{
	struct name_entry *entry = look_up(dirents, parent, name);

	if (!entry) {
		bool whole = is_whole(dirents, parent);

		entry = add(dirents, parent, name);
		if (!entry)
			return;
		entry->state.live = entry->state.past = whole ? DIRENT_NONE : DIRENT_UNKNOWN;
	}
	if (state->live != DIRENT_UNKNOWN) {
		entry->state.live = state->live;
		entry->state.live_record = state->live_record;
	}
	if (state->past != DIRENT_UNKNOWN) {
		entry->state.past = state->past;
		entry->state.past_record = state->past_record;
	}
}

void dirents_offer(struct dirents *dirents, uint64_t parent, struct view name,
		   const struct dirent_state *state, uint64_t epoch)
{
	if (name.len == 0)
		return;
	lock_take(&dirents->lock);
	if (dirents->epoch == epoch)
		keep(dirents, parent, name, state);
	lock_drop(&dirents->lock);
}

void dirents_commit(struct dirents *dirents, uint64_t parent, struct view name,
		    const struct dirent_state *state)
{
	lock_take(&dirents->lock);
	dirents->epoch++;
	keep(dirents, parent, name, state);
	lock_drop(&dirents->lock);
}

void dirents_commit_new(struct dirents *dirents, uint64_t directory)
{
	static const struct dirent_state nothing;

	lock_take(&dirents->lock);
	keep(dirents, directory, view_of("", 0), &nothing);
	lock_drop(&dirents->lock);
}
