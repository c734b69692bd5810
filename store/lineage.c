/* lineage.c - see lineage.h; the rules' numbers are those of the design. */
#include "lineage.h"

#include <fnmatch.h>
#include <stdio.h>

enum lineage_fill lineage_fill(const struct dirent_record *past, int64_t now)
{
	if (!past || !past->doc || past->ended == SLOT_PASSED)
		return LINEAGE_NEW;
	if ((past->ended == SLOT_UNLINKED || past->ended == SLOT_MOVED) &&
	    now - past->until_time <= LINEAGE_REFILL_NS)
		return LINEAGE_CONTINUE;
	return LINEAGE_SUCCESSOR;
}

bool lineage_is_young(const struct document_record *doc, int64_t now)
{
	return doc->head < 2 && now - doc->born < LINEAGE_YOUNG_NS;
}

bool lineage_returns(uint64_t source_doc, const struct document_record *dest, int64_t now)
{
	return source_doc && dest->copy_of == source_doc && lineage_is_young(dest, now);
}

bool lineage_passes_through(const struct document_record *source,
			    const struct document_record *copy, int64_t now)
{
	return copy->copy_of_version < 2 && copy->born - source->born < LINEAGE_YOUNG_NS &&
	       now - copy->born < LINEAGE_YOUNG_NS;
}

bool lineage_dies_scratch(const struct document_record *doc, uint32_t uid, uint32_t tgid,
			  int64_t now)
{
	return doc->uid == uid && doc->tgid == tgid && now - doc->born < LINEAGE_SCRATCH_NS;
}

/* Patterns of fnmatch(3); eight hexadecimal digits are Excel's and Word's temporary files. */
static const char *const hint_names[] = {
	"~$*",
	".~lock.*#",
	"lu*.tmp",
	"~WR[DL]*",
	"*~RF*.TMP",
	".goutputstream-*",
	"*~",
	"#*#",
	".#*",
	".*.sw[a-p]",
	"4913",
	"._*",
	".DS_Store",
	"*.sb-*",
	"[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]",
};

bool lineage_is_hint_name(struct view name)
{
	char text[NAME_LEN_MAX + 1];

	if (name.len > NAME_LEN_MAX)
		return false;
	view_copy(text, name);
	text[name.len] = '\0';
	for (size_t i = 0; i < sizeof(hint_names) / sizeof(hint_names[0]); i++) {
		if (fnmatch(hint_names[i], text, 0) == 0)
			return true;
	}
	return false;
}

bool lineage_is_hidden(const struct document_record *doc, uint64_t size, int64_t now)
{
	int64_t end = doc->died ? doc->died : now;

	if (doc->absorbed_by || (doc->flags & DOCUMENT_SCRATCH))
		return true;
	return lineage_is_hint_name(doc->name) &&
	       (end - doc->born < LINEAGE_SCRATCH_NS || size <= LINEAGE_LOCK_SIZE);
}

bool lineage_is_passing(const struct dirent_record *past, int64_t began, bool lives)
{
	return (past->ended == SLOT_MOVED || past->ended == SLOT_REDOCUMENTED ||
		past->ended == SLOT_PASSED || (past->ended == SLOT_UNLINKED && lives)) &&
	       past->until_time - began < LINEAGE_YOUNG_NS;
}

bool lineage_folds_attributes(const struct version_record *version, uint32_t uid, uint32_t tgid,
			      int64_t now)
{
	bool same_session = version->tgid == tgid && (version->uid == uid || (uid == 0 && tgid));

	return same_session && now - version->time <= LINEAGE_FOLD_NS;
}

bool lineage_is_conflict(uint64_t base, uint64_t head, const struct version_record *head_version,
			 uint32_t uid)
{
	return base && base < head && head_version->uid != uid;
}

bool lineage_publishes(int64_t quiet, int64_t age, bool synced)
{
	return quiet >= (synced ? LINEAGE_SYNCED_NS : LINEAGE_IDLE_NS) || age >= LINEAGE_OPEN_NS;
}

bool lineage_is_incomplete(uint64_t size_before, uint64_t size_after, bool truncated, bool written)
{
	return truncated && !written && size_before > 0 && size_after == 0;
}
