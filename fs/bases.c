/* bases.c - see bases.h: a set-associative table, so that bounding it needs no bookkeeping. */
#include "bases.h"

#include <stdlib.h>

#include "store/lock.h"

#define SETS 8192
#define WAYS 4

struct base {
	uint32_t uid, tgid;
	uint64_t doc, version, used;
};

struct bases {
	struct lock lock;
	uint64_t clock;
	struct base (*at)[WAYS];
	void *own;
};

_Static_assert(SETS * WAYS * sizeof(struct base) == BASES_BYTES, "the table fills its memory");

int bases_new(void *memory, struct bases **ret, struct error *e)
{
	struct bases *bases = calloc(1, sizeof(*bases));
	void *own = memory ? NULL : calloc(1, BASES_BYTES);

	if (!bases || (!memory && !own)) {
		free(bases);
		free(own);
		return error_set(e, -E_NO_MEMORY, "out of memory for the sessions' table");
	}
	bases->own = own;
	bases->at = memory ? memory : own;
	for (size_t i = 0; memory && i < SETS * WAYS; i++) {
		if (bases->at[i / WAYS][i % WAYS].used > bases->clock)
			bases->clock = bases->at[i / WAYS][i % WAYS].used;
	}
	lock_init(&bases->lock, LOCK_FS_TABLE);
	*ret = bases;
	return 0;
}

void bases_free(struct bases *bases)
{
	if (!bases)
		return;
	lock_destroy(&bases->lock);
	free(bases->own);
	free(bases);
}

static struct base *set_of(struct bases *bases, const struct identity *who, uint64_t doc)
{
	uint64_t hash = (doc * 31 + who->tgid) * 31 + who->uid;

	return bases->at[(hash * 0x9e3779b97f4a7c15ull) >> 51];
}

static bool is_of(const struct base *base, const struct identity *who, uint64_t doc)
{
	return base->doc == doc && base->uid == who->uid && base->tgid == who->tgid;
}

void bases_set(struct bases *bases, const struct identity *who, uint64_t doc, uint64_t version)
{
	if (!doc || !who->tgid)
		return;
	lock_take(&bases->lock);
	struct base *set = set_of(bases, who, doc), *to = &set[0];
	for (int i = 0; i < WAYS; i++) {
		if (is_of(&set[i], who, doc)) {
			to = &set[i];
			break;
		}
		if (set[i].used < to->used)
			to = &set[i];
	}
	*to = (struct base){ who->uid, who->tgid, doc, version, ++bases->clock };
	lock_drop(&bases->lock);
}

uint64_t bases_get(struct bases *bases, const struct identity *who, uint64_t doc)
{
	uint64_t version = 0;

	lock_take(&bases->lock);
	struct base *set = set_of(bases, who, doc);
	for (int i = 0; i < WAYS; i++) {
		if (is_of(&set[i], who, doc)) {
			set[i].used = ++bases->clock;
			version = set[i].version;
		}
	}
	lock_drop(&bases->lock);
	return version;
}
