/* packer.h - the thread that packs older versions while nobody works (store/pack.h). */
#ifndef DAYBOOK_FS_PACKER_H
#define DAYBOOK_FS_PACKER_H

#include "store/store.h"

struct packer;

/* Versions are packed when they were superseded age_s seconds ago and nothing changed for some
 * seconds; the thread has low priority, and rests as long as it works. */
int packer_start(struct store *store, unsigned age_s, struct packer **ret, struct error *e);
void packer_stop(struct packer *packer); /* within one version's packing; accepts NULL */

#endif
