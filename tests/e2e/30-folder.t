#!/bin/bash
# 30-folder.t - daybook restore FOLDER --at TIME: all that was in it, with everybody's rights.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
D=$MNT/dept

restore_as()
{
	local user=$1
	shift
	as "$user" "$BUILD/daybook" restore "$@"
}

# shape DIRECTORY: names, types, link targets and contents, in order
shape()
{
	(cd "$1" && find . -mindepth 1 -printf '%P %y %l\n' | sort && find . -type f -print0 | sort -z | xargs -0 cat)
}

as_sh "$anna" 'mkdir -p "$1/project/drafts/deep" "$1/project/gone" && cd "$1/project" && echo plan >plan.txt &&
	for i in 1 2 3; do echo draft $i >drafts/$i.txt; echo old $i >gone/$i.txt; done && echo deep >drafts/deep/x &&
	ln -s plan.txt link && : >empty && echo same >same' "$D"
as "$ben" mkdir "$D/project/private"
as_sh "$ben" 'echo secret >"$1/key" && chmod 600 "$1/key"' "$D/project/private"
was=$(shape "$D/project")
next_second
then=$(instant)
next_second
as_sh "$anna" 'cd "$1/project" && echo other >plan.txt && rm -r gone link empty && rm drafts/2.txt && echo 3b >drafts/3.txt &&
	rm -r drafts/deep && echo later >later' "$D"

refuses "a folder has no version of its own" 'directory' restore_as "$anna" "$D/project" --version 1
refuses "nor a state before it was" 'began after that time' restore_as "$anna" "$D/project" --at 2020-01-01
out=$(restore_as "$anna" "$D/project" --at "$then" --json 2>"$T/said")
like "what she may not read is told" "$(cat "$T/said")" 'private/key: permission denied'
is "and nothing else keeps it from being put back" \
	"$(cd "$D/project" && cat plan.txt drafts/2.txt drafts/3.txt drafts/deep/x gone/1.txt link)" \
	"$(printf 'plan\ndraft 2\ndraft 3\ndeep\nold 1\nplan')"
is "what came later stays" "$(cat "$D/project/later")" later
rm "$D/project/later"
is "all of it is as it was" "$(shape "$D/project")" "$was"
is "a row for each file that got other bytes" "$(grep -c '^{' <<<"$out")" 7
unlike "none for one that had them" "$out" 'same'
is "each is a version by who asked" "$(daybook history "$D/project/plan.txt" --json | head -n 1 | grep -c "\"author\":\"$anna\"")" 1
is "once more, there is nothing to do" "$(daybook restore "$D/project" --at "$then" --json | wc -l)" 0

check "--to another place" daybook restore "$D/project" --at "$then" --to "$D/copy"
is "has everything" "$(shape "$D/copy")" "$was"
check "--to a directory that is there" daybook restore "$D/project" --at "$then" --to "$D/copy"
is "means the folder's name in it" "$(shape "$D/copy/project")" "$was"
rm -r "$D/project"
check "a folder that is gone comes back" daybook restore "$D/project" --at "$then"
is "with all that was in it" "$(shape "$D/project")" "$was"
exec 7>"$D/project/plan.txt"
echo unsaved >&7
check "a file that is open" daybook restore "$D/project" --at "$then"
exec 7>&-
is "is restored, too" "$(cat "$D/project/plan.txt")" plan
like "and its unsaved bytes are a version" \
	"$(for v in "$D"/project/.history/files/plan.txt/*.txt; do cat "$v"; done)" unsaved
mkdir "$D/wide"
for i in $(seq 600); do echo "$i" >"$D/wide/$i"; done
next_second
then=$(instant)
next_second
for i in $(seq 600); do echo "x$i" >"$D/wide/$i"; done
check "a folder of many files" daybook restore "$D/wide" --at "$then"
is "is restored" "$(cat "$D"/wide/* | sort -n | tail -n 1)" 600
check "and once more, on a terminal" script -qec "daybook restore $D/wide --at $then" "$T/typescript"
like "where it says how far it is" "$(tr '\r' '\n' <"$T/typescript")" '^512 done'
check "the share is whole" daybook verify "$MNT"
done_testing
