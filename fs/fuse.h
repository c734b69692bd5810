/* fuse.h - the one place that includes libfuse, so that the API version is chosen once (3.14 and
 * later). */
#ifndef DAYBOOK_FS_FUSE_H
#define DAYBOOK_FS_FUSE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif
