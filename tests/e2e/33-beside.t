#!/bin/bash
# 33-beside.t - imports beside durable saves: they are held back a little, and nothing else about them changes.
. "$(dirname "$0")/lib.sh"

FILES=150

# save_on: durable saves, one after the other, until they are told to end
save_on()
{
	"$PYTHON" - "$MNT/saves" "$T/over" <<-END
		import os, sys
		folder, over = sys.argv[1:]
		saves = 0
		while not os.path.exists(over):
		    fd = os.open(f'{folder}/new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
		    os.write(fd, b'save %d\n' % saves)
		    os.fsync(fd)
		    os.close(fd)
		    os.rename(f'{folder}/new', f'{folder}/document')
		    saves += 1
		print(saves)
	END
}

saves_begin()
{
	rm -f "$T/over"
	save_on >"$T/saved" &
	saver=$!
	wait_for 10 test -e "$MNT/saves/document"
}

saves_end()
{
	touch "$T/over"
	wait "$saver"
	result $? "the saves beside $1" && diag "$(cat "$T/saved") saves"
}

# held: how many changes were held back by daemons that have ended, by what they said
held()
{
	awk '/held back/ { for (i = 1; i < NF; i++) if ($i == "back") n += $(i + 1) } END { print n + 0 }' "$LOG"
}

# more_were_held NAME: than when it was last asked
seen=0
more_were_held()
{
	[ "$(held)" -gt "$seen" ]
	result $? "$1" || diag "$(held) in all"
	seen=$(held)
}

mkdir -p "$T/tree/a/b" "$T/tree/c"
for i in $(seq $FILES); do
	echo "file $i" >"$T/tree/$i"
	echo "another $i" >"$T/tree/a/b/$i"
	ln -s "$i" "$T/tree/c/$i"
done

# --- alone -----------------------------------------------------------------------------------------------------------

check "a store" daybook init "$STORE"
mount_share -o debug
mkdir "$MNT/saves"
check "a copy" cp -a "$T/tree" "$MNT/alone"
check "a few durable saves" sync "$MNT"/alone/[1-5]
unmount_share
is "alone nobody is held back" "$(held)" 0

# --- beside saves -----------------------------------------------------------------------------------------------------

mount_share -o debug
saves_begin
check "a copy beside saves" cp -a "$T/tree" "$MNT/beside"
cp -a "$T/tree" "$MNT/one" &
copier=$!
check "two at once" cp -a "$T/tree" "$MNT/two"
wait $copier
result $? "and the other"
saves_end "copies"
for copy in beside one two; do
	check "the copy is whole: $copy" diff -r --no-dereference "$T/tree" "$MNT/$copy"
done
is "with its times" "$(stat -c %Y "$MNT/beside/a/b/7")" "$(stat -c %Y "$T/tree/a/b/7")"
saves_begin
check "a tree is removed beside saves" rm -r "$MNT/one"
saves_end "a removal"
is "it is gone" "$(ls -A "$MNT/one" 2>&1)" "ls: cannot access '$MNT/one': No such file or directory"
unmount_share
more_were_held "importers were held back"

# gives_way: whether a thread of the daemon has the niceness of long work
gives_way()
{
	local stat
	for stat in "/proc/$(cat "$STORE/LOCK")"/task/*/stat; do
		[ "$(sed 's/.*) //' "$stat" 2>/dev/null | cut -d ' ' -f 17)" != 15 ] || return 0
	done
	return 1
}

mount_share -o pack=off
gives_way
isnt "nothing runs at a low priority" $? 0
for command in "verify" "pack --now"; do
	rm -f "$T/seen"
	# shellcheck disable=SC2086
	while [ ! -e "$T/seen" ] && daybook $command "$MNT"; do :; done >/dev/null &
	working=$!
	wait_for 20 gives_way
	result $? "saves go before $command"
	touch "$T/seen"
	wait $working
done
unmount_share

# --- in between ------------------------------------------------------------------------------------------------------

mount_share -o debug
saves_begin
cp -a "$T/tree" "$MNT/killed" &
copier=$!
wait_for 30 test -e "$MNT/killed/a/b/5"
kill -KILL $copier
{ wait_for 5 gone $copier; } 2>/dev/null
result $? "a copier that is held back can be killed"
cp -a "$T/tree" "$MNT/restarted" &
copier=$!
wait_for 30 test -e "$MNT/restarted/a/b/5"
check "another process takes over" daybook restart "$MNT"
wait $copier
result $? "the copy goes on"
saves_end "a restart"
check "the copy is whole" diff -r --no-dereference "$T/tree" "$MNT/restarted"
check "the store verifies" daybook verify "$MNT"
unmount_share
more_were_held "and were until then"
done_testing
