/* order.h - what the kernel orders, told to ThreadSanitizer, which does not see it; nothing in any
 * other build.
 *
 * A handle is used only after the answer that gave it, released only when everything that was asked
 * of it has been answered, and a directory handle is read by one request at a time.  Nothing else
 * is told: what two requests do at once is a race unless we order it. */
#ifndef DAYBOOK_FS_ORDER_H
#define DAYBOOK_FS_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __SANITIZE_THREAD__

/* A request of n bytes was read from the device. */
void order_request(const void *request, size_t n);
/* An answer is about to be written, as struct fuse_out_header and what follows it. */
void order_answer(const struct iovec *iov, int count);

#else

static inline void order_request(const void *request, size_t n)
{
	(void)request, (void)n;
}

static inline void order_answer(const struct iovec *iov, int count)
{
	(void)iov, (void)count;
}

#endif

#endif
