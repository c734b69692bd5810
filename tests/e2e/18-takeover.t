#!/bin/bash
# The process that serves a share dies or is replaced, and no program notices.
#
#   KILLS=100 SEED=7 tests/e2e/18-takeover.t     more kills than the usual 15; the same random moments again
# timeout: 600
. "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-15}
SEED=${SEED:-$(date +%s)}
diag "KILLS=$KILLS SEED=$SEED"

make_users anna ben
new_share
cd "$MNT" || bail "the share is there"
# room DIR...: directories that everybody of the group may write in
room()
{
	mkdir "$@" && chown "root:$GROUP" "$@" && chmod 2775 "$@"
}
room shared
mkdir "$T/journals" && chown "root:$GROUP" "$T/journals" && chmod 2775 "$T/journals"

# --- killed under load --------------------------------------------------------------------------------------------

# under_load NAME COMMAND...: eight programs are at work while the command runs
under_load()
{
	local name=$1 id pids=() pid failed= user
	shift
	rm -f "$T/stop" "$T"/load.*
	for id in 1 2 3 4 5 6 7 8; do
		user=$anna
		[ $id -le 4 ] || user=$ben
		[ -d "d$id" ] || room "d$id"
		as "$user" "$PYTHON" "$E2E/takeover.py" load "d$id" shared "$name$id" "$T/journals/$name$id" "$T/stop" \
			"$SEED" >"$T/load.$id" 2>&1 &
		pids+=($!)
	done
	check "$name: $*" "$@" && diag "$(cat "$T/said")"
	sleep 0.3
	touch "$T/stop"
	for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
	is "$name: no program saw an error" "$failed" "" || diag "$(cat "$T"/load.*)"
	diag "steps and the longest of each program: $(paste -sd ' ' "$T"/load.*)"
}

said()
{
	"$@" >"$T/said" 2>&1 || { cat "$T/said"; return 1; }
}

under_load calm said sleep 1
under_load killed said "$PYTHON" "$E2E/takeover.py" kill "$MNT" "$DAEMON" "$KILLS" "$SEED"
is "each of them was answered by a process that took over" "$(status_field restarts)" "$KILLS"
check "the log has every change once" said "$PYTHON" "$E2E/takeover.py" check "$MNT" "$T"/journals/*
diag "$(cat "$T/said")"
cd /
unmount_share
verify_clean "the store verifies"
done_testing
