/* names.c - what names in .history are made of and read as: store/names.h.
 * Input: a kind, a cookie, then the name. */
#include "fuzz.h"
#include "store/names.h"

static void check_shown(const char *shown)
{
	size_t n = strlen(shown);

	must(n > 0 && n <= NAMES_LEN_MAX);
	must(!strpbrk(shown, ":|?*<>\"\\/") && shown[n - 1] != '.' && shown[n - 1] != ' ');
}

static void try_raw(struct view raw, uint64_t cookie)
{
	char shown[NAMES_LEN_MAX + 1], read[NAMES_LEN_MAX + 1];
	size_t len;
	uint64_t cookie_read;

	if (raw.len == 0 || raw.len > NAMES_LEN_MAX || memchr(raw.data, '/', raw.len) ||
	    memchr(raw.data, '\0', raw.len) || view_equal(raw, view_str(".")) ||
	    view_equal(raw, view_str("..")))
		return;
	names_show(shown, raw, cookie);
	check_shown(shown);
	names_read(view_str(shown), read, &len, &cookie_read);
	must(view_equal(view_of(read, len), raw) || cookie_read == cookie);
}

static void try_version(struct view raw, struct input *in, uint64_t cookie)
{
	struct names_version v = { .raw = raw,
				   .cookie = cookie,
				   .number = take_number(in) >> 16,
				   .twin = take_u8(in),
				   .time = (int64_t)(take_number(in) % 9183110400ull) *
					   1000000000 };
	char shown[NAMES_LEN_MAX + 1], author[NAMES_AUTHOR_ROOM];

	if (raw.len == 0 || memchr(raw.data, '/', raw.len) || memchr(raw.data, '\0', raw.len))
		return;
	names_author(author, take(in, in->left), 1000, cookie & 1);
	v.author = view_str(author);
	names_version(shown, &v);
	check_shown(shown);
}

/* Anything at all, as somebody asks for it by lookup. */
static void try_shown(struct view shown)
{
	char raw[NAMES_LEN_MAX + 1];
	struct error e = { 0 };
	uint64_t cookie;
	size_t len;

	if (shown.len > NAMES_LEN_MAX)
		return;
	names_read(shown, raw, &len, &cookie);
	must(len <= NAMES_LEN_MAX);
	if (names_check(shown, &e) < 0)
		must(e.code == -E_NAME_BAD || e.code == -E_NAME_LONG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t kind = take_u8(&in);
	uint64_t cookie = (take_number(&in) | 4) & ((1ull << 62) - 1);

	if (kind % 3 == 0) {
		try_raw(take(&in, in.left), cookie);
	} else if (kind % 3 == 1) {
		struct view raw = take_string(&in);

		try_version(raw, &in, cookie);
	} else {
		try_shown(take(&in, in.left));
	}
	return 0;
}
