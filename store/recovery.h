/* recovery.h - what a start finds from a daemon that did not close: unsaved bytes and files without
 * a name. */
#ifndef DAYBOOK_RECOVERY_H
#define DAYBOOK_RECOVERY_H

#include "store.h"

/* Turns each leftover journal in staging/ into a version of its author, flagged incomplete and
 * recovered (P1), drops orphans, and says in the store's report what it did.  A journal that cannot
 * be used is kept under a name that begins with "lost-", for half a year after it was written.
 * -E_NO_SPACE: nothing was dropped; free space and open again. */
int recovery_run(struct store *store, struct error *e);

/* The same, with a front end that goes on with what it knows: see store_take_over(). */
int recovery_take_over(struct store *store, const struct take_over *by, struct error *e);

#endif
