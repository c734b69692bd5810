/* order.c - see order.h. */
#include "order.h"

#ifdef __SANITIZE_THREAD__

#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define ASKED_MAX 4096 /* requests under way */
#define CLOCKS 65536   /* handles whose order is told apart */

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* Requests under way that use a handle, or will be given one; relaxed, so that this orders nothing
 * itself. */
static struct {
	_Atomic uint64_t unique, handle;
	_Atomic uint32_t opcode;
} asked[ASKED_MAX];

static char given[CLOCKS];    /* told when a handle is given, heard by whoever uses it */
/* Told when something that was asked of it is answered, heard by who has it alone. */
static char answered[CLOCKS];

/* Whether a request's body begins with a handle. */
static bool uses_handle(uint32_t opcode)
{
	return opcode == FUSE_READ || opcode == FUSE_WRITE || opcode == FUSE_FLUSH ||
	       opcode == FUSE_FSYNC || opcode == FUSE_LSEEK || opcode == FUSE_FALLOCATE ||
	       opcode == FUSE_RELEASE || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS ||
	       opcode == FUSE_FSYNCDIR || opcode == FUSE_RELEASEDIR;
}

/* Whether the kernel sends nothing that could meet it meanwhile. */
static bool has_handle_alone(uint32_t opcode)
{
	return opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR || opcode == FUSE_READDIR ||
	       opcode == FUSE_READDIRPLUS;
}

/* Where in the answer a handle stands: -1 nowhere. */
static int handle_given_at(uint32_t opcode)
{
	if (opcode == FUSE_CREATE || opcode == FUSE_TMPFILE)
		return sizeof(struct fuse_entry_out);
	return opcode == FUSE_OPEN || opcode == FUSE_OPENDIR ? 0 : -1;
}

void order_request(const void *request, size_t n)
{
	const struct fuse_in_header *in = request;
	size_t slot = in->unique / 2 % ASKED_MAX; /* the kernel counts by twos */
	uint64_t handle = 0;

	if (n >= sizeof(*in) + sizeof(handle) && uses_handle(in->opcode))
		memcpy(&handle, in + 1, sizeof(handle));
	if (!handle && handle_given_at(in->opcode) < 0)
		return;
	atomic_store_explicit(&asked[slot].handle, handle, memory_order_relaxed);
	atomic_store_explicit(&asked[slot].opcode, in->opcode, memory_order_relaxed);
	atomic_store_explicit(&asked[slot].unique, in->unique, memory_order_relaxed);
	if (handle)
		__tsan_acquire(&given[handle % CLOCKS]);
	if (handle && has_handle_alone(in->opcode))
		__tsan_acquire(&answered[handle % CLOCKS]);
}

/* The handle that the answer gives; 0: none. */
static uint64_t given_in(const struct iovec *iov, int count, int at)
{
	uint8_t body[sizeof(struct fuse_entry_out) + sizeof(uint64_t)];
	size_t n = 0;
	uint64_t handle = 0;

	for (int i = 1; i < count && n < sizeof(body); i++) {
		size_t more = iov[i].iov_len < sizeof(body) - n ? iov[i].iov_len : sizeof(body) - n;

		memcpy(body + n, iov[i].iov_base, more);
		n += more;
	}
	if (at >= 0 && n >= (size_t)at + sizeof(handle))
		memcpy(&handle, body + at, sizeof(handle));
	return handle;
}

void order_answer(const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	size_t slot = out->unique / 2 % ASKED_MAX;

	if (!out->unique ||
	    atomic_load_explicit(&asked[slot].unique, memory_order_relaxed) != out->unique)
		return;
	uint32_t opcode = atomic_load_explicit(&asked[slot].opcode, memory_order_relaxed);
	uint64_t handle = atomic_load_explicit(&asked[slot].handle, memory_order_relaxed);
	uint64_t gives = out->error ? 0 : given_in(iov, count, handle_given_at(opcode));
	if (handle)
		__tsan_release(&answered[handle % CLOCKS]);
	if (gives)
		__tsan_release(&given[gives % CLOCKS]);
}

#endif
