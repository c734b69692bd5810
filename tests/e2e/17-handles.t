#!/bin/bash
# Files that are held open: over a restore, by one user for another, after their names are gone; and handles that
# outlive the kernel's memory.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share -o noexec,sync,exec,noexec
like "mounted as told" "$(grep " $MNT " /proc/self/mounts)" "rw,(sync,|nosuid,|nodev,)*noexec"
cd "$MNT/dept" || bail "the directory"
play=$E2E/handles.py

# --- restored while a program has it open -------------------------------------------------------------------------

# restored_below NAME COMMAND...: the command puts version 1 of the file NAME back while a writer has it open
restored_below()
{
	local name=$1
	shift
	echo original >"$name"
	mkfifo "$T/go.$name"
	"$PYTHON" "$play" hold "$name" "$T/ready.$name" "$T/go.$name" >"$T/said.$name" 2>&1 &
	wait_for 10 test -e "$T/ready.$name" || return 1
	"$@" || return 1
	is "$name: what was restored is there" "$(cat "$name")" original
	echo >"$T/go.$name"
	wait $!
	is "$name: the program sees it, too" "$(cat "$T/said.$name")" original
	is "$name: and goes on from it" "$(paste -sd ' ' "$name")" "original added"
}
by_move()
{
	mv "$(version moved 1)" moved
}
restored_below tool daybook restore --version 1 tool
restored_below moved by_move

echo original >often
is "what was restored is seen at once" "$("$PYTHON" "$play" restore often "$(version often 1)" 40 \
	"$BUILD/daybook" restore --version 1 often 2>&1)" "0 stale, 0 refused"

# --- one user's file, another's process ---------------------------------------------------------------------------

mkdir private && chown "$anna" private
"$PYTHON" "$play" lend private/lent "$(id -u "$anna")"
is "a user's file that root closes is the user's" "$(authors private/lent)" "$anna"
unlike "and a whole save" "$(daybook history --json private/lent)" incomplete

echo zero >shared
chmod 666 shared
mkfifo "$T/go.reuse"
"$PYTHON" "$play" reuse shared "$(id -u "$anna")" "$(id -u "$ben")" "$T/ready.reuse" "$T/go.reuse" &
program=$!
wait_for 10 test -e "$T/ready.reuse"
cd /
kill_daemon
echo >"$T/go.reuse"
wait "$program"
mount_share
cd "$MNT/dept" || bail "the directory"
is "what the daemon's death left unsaved is its writer's" "$(authors shared)" "root $anna $ben"

# --- without a name -----------------------------------------------------------------------------------------------

is "files that are gone are let go of" "$("$PYTHON" "$play" unlinked . 200)" 0

# --- handles ------------------------------------------------------------------------------------------------------

mkdir below
echo deep >below/file
read -r kind handle < <("$PYTHON" "$play" to_handle below/file)
cd /
remount
is "a handle leads to its file after a restart" "$("$PYTHON" "$play" by_handle "$MNT" "$kind" "$handle")" deep
rm "$MNT/dept/below/file"
refuses "but not when that is gone" "stale" "$PYTHON" "$play" by_handle "$MNT" "$kind" "$handle"

unmount_share
verify_clean "the store verifies"
done_testing
