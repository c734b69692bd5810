/* orphans.c - see orphans.h. */
#include "orphans.h"

#include <string.h>

#include "log.h"

void orphans_init(struct orphans *orphans)
{
	inode_set_init(&orphans->set);
	lock_init(&orphans->lock, LOCK_FS_TABLE);
	orphans->count = 0;
}

void orphans_add(struct orphans *orphans, uint64_t ino)
{
	inode_set_add(&orphans->set, ino);
}

void orphans_adopt(struct orphans *orphans, uint64_t ino)
{
	inode_set_has(&orphans->set, ino, true);
}

bool orphans_forget(struct orphans *orphans, uint64_t ino)
{
	if (!inode_set_has(&orphans->set, ino, true))
		return true;
	lock_take(&orphans->lock);
	bool room = orphans->count < ORPHANS_FORGOTTEN_MAX;
	if (room)
		orphans->forgotten[orphans->count++] = ino;
	lock_drop(&orphans->lock);
	if (!room)
		inode_set_add(&orphans->set, ino);
	return room;
}

static size_t take(struct orphans *orphans, uint64_t inodes[ORPHANS_FORGOTTEN_MAX])
{
	lock_take(&orphans->lock);
	size_t n = orphans->count;
	memcpy(inodes, orphans->forgotten, n * sizeof(inodes[0]));
	orphans->count = 0;
	lock_drop(&orphans->lock);
	return n;
}

void orphans_drop(struct orphans *orphans, struct store *store,
		  bool (*is_open)(void *arg, uint64_t ino), void *arg)
{
	uint64_t inodes[ORPHANS_FORGOTTEN_MAX];
	size_t n = take(orphans, inodes), count = 0;
	struct error e = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (!is_open(arg, inodes[i])) {
			inodes[count++] = inodes[i];
			continue;
		}
		orphans_add(orphans, inodes[i]);
		orphans_forget(orphans, inodes[i]);
	}
	if (count && namespace_drop_orphans(store, inodes, count, &e) < 0)
		log_line(LOG_WARNING, "%zu inodes without a name are dropped at the next start: %s",
			 count, e.text);
}

static void drop(void *store, uint64_t ino)
{
	namespace_drop_orphan(store, ino, NULL);
}

void orphans_release(struct orphans *orphans, struct store *store)
{
	inode_set_release(&orphans->set, store ? drop : NULL, store);
	lock_destroy(&orphans->lock);
}
