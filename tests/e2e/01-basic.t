#!/bin/bash
# Saving, looking back and putting back: what a person does on the first day.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"

as_sh "$anna" 'printf "one\n" > plan.txt'
is "a file reads back" "$(cat plan.txt)" one
is "its owner is who made it" "$(stat -c %U plan.txt)" "$anna"
is "one save, one version" "$(version_count plan.txt)" 1
between=$(instant)
next_second
as_sh "$ben" 'printf "one\ntwo\n" > plan.txt'

is "two saves, two versions" "$(version_count plan.txt)" 2
is "the names say who saved" "$(authors plan.txt)" "$anna $ben"
like "a version's name: stem, time, number, author, extension" "$(basename "$(version plan.txt 1)")" \
	"^plan\.[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}\.[0-9]{2}\.[0-9]{2}Z\.v1\.$anna\.txt\$"
is "the first is as it was" "$(cat "$(version plan.txt 1)")" one
is "the second is what is there" "$(cat "$(version plan.txt 2)")" "$(cat plan.txt)"
is "a version's size is right before it is read" "$(stat -c %s "$(version plan.txt 2)")" 8
is "a version belongs to who saved it" "$(stat -c %U "$(version plan.txt 2)")" "$ben"
saved=$(date -u -d "@$(stat -c %Y "$(version plan.txt 1)")" +%Y-%m-%d_%H.%M.%SZ)
like "a version's mtime is the time of the save" "$(version plan.txt 1)" "\.$saved\."
isnt "past and present have inode numbers of their own" "$(stat -c %i "$(version plan.txt 2)")" \
	"$(stat -c %i plan.txt)"

is "at/ a second between shows the first" "$(cat ".history/at/$between/plan.txt")" one
is "at/ now shows the second" "$(cat ".history/at/$(instant)/plan.txt")" "$(cat plan.txt)"
like "README.txt tells how to use this" "$(cat .history/README.txt)" "files/"
like "changes.csv names the file and both authors" "$(cat .history/changes.csv)" "plan\.txt.*"
like "changes.csv: anna" "$(cat .history/changes.csv)" "$anna"
like "changes.csv: ben" "$(cat .history/changes.csv)" "$ben"
is "the parts of .history" "$(cd .history && echo * | tr ' ' '\n' | sort | paste -sd ' ')" \
	"README.txt at by changes.csv conflicts deleted files tags"

unlike "readdir does not show .history" "$(ls -a)" history
is "find stays out of it" "$(find . -name '.history*' | wc -l)" 0
is "there is no .history in .history" "$(stat .history/files/.history 2>&1 | grep -c 'No such file')" 1

# the facts
is "xattr version" "$(fact plan.txt version)" 2
is "xattr author" "$(fact plan.txt author)" "$ben"
is "xattr digest is BLAKE2b-256" "$(fact plan.txt digest)" "$(digest_of plan.txt)"
like "xattr time" "$(fact plan.txt time)" "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}"
isnt "xattr document" "$(fact plan.txt document)" ""
is "an old version has its own facts" "$(fact "$(version plan.txt 1)" version) $(fact "$(version plan.txt 1)" author)" \
	"1 $anna"
is "an old version names its document" "$(fact "$(version plan.txt 1)" document)" "$(fact plan.txt document)"
is "the facts are not listed on a live file" "$(getfattr -d plan.txt)" ""
refuses "the facts cannot be set" "not permitted|not supported|denied" setfattr -n user.daybook.author -v me plan.txt

# putting back
document=$(fact plan.txt document)
check "cp puts an old version back" as "$anna" cp "$(version plan.txt 1)" plan.txt
is "cp: the content is back" "$(cat plan.txt)" one
is "cp: as a third version by who did it" "$(authors plan.txt)" "$anna $ben $anna"
is "cp: which says where it comes from" "$(fact plan.txt from)" "$document@1"
check "mv puts an old version back" as "$ben" mv "$(version plan.txt 2)" plan.txt
is "mv: the content is back" "$(cat plan.txt)" $'one\ntwo'
is "mv: as a fourth version" "$(authors plan.txt)" "$anna $ben $anna $ben"
is "mv: which says where it comes from" "$(fact plan.txt from)" "$document@2"
is "mv: the old version is still there" "$(cat "$(version plan.txt 2)")" $'one\ntwo'
is "it is the same document all the time" "$(fact plan.txt document)" "$document"

# the past is read-only
refuses "an old version cannot be written" "read-only" dd if=/dev/zero of="$(version plan.txt 1)" bs=1 count=1 conv=notrunc
refuses "nor removed" "read-only|not permitted|denied" rm -f "$(version plan.txt 1)"
refuses "nothing can be made in the past" "read-only|not permitted|denied" touch .history/files/new
refuses "nor in an instant" "read-only|not permitted|denied" touch ".history/at/$between/new"
is "nothing changed" "$(version_count plan.txt) $(cat "$(version plan.txt 1)")" "4 one"

# deleted
as "$anna" rm plan.txt
is "a deleted file is in deleted/" "$(find .history/deleted -type f -name 'plan.*' | wc -l)" 1
like "its name says when and by whom" "$(cd .history/deleted && echo plan.*)" "^plan\..*Z\.v4\.$anna\.txt\$"
is "with its last bytes" "$(cat .history/deleted/plan.*)" $'one\ntwo'
is "its versions are still in files/" "$(version_count plan.txt)" 4
check "it can be copied back" as "$anna" cp .history/deleted/plan.* plan.txt
is "and goes on as what it was" "$(fact plan.txt document) $(fact plan.txt version)" "$document 5"

# by/
is "by/ has everybody who changed something" "$(ls .history/by | sort | paste -sd ' ')" \
	"$anna $ben"
today=$(date -u +%Y-%m-%d)
like "by/ben/today has what ben saved" "$(ls ".history/by/$ben/$today")" "^plan\..*\.v2\.$ben\.txt"
unlike "and nothing of anna's" "$(ls ".history/by/$ben/$today")" "$anna"

# tags
check "mkdir in tags/ pins the instant" as "$anna" mkdir ".history/tags/before the change"
as_sh "$ben" 'echo three > plan.txt'
is "a tag shows what was then" "$(cat ".history/tags/before the change/plan.txt")" $'one\ntwo'
refuses "another user cannot remove it" "not permitted|denied" as "$ben" rmdir ".history/tags/before the change"
check "its owner can" as "$anna" rmdir ".history/tags/before the change"
is "and it is gone" "$(ls .history/tags)" ""

# times as people write them
hour=$(date -u +%Y-%m-%d_%H)
is "at/ an hour" "$(cat ".history/at/$hour/plan.txt")" three
is "at/ a day" "$(cat ".history/at/$today/plan.txt")" three
is "at/ a month" "$(cat ".history/at/${today%-*}/plan.txt")" three
refuses "at/ yesterday is before the share began" "No such file" ls .history/at/yesterday/plan.txt
refuses "at/ nonsense" "No such file" ls .history/at/nonsense
like "at/ lists the instants of changes" "$(ls .history/at)" "^[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}\.[0-9]{2}\.[0-9]{2}Z\$"

cd /
remount
is "all is there after a remount" "$(cat "$MNT/dept/plan.txt") $(version_count "$MNT/dept/plan.txt")" "three 6"
unmount_share
verify_clean "the store verifies"
done_testing
