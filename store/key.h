/* key.h - the keys of format.h's families, built without allocating. */
#ifndef DAYBOOK_KEY_H
#define DAYBOOK_KEY_H

#include "format.h"

#define KEY_ROOM 288
struct key {
	uint8_t bytes[KEY_ROOM];
	size_t len;
};
struct key key_number(uint64_t a);
struct key key_numbers(uint64_t a, uint64_t b);
struct key key_name(uint64_t parent, uint64_t cookie, struct view name);
struct key key_past_name(uint64_t parent, uint64_t cookie, struct view name, uint64_t since);
struct key key_link(uint64_t ino, uint64_t parent, struct view name);
struct key key_tag(uint64_t directory, struct view name);
/* Of the indexes of the log: the entry for the block of changes that change is in. */
struct key key_by_user(uint32_t uid, uint64_t change);
struct key key_under(uint64_t directory, uint64_t change);
struct key key_by_digest(const struct digest *digest, uint64_t doc, uint64_t number);

/* Whether a name as a key holds it can be one: neither empty nor too long, no slash, no NUL. */
bool key_name_is_sound(struct view name);

/* The name that a key ends with, the rest of what is read; *r fails when it is not sound. */
struct view key_name_left(struct reader *r);

static inline struct view key_view(const struct key *key)
{
	return view_of(key->bytes, key->len);
}

#endif
