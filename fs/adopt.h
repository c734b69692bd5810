/* adopt.h - open files go on where another worker left them (resent.h): what file.h knows of a
 * file, found again from its handles and its journal. */
#ifndef DAYBOOK_FS_ADOPT_H
#define DAYBOOK_FS_ADOPT_H

#include "file.h"
#include "handle.h"
#include "store/staging.h"

/* Opens the file of a handle that another worker opened. */
int adopt_handle(struct files *files, struct store *store, struct handle *handle, struct error *e);
/* The handle's unsaved bytes, found in a journal of its file's; the staging is the file's then. */
void adopt_staging(const struct handle *handle, const struct staging_origin *origin,
		   struct staging *staging, bool dirty);
/* What the handle had written was saved by the worker that died. */
void adopt_saved(struct store *store, struct file *file, struct handle *handle);
/* The handle was opened for a request that comes again: it is let go, with what it did. */
void adopt_discard(struct file *file, const struct handle *handle);

#endif
