/* kernel.h - the FUSE protocol where libfuse 3.14 ends: INIT flags that it does not send, and
 * operations that it does not know (statx for the birth time, O_TMPFILE, syncfs). */
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

/* The greeting in the region is about to be told to libfuse once more: its answer is not for the
 * kernel. */
void kernel_expect_replay(const struct region *region);
/* Asks the kernel to send again what was read from the device and never answered. */
void kernel_resend(int fd);
/* In the number of a request that is sent again. */
#define KERNEL_RESENT (1ull << 63)

/* Answers a request by hand.  False when it was interrupted: the kernel did not take the answer. */
bool kernel_answer(int fd, uint64_t unique, int err, const void *data, size_t n);
struct fuse_attr;
void kernel_fill_attr(const struct stat *st, struct fuse_attr *to);

#endif
