/* orphan.c - see orphan.h. */
#include <stdlib.h>

#include "orphan.h"

struct orphan {
	struct orphan *next;
	uint64_t ino;
};

void orphans_init(struct orphans *orphans)
{
	*orphans = (struct orphans){ 0 };
	lock_init(&orphans->lock, LOCK_FS_TABLE);
}

static struct orphan **bucket_of(struct orphans *orphans, uint64_t ino)
{
	return &orphans->buckets[ino % ORPHAN_BUCKETS];
}

void orphans_add(struct orphans *orphans, uint64_t ino)
{
	struct orphan *orphan = malloc(sizeof(*orphan)), **bucket = bucket_of(orphans, ino);

	if (!orphan)
		return;
	orphan->ino = ino;
	lock_take(&orphans->lock);
	orphan->next = *bucket;
	*bucket = orphan;
	lock_drop(&orphans->lock);
}

bool orphans_have(struct orphans *orphans, uint64_t ino, bool take)
{
	struct orphan **at, *found;

	lock_take(&orphans->lock);
	for (at = bucket_of(orphans, ino); *at && (*at)->ino != ino; at = &(*at)->next)
		;
	found = *at;
	if (found && take)
		*at = found->next;
	lock_drop(&orphans->lock);
	if (take)
		free(found);
	return found != NULL;
}

void orphans_release(struct orphans *orphans, void (*each)(void *arg, uint64_t ino), void *arg)
{
	for (size_t i = 0; i < ORPHAN_BUCKETS; i++) {
		while (orphans->buckets[i]) {
			struct orphan *orphan = orphans->buckets[i];

			orphans->buckets[i] = orphan->next;
			if (each)
				each(arg, orphan->ino);
			free(orphan);
		}
	}
	lock_destroy(&orphans->lock);
}
