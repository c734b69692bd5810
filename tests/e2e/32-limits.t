#!/bin/bash
# The limits of daybook-limits(7): each is reached, and one past it is refused by what the page says.  (Names, paths and
# symlinks are in 02-posix; the socket's clients and the table of open files in unit tests.)
. "$(dirname "$0")/lib.sh"

ulimit -Sn 1024 # as a daemon finds it on most systems
new_share
mkdir "$MNT/limits"
tap "share" "$PYTHON" "$E2E/limits.py" "$MNT/limits"
like "the deepest is in the log" "$(daybook log --limit 70000 "$MNT" 2>&1 | grep -c 'save.*/lower/d/d/.*/file')" "^[1-9]"
unmount_share
verify_clean "the store verifies"
done_testing
