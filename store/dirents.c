/* dirents.c - see dirents.h: a chained hash table whose entries are also a list by use.  A whole
 * directory, and one that is being listed, has an entry too, that of the empty name in it: its
 * state is that of all names that are not here, and the live ones that are here are a list. */
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
	struct name_entry *directory, *next, *before; /* of a live name: its directory's list */
	struct name_entry *first; /* of a directory: of how many, and which listing goes on */
	size_t live;
	uint64_t listing;
	uint8_t len;
	char name[];
};

struct dirents {
	struct lock lock;
	size_t bytes, bytes_max;
	uint64_t epoch;          /* counts commits */
	uint64_t listings;       /* counts those that began */
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

static struct name_entry *entry_of_directory(struct dirents *dirents, uint64_t directory)
{
	struct name_entry *entry = look_up(dirents, directory, view_of("", 0));

	if (entry)
		touch(dirents, entry);
	return entry;
}

static void leave_list(struct name_entry *entry)
{
	struct name_entry *directory = entry->directory;

	if (!directory)
		return;
	*(entry->before ? &entry->before->next : &directory->first) = entry->next;
	if (entry->next)
		entry->next->before = entry->before;
	directory->live--;
	entry->directory = entry->next = entry->before = NULL;
}

/* A name is in its directory's list when it is live; directory may be NULL. */
static void join_list(struct name_entry *entry, struct name_entry *directory)
{
	if (entry->state.live != DIRENT_THERE)
		leave_list(entry);
	if (entry->state.live != DIRENT_THERE || entry->directory || !directory)
		return;
	entry->directory = directory;
	entry->next = directory->first;
	if (entry->next)
		entry->next->before = entry;
	directory->first = entry;
	directory->live++;
}

static void let_go(struct dirents *dirents, struct name_entry *entry)
{
	struct name_entry **at = bucket_of(dirents, entry->parent, name_of(entry));

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	leave_list(entry);
	while (entry->first)
		leave_list(entry->first);
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

/* What is not known of a name is what its directory says of all; directory may be NULL. */
static void take_state(struct dirent_state *state, const struct name_entry *directory)
{
	if (directory && state->live == DIRENT_UNKNOWN)
		state->live = directory->state.live;
	if (directory && state->past == DIRENT_UNKNOWN)
		state->past = directory->state.past;
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
	}
	if (ret->live == DIRENT_UNKNOWN || ret->past == DIRENT_UNKNOWN)
		take_state(ret, entry_of_directory(dirents, parent));
	*ret_epoch = dirents->epoch;
	lock_drop(&dirents->lock);
}

/* With the lock held. */
static void keep(struct dirents *dirents, uint64_t parent, struct view name,
		 const struct dirent_state *state)
{
	struct name_entry *entry = look_up(dirents, parent, name);

	if (!entry)
		entry = add(dirents, parent, name);
	if (!entry)
		return;
	struct name_entry *directory = entry_of_directory(dirents, parent);
	if (directory != entry)
		take_state(&entry->state, directory);
	if (state->live != DIRENT_UNKNOWN) {
		entry->state.live = state->live;
		entry->state.live_record = state->live_record;
	}
	if (state->past != DIRENT_UNKNOWN) {
		entry->state.past = state->past;
		entry->state.past_record = state->past_record;
	}
	if (directory != entry)
		join_list(entry, directory);
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
	static const struct dirent_state nothing = { .live = DIRENT_NONE, .past = DIRENT_NONE };

	lock_take(&dirents->lock);
	keep(dirents, directory, view_of("", 0), &nothing);
	lock_drop(&dirents->lock);
}

/* ---- listing ---- */

uint64_t dirents_list_begin(struct dirents *dirents, uint64_t directory, size_t max)
{
	uint64_t listing = 0;

	lock_take(&dirents->lock);
	struct name_entry *entry = entry_of_directory(dirents, directory);
	if (!entry)
		entry = add(dirents, directory, view_of("", 0));
	if (entry && entry->state.live == DIRENT_UNKNOWN && !entry->listing)
		entry->listing = ++dirents->listings;
	if (entry && entry->live <= max)
		listing = entry->listing;
	lock_drop(&dirents->lock);
	return listing;
}

/* The directory's entry while that listing of it holds, else NULL. */
static struct name_entry *listed(struct dirents *dirents, uint64_t directory, uint64_t listing)
{
	struct name_entry *entry = entry_of_directory(dirents, directory);

	return entry && listing && entry->listing == listing ? entry : NULL;
}

void dirents_list_name(struct dirents *dirents, uint64_t directory, uint64_t listing,
		       struct view name, const struct dirent_record *record)
{
	lock_take(&dirents->lock);
	if (name.len && listed(dirents, directory, listing)) {
		struct name_entry *entry = look_up(dirents, directory, name);

		if (!entry)
			entry = add(dirents, directory, name);
		/* What a change has made of it meanwhile is newer. */
		if (entry && entry->state.live == DIRENT_UNKNOWN) {
			entry->state.live = DIRENT_THERE;
			entry->state.live_record = *record;
		}
		if (entry)
			join_list(entry, listed(dirents, directory, listing));
	}
	lock_drop(&dirents->lock);
}

void dirents_list_end(struct dirents *dirents, uint64_t directory, uint64_t listing)
{
	lock_take(&dirents->lock);
	struct name_entry *entry = listed(dirents, directory, listing);
	if (entry) {
		entry->listing = 0;
		entry->state.live = DIRENT_NONE;
	}
	lock_drop(&dirents->lock);
}

bool dirents_list(struct dirents *dirents, uint64_t directory, size_t max, struct buf *out)
{
	lock_take(&dirents->lock);
	struct name_entry *entry = entry_of_directory(dirents, directory);
	bool known = entry && entry->state.live == DIRENT_NONE && entry->live <= max;
	for (entry = known ? entry->first : NULL; entry; entry = entry->next) {
		buf_append(out, &entry->state.live_record, sizeof(entry->state.live_record));
		buf_u8(out, entry->len);
		buf_append(out, entry->name, entry->len);
	}
	lock_drop(&dirents->lock);
	return known;
}
