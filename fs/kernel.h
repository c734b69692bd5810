/* kernel.h - the FUSE protocol where libfuse 3.14 ends: INIT flags that it does not send, and operations that it does
 * not know (statx for the birth time, O_TMPFILE, syncfs). */
#ifndef DAYBOOK_FS_KERNEL_H
#define DAYBOOK_FS_KERNEL_H

#include "mount.h"

/* libfuse's init operation: what the mount asks of the kernel. */
void kernel_init(void *userdata, struct fuse_conn_info *conn);

/* Looks at a request before libfuse does: true when it was answered here (or will be). */
bool kernel_handle(struct mount *m, int fd, const struct fuse_buf *request);

/* The device's writev: adds flags to the answer to INIT, and passes everything on. */
ssize_t kernel_writev(int fd, struct iovec *iov, int count, void *userdata);
ssize_t kernel_read(int fd, void *buf, size_t n, void *userdata);

#endif
