/* verify_log.c - the log is whole and chained, and its indexes say what it says. */
#include <sodium.h>

#include "clock.h"
#include "verify_parts.h"

#define N(x) ((unsigned long long)(x))

static uint64_t second_of(int64_t ns)
{
	return (uint64_t)(ns / NS_PER_SECOND);
}

/* Reports an index that lacks its entry for a change. */
static int expect_entry(struct verifier *v, enum family family, struct key key, const char *what,
			uint64_t change, struct error *e)
{
	struct view value;
	int r = verify_get(v, family, key, &value, e);

	return r == 0  ? verify_damage(v, "change %llu is missing from the index %s", N(change),
				       what)
	       : r < 0 ? r
		       : 0;
}

/* The second before has its entry, which names its last change, once a later second has one. */
static int check_clock(struct verifier *v, const struct log_record *r, struct error *e)
{
	uint64_t second = second_of(v->time), last = v->logged, named;
	struct view value;
	int found;

	if (last == 0 || second == second_of(r->time))
		return 0;
	found = verify_get(v, FAMILY_CLOCK, key_number(second), &value, e);
	struct reader in = reader_of(value);
	if (found < 0)
		return found;
	named = reader_varint(&in); /* of a gap, any change in it will do */
	if (!found || named < last || named >= r->change || !reader_done(&in))
		return verify_damage(
			v, "change %llu is missing from the index from times to changes", N(last));
	return 0;
}

static int check_indexes(struct verifier *v, const struct log_record *r, struct error *e)
{
	int rc = expect_entry(v, FAMILY_BY_USER, key_by_user((uint32_t)r->uid, r->change),
			      "of users", r->change, e);
	struct reader above = reader_of(r->above);

	while (rc == 0 && reader_left(&above) > 0) {
		uint64_t directory = reader_varint(&above);

		if (directory != ROOT_INODE)
			rc = expect_entry(v, FAMILY_UNDER, key_under(directory, r->change),
					  "of its directory", r->change, e);
	}
	if (rc == 0 && (above.failed || (r->parent && !(log_is_above(r, r->parent) &&
							log_is_above(r, ROOT_INODE)))))
		rc = verify_damage(v, "change %llu does not say below which directories it was",
				   N(r->change));
	return rc;
}

/* A save in the log must have its version, with its bytes unless a later save went into the same
 * version. */
static int check_saved(struct verifier *v, const struct log_record *r, struct error *e)
{
	struct version_record version;
	struct document_record document;
	struct view value;
	bool made = (r->op == OP_SAVE || r->op == OP_RESTORE) && r->doc && r->version &&
		    !(r->flags & LOG_UNCHANGED);
	int found =
		made ? verify_get(v, FAMILY_VERSION, key_numbers(r->doc, ~r->version), &value, e)
		     : 0;

	if (!made || found < 0)
		return found;
	if (found && version_decode(&version, value, NULL) == 0) {
		if (version.change < r->change ||
		    (version.change == r->change &&
		     memcmp(version.digest.bytes, r->digest_after.bytes, DIGEST_LEN) != 0))
			return verify_damage(v,
					     "document %llu, version %llu is not what change %llu "
					     "of the log saved",
					     N(r->doc), N(r->version), N(r->change));
		return 0;
	}
	/* A save that brought the old bytes back takes its provisional version away; the document's
	 * head tells. */
	found = verify_get(v, FAMILY_DOCUMENT, key_number(r->doc), &value, e);
	if (found < 0)
		return found;
	if (!found || document_decode(&document, value, NULL) < 0 || document.head >= r->version)
		return verify_damage(v,
				     "document %llu, version %llu is missing, which change %llu of "
				     "the log saved",
				     N(r->doc), N(r->version), N(r->change));
	return 0;
}

/* The gaps that the record names are no news. */
static void name_gaps(struct verifier *v, const struct log_record *r)
{
	struct log_gap *gaps = (struct log_gap *)v->gaps.data;

	for (size_t i = 0; i < v->gaps.len / sizeof(*gaps); i++) {
		if (changelog_names_gap(r, &gaps[i]))
			gaps[i].named = r->time;
	}
}

static int check_chain(struct verifier *v, const struct log_record *r, struct view encoded)
{
	int rc = 0;

	if (r->change != v->logged + 1) {
		struct log_gap gap = { .first = v->logged + 1,
				       .last = r->change - 1,
				       .before = v->chain,
				       .after = r->prev };

		buf_append(&v->gaps, &gap, sizeof(gap));
		rc = buf_check(&v->gaps, NULL);
	} else if (memcmp(r->prev.bytes, v->chain.bytes, DIGEST_LEN) != 0)
		rc = verify_damage(v,
				   "change %llu does not chain to the one before it: one of the "
				   "two was altered",
				   N(r->change));
	if (rc == 0 && r->time < v->time)
		rc = verify_damage(v, "change %llu is earlier than the one before it",
				   N(r->change));
	crypto_generichash(v->chain.bytes, DIGEST_LEN, encoded.data, encoded.len, NULL, 0);
	v->time = r->time;
	v->logged = r->change;
	if (r->op == OP_REPAIR)
		name_gaps(v, r);
	return rc;
}

bool verify_is_named_gap(const struct verifier *v, uint64_t change)
{
	const struct log_gap *gaps = (const struct log_gap *)v->gaps.data;

	for (size_t i = 0; i < v->gaps.len / sizeof(*gaps); i++) {
		if (gaps[i].named && change >= gaps[i].first && change <= gaps[i].last)
			return true;
	}
	return false;
}

/* What is missing was named by the repair that found it, or is damage. */
static int tell_gaps(struct verifier *v)
{
	const struct log_gap *gaps = (const struct log_gap *)v->gaps.data;
	char date[CLOCK_NAME_LEN + 1];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->gaps.len / sizeof(*gaps); i++) {
		const struct log_gap *gap = &gaps[i];

		clock_name(date, gap->named);
		if (gap->named)
			rc = verify_known(v,
					  "the log: its chain was broken at change %llu, where "
					  "changes up to %llu are missing, and "
					  "repaired on %s",
					  N(gap->first), N(gap->last), date);
		else if (gap->first == gap->last)
			rc = verify_damage(v, "change %llu is missing from the log", N(gap->first));
		else
			rc = verify_damage(v, "changes %llu to %llu are missing from the log",
					   N(gap->first), N(gap->last));
	}
	return rc;
}

static int check_record(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t number = reader_u64(&in);
	struct log_record r;
	int rc;

	if (!reader_done(&in))
		return verify_damage(v, "a key of the log is damaged");
	v->report.changes++;
	if (log_decode(&r, value, NULL) < 0 || r.change != number) {
		crypto_generichash(v->chain.bytes, DIGEST_LEN, value.data, value.len, NULL, 0);
		v->logged = number;
		return verify_damage(v, "change %llu: its record is damaged", N(number));
	}
	rc = check_clock(v, &r, e);
	if (rc == 0)
		rc = check_chain(v, &r, value);
	if (rc == 0)
		rc = check_indexes(v, &r, e);
	return rc == 0 ? check_saved(v, &r, e) : rc;
}

/* The log record of a change, from an index entry: 1, or 0 when it is absent or damaged (that was
 * reported). */
static int record_of(struct verifier *v, uint64_t change, struct log_record *ret, struct error *e)
{
	struct view value;
	int r = verify_get(v, FAMILY_LOG, key_number(change), &value, e);

	if (r > 0 && log_decode(ret, value, NULL) < 0)
		return 0;
	return r;
}

/* Whether a block has a change that is by the user or in and below the directory: 1; 0 when not; 1
 * as well when a record is absent or damaged. */
static int has_change(struct verifier *v, uint64_t block, bool by_user, uint64_t id,
		      struct error *e)
{
	for (uint64_t i = 0; i < INDEX_BLOCK; i++) {
		uint64_t change = block * INDEX_BLOCK + i;
		struct log_record r;
		int found = change ? record_of(v, change, &r, e) : 0;

		if (found < 0)
			return found;
		if (found ? (by_user ? r.uid == id : log_is_above(&r, id))
			  : change && change <= v->head)
			return 1;
	}
	return 0;
}

static int check_by_user(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint32_t uid = reader_u32(&in);
	uint64_t block = reader_u64(&in);

	if (!reader_done(&in) || value.len)
		return verify_damage(v, "an entry of the index of users is damaged");
	int found = has_change(v, block, true, uid, e);
	if (found != 0)
		return found < 0 ? found : 0;
	return verify_damage(v,
			     "the index of users gives one of the changes %llu to %llu to uid %u, "
			     "the log does not",
			     N(block * INDEX_BLOCK), N(block * INDEX_BLOCK + INDEX_BLOCK - 1), uid);
}

static int check_under(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key);
	uint64_t directory = reader_u64(&in), block = reader_u64(&in);

	if (!reader_done(&in) || value.len)
		return verify_damage(v, "an entry of the index of directories is damaged");
	int found = has_change(v, block, false, directory, e);
	if (found != 0)
		return found < 0 ? found : 0;
	return verify_damage(v,
			     "the index of directories has one of the changes %llu to %llu below "
			     "directory %llu, the log "
			     "has not",
			     N(block * INDEX_BLOCK), N(block * INDEX_BLOCK + INDEX_BLOCK - 1),
			     N(directory));
}

static int check_second(struct verifier *v, struct view key, struct view value, struct error *e)
{
	struct reader in = reader_of(key), number = reader_of(value);
	uint64_t second = reader_u64(&in), change = reader_varint(&number);
	struct log_record r;
	int found, next;

	if (!reader_done(&in) || !reader_done(&number))
		return verify_damage(v, "an entry of the index from times to changes is damaged");
	found = record_of(v, change, &r, e);
	if (found > 0 && second_of(r.time) == second) {
		next = record_of(v, change + 1, &r, e);
		if (next <= 0 || second_of(r.time) > second)
			return next < 0 ? next : 0;
	}
	if (found < 0 || (found == 0 && verify_is_named_gap(v, change)))
		return found;
	return verify_damage(v, "the index from times to changes is wrong at change %llu",
			     N(change));
}

int verify_log(struct verifier *v, struct error *e)
{
	int r = verify_each(v, FAMILY_LOG, check_record, e);

	if (r == 0)
		r = tell_gaps(v);
	if (r == 0 && v->head == 0)
		r = verify_damage(v, "the log is empty");
	if (r == 0)
		r = verify_each(v, FAMILY_BY_USER, check_by_user, e);
	if (r == 0)
		r = verify_each(v, FAMILY_UNDER, check_under, e);
	if (r == 0)
		r = verify_each(v, FAMILY_CLOCK, check_second, e);
	return r;
}
