/* acl.c - see acl.h. */
#include "acl.h"

#define ACL_VERSION 2
#define HEADER 4
#define ENTRY 8

static unsigned little_endian(const uint8_t *p, unsigned width)
{
	unsigned v = 0;

	while (width--)
		v = v << 8 | p[width];
	return v;
}

static void put_little_endian(struct buf *out, uint32_t v, unsigned width)
{
	for (; width--; v >>= 8)
		buf_u8(out, (uint8_t)v);
}

static struct view entries(struct view acl)
{
	return acl.len < HEADER ? view_of(NULL, 0)
				: view_of((const uint8_t *)acl.data + HEADER, acl.len - HEADER);
}

static bool next_entry(struct view *rest, struct acl_entry *ret)
{
	const uint8_t *p = rest->data;

	if (rest->len < ENTRY)
		return false;
	*ret = (struct acl_entry){ little_endian(p, 2), little_endian(p + 2, 2),
				   little_endian(p + 4, 4) };
	*rest = view_of(p + ENTRY, rest->len - ENTRY);
	return true;
}

bool acl_next(struct view *rest, struct acl_entry *ret)
{
	if (rest->len % ENTRY == HEADER) /* still at the front */
		*rest = entries(*rest);
	return next_entry(rest, ret);
}

bool acl_is_valid(struct view acl)
{
	struct view rest = entries(acl);
	struct acl_entry at;
	unsigned last = 0, seen = 0;
	uint32_t last_id = 0;

	if (acl.len < HEADER || (acl.len - HEADER) % ENTRY ||
	    little_endian(acl.data, HEADER) != ACL_VERSION)
		return false;
	while (next_entry(&rest, &at)) {
		bool named = at.tag == ACL_TAG_USER || at.tag == ACL_TAG_GROUP;

		if ((at.tag & (at.tag - 1)) || at.tag == 0 || at.tag > ACL_TAG_OTHER ||
		    at.perm > 7 || at.tag < last)
			return false;
		if (at.tag == last && (!named || at.id < last_id))
			return false;
		last = at.tag;
		last_id = at.id;
		seen |= at.tag;
	}
	unsigned base = ACL_TAG_USER_OBJ | ACL_TAG_GROUP_OBJ | ACL_TAG_OTHER;
	return (seen & base) == base &&
	       (!(seen & (ACL_TAG_USER | ACL_TAG_GROUP)) || (seen & ACL_TAG_MASK));
}

uint32_t acl_mode(struct view acl)
{
	struct view rest = entries(acl);
	struct acl_entry at;
	uint32_t user = 0, group = 0, other = 0, mask = 8;

	while (next_entry(&rest, &at)) {
		if (at.tag == ACL_TAG_USER_OBJ)
			user = at.perm;
		else if (at.tag == ACL_TAG_GROUP_OBJ)
			group = at.perm;
		else if (at.tag == ACL_TAG_OTHER)
			other = at.perm;
		else if (at.tag == ACL_TAG_MASK)
			mask = at.perm;
	}
	return user << 6 | (mask < 8 ? mask : group) << 3 | other;
}

bool acl_is_mode_only(struct view acl)
{
	return acl.len == HEADER + 3 * ENTRY;
}

/* Appends acl with the three classes of mode put into the entries that stand for them. */
static void rewrite(struct buf *out, struct view acl, uint32_t mode)
{
	struct view rest = entries(acl), look = rest;
	struct acl_entry at;
	bool masked = false;

	while (next_entry(&look, &at))
		masked |= at.tag == ACL_TAG_MASK;
	put_little_endian(out, ACL_VERSION, HEADER);
	while (next_entry(&rest, &at)) {
		if (at.tag == ACL_TAG_USER_OBJ)
			at.perm = mode >> 6 & 7;
		else if (at.tag == (masked ? ACL_TAG_MASK : ACL_TAG_GROUP_OBJ))
			at.perm = mode >> 3 & 7;
		else if (at.tag == ACL_TAG_OTHER)
			at.perm = mode & 7;
		put_little_endian(out, at.tag, 2);
		put_little_endian(out, at.perm, 2);
		put_little_endian(out, at.id, 4);
	}
}

void acl_chmod(struct buf *out, struct view acl, uint32_t mode)
{
	rewrite(out, acl, mode);
}

uint32_t acl_inherit(struct buf *out, struct view parent_default, uint32_t mode)
{
	uint32_t cut = (mode & 0777) & acl_mode(parent_default);

	if (!acl_is_mode_only(parent_default))
		rewrite(out, parent_default, cut);
	return cut;
}
