/* lru.h - a bounded cache of decoded things by number; the least recently used go first.
 *
 * What is cached begins with a struct lru_entry and is one allocation, freed by free().  Entries
 * are immutable and counted: one that is evicted lives on until its last user drops it.  Called
 * from any thread; lock rank CONTENT. */
#ifndef DAYBOOK_LRU_H
#define DAYBOOK_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lock.h"

struct lru_entry {
	uint64_t key;
	size_t bytes;   /* what it counts against the bound */
	unsigned users; /* pins; guarded by the lock, as the rest */
	bool cached;
	struct lru_entry *newer, *older, *chain;
};

struct lru {
	struct lock lock;
	size_t bytes, bytes_max, count, slot_count;
	struct lru_entry *newest, *oldest, **slots;
};

int lru_init(struct lru *lru, size_t bytes_max); /* 0 or -E_NO_MEMORY */
/* Nobody holds an entry any more; accepts a zeroed one. */
void lru_release(struct lru *lru);

/* The entry with that key, pinned for the caller, or NULL. */
void *lru_find(struct lru *lru, uint64_t key);
/* Whether the key is cached; changes no order. */
bool lru_has(struct lru *lru, uint64_t key);
/* Caches entry, whose key and bytes are set and whose pin the caller keeps.  When the key is cached
 * already, that one stays, and entry is freed when the caller drops it. */
void lru_add(struct lru *lru, struct lru_entry *entry);
/* Takes the entry with that key, if there is one, out of the cache; its users keep theirs. */
void lru_remove(struct lru *lru, uint64_t key);
/* One more pin of an entry that is pinned. */
void lru_pin(struct lru *lru, struct lru_entry *entry);
/* Ends a pin; accepts NULL. */
void lru_drop(struct lru *lru, struct lru_entry *entry);

#endif
