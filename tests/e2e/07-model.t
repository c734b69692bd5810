#!/bin/bash
# Random operations by three users: a model predicts every answer, and the tree at random instants is what it was.
#
#   SEED=7 OPERATIONS=5000 tests/e2e/07-model.t     the same again, or more; TRACE=1 shows and checks each one
. "$(dirname "$0")/lib.sh"

SEED=${SEED:-$(date +%s)}
OPERATIONS=${OPERATIONS:-1000}
diag "SEED=$SEED OPERATIONS=$OPERATIONS"

make_users anna ben cleo
new_share
tap "three users" "$PYTHON" "$E2E/model.py" run "$MNT/dept" "$T/state" "$SEED" "$OPERATIONS" "$anna" "$ben" "$cleo"
[ $fail_count -eq 0 ] || done_testing
tap "as it is" "$PYTHON" "$E2E/model.py" check "$MNT/dept" "$T/state"
kill_daemon
start
result $? "the daemon starts again after kill -9"
tap "after kill -9" "$PYTHON" "$E2E/model.py" check "$MNT/dept" "$T/state"
unmount_share
verify_clean "the store verifies"
done_testing
