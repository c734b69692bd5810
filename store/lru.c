/* lru.c - see lru.h: a chained hash table whose entries are also a list by use. */
#include "lru.h"

#include <stdlib.h>

#include "error.h"

int lru_init(struct lru *lru, size_t bytes_max)
{
	*lru = (struct lru){ .bytes_max = bytes_max, .slot_count = 1024 };
	lock_init(&lru->lock, LOCK_CONTENT);
	lru->slots = calloc(lru->slot_count, sizeof(*lru->slots));
	return lru->slots ? 0 : -E_NO_MEMORY;
}

static struct lru_entry **slot_of(const struct lru *lru, uint64_t key)
{
	return &lru->slots[(key * 0x9e3779b97f4a7c15ull) >> 32 & (lru->slot_count - 1)];
}

static struct lru_entry *lookup(const struct lru *lru, uint64_t key)
{
	struct lru_entry *entry = *slot_of(lru, key);

	while (entry && entry->key != key)
		entry = entry->chain;
	return entry;
}

static void list_remove(struct lru *lru, struct lru_entry *entry)
{
	*(entry->newer ? &entry->newer->older : &lru->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &lru->oldest) = entry->newer;
}

static void list_put_newest(struct lru *lru, struct lru_entry *entry)
{
	entry->newer = NULL;
	entry->older = lru->newest;
	*(lru->newest ? &lru->newest->newer : &lru->oldest) = entry;
	lru->newest = entry;
}

static void evict(struct lru *lru, struct lru_entry *entry)
{
	struct lru_entry **at = slot_of(lru, entry->key);

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	list_remove(lru, entry);
	lru->bytes -= entry->bytes;
	lru->count--;
	entry->cached = false;
	if (entry->users == 0)
		free(entry);
}

void lru_release(struct lru *lru)
{
	if (!lru->slots)
		return;
	while (lru->oldest)
		evict(lru, lru->oldest);
	free(lru->slots);
	lock_destroy(&lru->lock);
	*lru = (struct lru){ 0 };
}

void *lru_find(struct lru *lru, uint64_t key)
{
	lock_take(&lru->lock);
	struct lru_entry *entry = lookup(lru, key);
	if (entry) {
		entry->users++;
		list_remove(lru, entry);
		list_put_newest(lru, entry);
	}
	lock_drop(&lru->lock);
	return entry;
}

bool lru_has(struct lru *lru, uint64_t key)
{
	lock_take(&lru->lock);
	bool has = lookup(lru, key) != NULL;
	lock_drop(&lru->lock);
	return has;
}

/* Doubles the table when chains grow long; a failed allocation only leaves them long. */
static void widen(struct lru *lru)
{
	struct lru wide = { .slot_count = 2 * lru->slot_count };

	wide.slots = calloc(wide.slot_count, sizeof(*wide.slots));
	if (!wide.slots)
		return;
	for (struct lru_entry *entry = lru->oldest; entry; entry = entry->newer) {
		struct lru_entry **slot = slot_of(&wide, entry->key);

		entry->chain = *slot;
		*slot = entry;
	}
	free(lru->slots);
	lru->slots = wide.slots;
	lru->slot_count = wide.slot_count;
}

void lru_add(struct lru *lru, struct lru_entry *entry)
{
	entry->users = 1;
	entry->cached = false;
	lock_take(&lru->lock);
	if (!lookup(lru, entry->key)) {
		struct lru_entry **slot = slot_of(lru, entry->key);

		entry->chain = *slot;
		*slot = entry;
		entry->cached = true;
		list_put_newest(lru, entry);
		lru->bytes += entry->bytes;
		if (++lru->count > lru->slot_count)
			widen(lru);
		while (lru->bytes > lru->bytes_max && lru->oldest)
			evict(lru, lru->oldest);
	}
	lock_drop(&lru->lock);
}

void lru_remove(struct lru *lru, uint64_t key)
{
	lock_take(&lru->lock);
	struct lru_entry *entry = lookup(lru, key);
	if (entry)
		evict(lru, entry);
	lock_drop(&lru->lock);
}

void lru_pin(struct lru *lru, struct lru_entry *entry)
{
	lock_take(&lru->lock);
	entry->users++;
	lock_drop(&lru->lock);
}

void lru_drop(struct lru *lru, struct lru_entry *entry)
{
	if (!entry)
		return;
	lock_take(&lru->lock);
	bool last = --entry->users == 0 && !entry->cached;
	lock_drop(&lru->lock);
	if (last)
		free(entry);
}
