/* acl.c - access control lists as a client may set them: store/acl.h, and the rights that access.h
 * reads from them. Input: one byte of request, mode and ids in two bytes each, then the attribute's
 * value. */
#include "fuzz.h"
#include "store/access.h"
#include "store/acl.h"

static void try_walk(struct view acl)
{
	struct view rest = acl;
	struct acl_entry at;
	size_t n = 0;

	while (acl_next(&rest, &at))
		n++;
	must(n == (acl.len - 4) / 8);
}

static void try_modes(struct view acl, uint32_t mode)
{
	CLEANUP(buf_release) struct buf changed = { 0 }, inherited = { 0 };
	uint32_t of_new;

	must(acl_mode(acl) <= 0777);
	acl_chmod(&changed, acl, mode);
	must(acl_is_valid(buf_view(&changed)) && acl_mode(buf_view(&changed)) == (mode & 0777));
	of_new = acl_inherit(&inherited, acl, mode);
	must(of_new <= 0777 && (of_new & ~mode) == 0);
	must(inherited.len == 0 ? acl_is_mode_only(acl) : acl_is_valid(buf_view(&inherited)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int want = take_u8(&in) & 7;
	uint32_t mode = take_u8(&in) << 8 | take_u8(&in), group = take_u8(&in);
	struct credentials who = {
		.uid = take_u8(&in), .gid = take_u8(&in), .group_count = 1, .groups = &group
	};
	struct view acl = take(&in, in.left);

	/* Rights are read from whatever the store holds, so also from what is not valid. */
	bool granted = access_granted(&who, mode & 07777, 1, 2, acl, want);
	must(who.uid != 0 || granted || (want & ACCESS_SEARCH));
	if (!acl_is_valid(acl))
		return 0;
	try_walk(acl);
	try_modes(acl, mode & 07777);
	return 0;
}
