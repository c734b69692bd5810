#!/bin/bash
# Memory runs out for one allocation of the process that serves, or of a tool: who asked is told, or gets what he asked
# for; nothing is half done, nothing is lost.
#
#   SECONDS_EACH=300 tests/e2e/29-memory.t     more of the allocations than in the usual 4 s each, or so
# timeout: 900
. "$(dirname "$0")/lib.sh"

[ -z "$REPORTS" ] || { skip "memory" "nothing can be preloaded with sanitizers"; done_testing; }
SECONDS_EACH=${SECONDS_EACH:-4}
export MEMORY=$T/memory TOOLS_PRELOAD=$BUILD/memory.so
head -c 8 /dev/zero >"$MEMORY"

# fail N: the N-th allocation from now on
fail()
{
	"$PYTHON" -c 'import struct, sys; sys.stdout.buffer.write(struct.pack("=II", int(sys.argv[1]), 0))' "$1" 1<>"$MEMORY"
}

daybook init "$STORE" >"$LOG" 2>&1
MEMORY_OF=worker LD_PRELOAD=$BUILD/memory.so mount_share
mkdir "$MNT/work" "$MNT/kept" && echo one >"$MNT/kept/file" && echo two >"$MNT/kept/file"
cd "$MNT/work" || bail "the share is there"
tap "the daemon" "$PYTHON" "$E2E/memory.py" serve "$MEMORY" "$SECONDS_EACH"
diag "$(status_field restarts) processes died of it"

# While another process takes over, it may fail and the next one try.
exec 7>held
echo held >&7
for n in 1 5 25 100 300; do
	fail $n
	kill_worker
	echo "$n" >&7 || result 1 "a program writes on while another process takes over, allocation $n failing"
	fail 0
done
exec 7>&-
is "who takes over with too little memory loses nothing" "$(paste -sd ' ' held)" "held 1 5 25 100 300"
cd /
tap "the tools" "$PYTHON" "$E2E/memory.py" tools "$MEMORY" "$SECONDS_EACH" "$MNT/kept/file"
check "the store verifies while it is used" daybook verify "$MNT"
is "no save is torn" "$(daybook log --json --limit 1000000 "$MNT" | grep -cE '"flags":"[^"]*(incomplete|recovered)')" 0
unmount_share
verify_clean "the store verifies"
done_testing
