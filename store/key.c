/* key.c - see key.h. */
#include "key.h"

#include <assert.h>

static void add_bytes(struct key *key, const void *data, size_t n)
{
	assert(n <= sizeof(key->bytes) - key->len);
	if (n)
		memcpy(key->bytes + key->len, data, n);
	key->len += n;
}

static void add_number(struct key *key, uint64_t v, unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
	add_bytes(key, bytes, width);
}

struct key key_number(uint64_t a)
{
	struct key key = { .len = 0 };

	add_number(&key, a, 8);
	return key;
}

struct key key_numbers(uint64_t a, uint64_t b)
{
	struct key key = key_number(a);

	add_number(&key, b, 8);
	return key;
}

struct key key_name(uint64_t parent, uint64_t cookie, struct view name)
{
	struct key key = key_numbers(parent, cookie);

	add_bytes(&key, name.data, name.len);
	return key;
}

struct key key_past_name(uint64_t parent, uint64_t cookie, struct view name, uint64_t since)
{
	struct key key = key_name(parent, cookie, name);

	add_number(&key, 0, 1);
	add_number(&key, ~since, 8);
	return key;
}

struct key key_link(uint64_t ino, uint64_t parent, struct view name)
{
	return key_name(ino, parent, name);
}

struct key key_tag(uint64_t directory, struct view name)
{
	struct key key = key_number(directory);

	add_bytes(&key, name.data, name.len);
	return key;
}

struct key key_by_user(uint32_t uid, uint64_t change)
{
	struct key key = { .len = 0 };

	add_number(&key, uid, 4);
	add_number(&key, change / INDEX_BLOCK, 8);
	return key;
}

struct key key_under(uint64_t directory, uint64_t change)
{
	return key_numbers(directory, change / INDEX_BLOCK);
}

struct key key_by_digest(const struct digest *digest, uint64_t doc, uint64_t number)
{
	struct key key = { .len = 0 };

	add_bytes(&key, digest->bytes, DIGEST_LEN);
	add_number(&key, doc, 8);
	add_number(&key, number, 8);
	return key;
}

bool key_name_is_sound(struct view name)
{
	return name.len > 0 && name.len <= NAME_LEN_MAX && !view_has(name, '/') &&
	       !view_has(name, '\0');
}

struct view key_name_left(struct reader *r)
{
	struct view name = reader_bytes(r, reader_left(r));

	r->failed |= !key_name_is_sound(name);
	return name;
}
