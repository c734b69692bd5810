/* inode_set.c - see inode_set.h. */
#include <stdlib.h>

#include "inode_set.h"

struct inode_member {
	struct inode_member *next;
	uint64_t ino;
};

void inode_set_init(struct inode_set *set)
{
	*set = (struct inode_set){ 0 };
	lock_init(&set->lock, LOCK_FS_TABLE);
}

/* Where the member stands, or a new one would. */
static struct inode_member **find(struct inode_set *set, uint64_t ino)
{
	struct inode_member **at = &set->buckets[ino % INODE_SET_BUCKETS];

	while (*at && (*at)->ino != ino)
		at = &(*at)->next;
	return at;
}

bool inode_set_add(struct inode_set *set, uint64_t ino)
{
	struct inode_member *fresh = calloc(1, sizeof(*fresh)), **at;

	if (!fresh)
		return false;
	fresh->ino = ino;
	lock_take(&set->lock);
	at = find(set, ino);
	bool is_there = *at;
	if (!is_there)
		*at = fresh;
	lock_drop(&set->lock);
	if (is_there)
		free(fresh);
	return !is_there;
}

bool inode_set_has(struct inode_set *set, uint64_t ino, bool take)
{
	lock_take(&set->lock);
	struct inode_member **at = find(set, ino), *found = *at;
	if (found && take)
		*at = found->next;
	lock_drop(&set->lock);
	if (take)
		free(found);
	return found != NULL;
}

void inode_set_release(struct inode_set *set, void (*each)(void *arg, uint64_t ino), void *arg)
{
	for (size_t i = 0; i < INODE_SET_BUCKETS; i++) {
		while (set->buckets[i]) {
			struct inode_member *member = set->buckets[i];

			set->buckets[i] = member->next;
			if (each)
				each(arg, member->ino);
			free(member);
		}
	}
	lock_destroy(&set->lock);
}
