/* bases.h - which version each session last opened for reading, for telling conflicts (a save's
 * `base`).
 *
 * A session is (uid, tgid).  Bounded: the least recently used are forgotten, which means "unknown",
 * never a false conflict. */
#ifndef DAYBOOK_FS_BASES_H
#define DAYBOOK_FS_BASES_H

#include "identity.h"

struct bases;

/* memory: BASES_BYTES that outlive the process, zero at first; NULL: the table has its own. */
#define BASES_BYTES (1ull << 20)
int bases_new(void *memory, struct bases **ret, struct error *e);
void bases_free(struct bases *bases);
void bases_set(struct bases *bases, const struct identity *who, uint64_t doc, uint64_t version);
uint64_t bases_get(struct bases *bases, const struct identity *who, uint64_t doc); /* 0: unknown */

#endif
