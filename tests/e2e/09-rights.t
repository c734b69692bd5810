#!/bin/bash
# P4: the past shows nobody more than the live file would, names included.
. "$(dirname "$0")/lib.sh"

make_users anna ben eve
locked gpasswd -d "$eve" "$GROUP" || bail "eve is not of the group"
new_share
cd "$MNT/dept" || bail "the directory is there"

# What there is.  Every secret has SECRET in its bytes and hidden in its name.
as_sh "$anna" 'umask 077 && echo SECRET 1 >hidden-now.txt && echo SECRET 2 >hidden-now.txt
	echo SECRET closed >closed-then.txt
	mkdir hidden-dir && echo SECRET below >hidden-dir/hidden-file.txt && chmod 644 hidden-dir/hidden-file.txt
	echo SECRET deleted >hidden-deleted.txt && rm hidden-deleted.txt
	mkdir hidden-tree && echo SECRET tree >hidden-tree/hidden-leaf.txt && rm -r hidden-tree
	echo SECRET moved >hidden-a.txt && mv hidden-a.txt hidden-b.txt
	ln -s "hidden target" hidden-dir/hidden-link'
as_sh "$anna" 'umask 022 && echo SECRET as it was open >open-then.txt
	echo deleted >open-deleted.txt && rm open-deleted.txt'
as_sh "$anna" 'mkdir ".history/tags/a tag" && mkdir "hidden-dir/.history/tags/hidden tag"'
as "$anna" chmod 600 open-then.txt
as "$anna" chmod 644 closed-then.txt
as_sh "$anna" 'umask 022 && echo now open >closed-then.txt'
as "$ben" sh -c 'umask 007; echo group 1 >for-group.txt; echo group 2 >for-group.txt'
as_sh "$anna" 'umask 077; echo SECRET for one >for-one.txt; setfacl -m "u:$1:r" for-one.txt
	echo SECRET for two >>for-one.txt' "$ben"
now=$(instant)
today=$(date -u +%Y-%m-%d)

# sees USER: all that the history shows to him: names and bytes, of everything, one stream
sees()
{
	as_sh "$1" 'for part in files by deleted conflicts tags "at/$2" "at/$1"; do
			find ".history/$part" 2>/dev/null
			find ".history/$part" -type f -exec cat {} + 2>/dev/null
			find ".history/$part" -type l -exec readlink {} + 2>/dev/null
		done
		cat .history/changes.csv
		find . -name "hidden*" -prune -o -type d -print 2>/dev/null
		daybook log . ; daybook log --json .; daybook tags . ; daybook conflicts .
		for name in hidden-now.txt hidden-deleted.txt open-then.txt hidden-a.txt hidden-dir/hidden-file.txt \
			hidden-tree/hidden-leaf.txt; do
			daybook history --all "$name" | sed "s/^/daybook history: /"
			ls ".history/files/$name" 2>/dev/null
		done' "$now" "$today"
}

ben_sees=$(sees "$ben" 2>/dev/null)
eve_sees=$(sees "$eve" 2>/dev/null)
root_sees=$(sees root 2>/dev/null)
# "SECRET for one" is ben's by ACL.
unlike "who may not read sees no secret bytes" "$(grep -v 'SECRET for' <<<"$ben_sees")" SECRET
unlike "nor does who is not of the group, ACL or no" "$eve_sees" SECRET
for name in hidden-deleted hidden-file hidden-leaf hidden-link "hidden tag" "hidden target"; do
	unlike "no name: $name" "$ben_sees" "$name"
	like "root sees it: $name" "$root_sees" "$name"
done
for part in files by deleted conflicts tags; do
	unlike "$part/: none of the names that may not be read" "$(as "$ben" find ".history/$part" 2>/dev/null)" hidden
done
unlike "changes.csv: no such name" "$(as "$ben" cat .history/changes.csv)" hidden
like "changes.csv: the names that may be read" "$(as "$ben" cat .history/changes.csv)" for-group.txt
unlike "daybook log: no such name" "$(as "$ben" daybook log .)" hidden
like "daybook log: the names that may be read" "$(as "$ben" daybook log .)" for-group.txt
like "root sees all bytes" "$root_sees" "SECRET closed"
like "root sees all bytes: deleted" "$root_sees" "SECRET tree"

# The mode now and the mode then.
refuses "a file that was closed later: its open past is closed too" "denied|No such" \
	as "$ben" cat "$(version open-then.txt 1)"
refuses "and by at/" "denied|No such" as "$ben" cat ".history/at/$now/open-then.txt"
is "its owner reads it" "$(as "$anna" cat "$(version open-then.txt 1)")" "SECRET as it was open"
refuses "a file that was closed then stays closed for then" "denied|No such" \
	as "$ben" cat "$(version closed-then.txt 1)"
is "and what is open now can be read" "$(as "$ben" cat "$(version closed-then.txt 2)")" "now open"
is "its name shows only what may be read" "$(as "$ben" ls .history/files/closed-then.txt | grep -c '\.v')" 1
refuses "daybook history says no more" "denied|no such" as "$ben" daybook history hidden-now.txt
refuses "no version of it can be put back by another" "denied|No such|no such|not permitted" \
	as "$ben" daybook restore --version 1 --to stolen.txt hidden-now.txt
is "and nothing was made" "$(ls stolen.txt 2>/dev/null)" ""
refuses "the facts of a file that may not be read" "denied|No such|no such" \
	as "$ben" getfattr -n user.daybook.digest "$(version hidden-now.txt 1)"
refuses "a name guessed" "No such|denied" \
	as "$ben" cat .history/files/hidden-now.txt/"$(basename "$(version hidden-now.txt 1)")"
refuses "a directory without permission: its history" "denied|No such" as "$ben" ls hidden-dir/.history/files
refuses "and by at/" "denied|No such" as "$ben" cat ".history/at/$now/hidden-dir/hidden-file.txt"
refuses "and listed" "denied|No such" as "$ben" ls ".history/at/$now/hidden-dir"
refuses "in a tag" "denied|No such" as "$ben" ls ".history/tags/a tag/hidden-dir"

# Deleted.
like "deleted/: what was open" "$(as "$eve" ls .history/deleted)" open-deleted
is "deleted/: its bytes" "$(as "$eve" sh -c 'cat .history/deleted/open-deleted*')" deleted
like "deleted/: its owner sees his own" "$(as "$anna" ls .history/deleted)" hidden-deleted
is "and reads it" "$(as "$anna" sh -c 'cat .history/deleted/hidden-deleted*')" "SECRET deleted"
check "a directory that is closed now closes its deleted files" chmod 750 .
unlike "also to who could read them" "$(as "$eve" ls .history/deleted 2>&1)" open-deleted
refuses "in any way" "denied" as "$eve" cat .history/changes.csv
chmod 2775 .

# Grants do work.
is "a group's file: its group" "$(as "$anna" cat "$(version for-group.txt 1)")" "group 1"
refuses "a group's file: not of the group" "denied|No such" as "$eve" cat "$(version for-group.txt 1)"
like "an ACL's grant: the name" "$(as "$ben" ls .history/files)" for-one.txt
like "an ACL's grant: the bytes" "$(as "$ben" cat "$(version for-one.txt 2)")" "for two"
unlike "an ACL's grant: nobody else's" "$(as "$eve" ls .history/files)" for-one.txt
as "$anna" setfacl -b for-one.txt
refuses "an ACL's grant: gone when it is taken back" "denied|No such" as "$ben" cat "$(version for-one.txt 2)"
as "$anna" setfacl -m "u:$eve:r" for-one.txt
refuses "who was granted it later does not read what was before" "denied|No such" \
	as "$eve" cat "$(version for-one.txt 2)"

# A rename does not open anything, nor does it close.
unlike "both names of a file that was moved" "$ben_sees" "hidden-[ab]"
like "its owner finds both" \
	"$(as "$anna" sh -c 'cd .history/files && ls hidden-a.txt hidden-b.txt' | paste -sd ' ')" \
	"hidden-a.*v1.*hidden-b.*v1"
refuses "verify is for root" "denied|root|permi" as "$ben" daybook verify "$MNT"

cd /
unmount_share
verify_clean "the store verifies"
done_testing
