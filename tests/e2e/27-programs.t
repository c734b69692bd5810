#!/bin/bash
# People's programs are at work while the process that serves their share is killed again and again: LibreOffice, vim,
# SQLite in both of its ways to keep a journal, rsync, git.  None of them sees an error, and what they made is right.
#
#   KILLS=100 SEED=7 tests/e2e/27-programs.t     more kills than the usual 14; the same random moments again
# timeout: 600
. "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-14}
SEED=${SEED:-$(date +%s)}
diag "KILLS=$KILLS SEED=$SEED"

command -v soffice >/dev/null || bail "LibreOffice is installed"
make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"
STOP=$T/stop

# --- the programs -----------------------------------------------------------------------------------------------------
# Each works in a directory of its own, over and over until $STOP is there, and says how often it did; it ends with the
# first error that it sees.  What it had acknowledged stands outside of the share.

rounds()
{
	local n=0
	while [ ! -e "$STOP" ]; do
		n=$((n + 1))
		"$@" "$n" || { echo "round $n: exit $?" >&2; return 1; }
	done
	echo "$n"
}

# One process opens and saves all of them.  It says so of an error, but its status does not.
office()
{
	timeout -k 5 120 soffice "-env:UserInstallation=file://$HOME/office" --headless --norestore --nologo \
		--convert-to xlsx --outdir "books$1" tables/*.csv >"$HOME/office.out" 2>&1 </dev/null &&
		! grep -E '^Error' "$HOME/office.out" >&2 && [ "$(ls "books$1" | wc -l)" = 6 ]
}

# A new vim, three saves; it keeps a swap file and a backup.
vim_edits()
{
	timeout 60 vim -es -u NONE -i NONE -N --cmd 'set backup writebackup backupskip=' -c "\$put ='$1 first'" -c w \
		-c "\$put ='$1 second'" -c w -c "\$put ='$1 third'" -c wq letter.txt </dev/null &&
		[ "$(tail -n 1 letter.txt)" = "$1 third" ]
}

# sqlite MODE N: a transaction: money goes from one account to another, and that it did is in a list
sqlite()
{
	timeout 60 sqlite3 -bail -cmd '.timeout 30000' "$1.db" "pragma journal_mode=$1; begin immediate;
		update accounts set sum = sum - $2 where name = 'a'; update accounts set sum = sum + $2 where name = 'b';
		insert into moved values ($2, randomblob(3000)); commit; select count(*) from moved;" >"$HOME/$1.said" &&
		[ "$(tail -n 1 "$HOME/$1.said")" = "$2" ]
}

# Two states of a tree by turns; what rsync reads back is what it was given.
copies()
{
	local from=$HOME/tree$(($1 % 2))
	timeout 120 rsync -a --delete --checksum "$from/" copy/ &&
		[ -z "$(rsync -ani --delete --checksum "$from/" copy/)" ]
}

commits()
{
	mkdir -p "repository/part$(($1 % 7))" &&
		seq "$1" $(($1 + 300)) >"repository/part$(($1 % 7))/file$(($1 % 3))" && echo "$1" >>repository/all &&
		timeout 60 git -C repository add -A && timeout 60 git -C repository commit -qm "change $1" &&
		[ -z "$(git -C repository status --porcelain)" ] && [ "$(git -C repository rev-list --count HEAD)" = "$1" ]
}
export STOP
export -f rounds office vim_edits sqlite copies commits

# work USER NAME COMMAND...: begins it in a directory of that name
pids=() names=()
work()
{
	local user=$1 name=$2
	shift 2
	chown -R "$user:$GROUP" "$name"
	as "$user" bash -c 'cd "$1" && shift && rounds "$@"' bash "$name" "$@" >"$T/did.$name" 2>"$T/saw.$name" &
	pids+=($!) names+=("$name")
}

# did NAME: its rounds
did()
{
	tail -n 1 "$T/did.$1"
}

# --- what they work with ----------------------------------------------------------------------------------------------

mkdir -p office/tables vim sqlite-delete sqlite-wal rsync git/repository
for book in $(seq 6); do
	seq 200 | awk -v b="$book" '{ print "row " $1 "," $1 * b "," $1 + 0.25 }' >"office/tables/table$book.csv"
done
check "LibreOffice starts" as "$anna" timeout 120 soffice "-env:UserInstallation=file://$T/home/anna/office" --headless \
	--norestore --nologo --terminate_after_init
echo "Dear Sir or Madam" >vim/letter.txt
for mode in delete wal; do
	is "SQLite keeps a journal as it is told to: $mode" "$(sqlite3 "sqlite-$mode/$mode.db" "pragma journal_mode=$mode;
		create table accounts (name text, sum integer); insert into accounts values ('a', 1000000), ('b', 0);
		create table moved (sum integer, slip blob)")" "$mode"
done
for n in 0 1; do
	mkdir -p "$T/home/ben/tree$n/common" "$T/home/ben/tree$n/only$n"
	for file in $(seq 40); do
		seq "$file" $((file * (50 + n * 7))) >"$T/home/ben/tree$n/common/file$file"
		seq "$file" >"$T/home/ben/tree$n/only$n/file$file"
	done
	ln -s "common/file1$n" "$T/home/ben/tree$n/link"
done
chown -R "$ben:" "$T/home/ben"
as "$anna" git config --global user.email anna@example.org
as "$anna" git config --global user.name Anna
chown -R "$anna:$GROUP" git
check "git makes a repository" as "$anna" git init -q git/repository

# --- at work, and killed ----------------------------------------------------------------------------------------------

work "$anna" office office
work "$ben" vim vim_edits
work "$anna" sqlite-delete sqlite delete
work "$ben" sqlite-wal sqlite wal
work "$ben" rsync copies
work "$anna" git commits
check "LibreOffice saves" wait_for 60 sh -c 'ls office/books1/*.xlsx >/dev/null 2>&1'
"$PYTHON" "$E2E/takeover.py" kill "$MNT" "$DAEMON" "$KILLS" "$SEED" >"$T/kills" 2>&1
is "the process that serves can be killed all the while" "$?" 0
diag "$(cat "$T/kills")"
touch "$STOP"
for at in "${!pids[@]}"; do
	wait "${pids[at]}"
	is "${names[at]}: every step went well" "$? $(cat "$T/saw.${names[at]}")" "0 " || diag "$(cat "$T/did.${names[at]}")"
done
diag "rounds: $(for name in "${names[@]}"; do echo "$name $(did "$name")"; done | paste -sd ' ')"
is "each kill was answered by a process that took over" "$(status_field restarts)" "$KILLS"

# --- what they made ---------------------------------------------------------------------------------------------------

cat >"$T/books.py" <<'END'
import csv, glob, os, sys
import openpyxl
books = glob.glob("office/books*/*.xlsx")
assert len(books) == 6 * int(sys.argv[1]), books
for book in books:
    table = f"office/tables/{os.path.basename(book)[:-5]}.csv"
    wanted = [[name, float(a), float(b)] for name, a, b in csv.reader(open(table))]
    got = [list(row) for row in openpyxl.load_workbook(book, read_only=True).active.iter_rows(values_only=True)]
    assert got == wanted and len(got) == 200, f"{book}: {got[:3]}"
END

letter()
{
	local n
	echo "Dear Sir or Madam"
	for n in $(seq "$(did vim)"); do printf '%s\n' "$n first" "$n second" "$n third"; done
}

# look WHEN
look()
{
	check "$1: the workbooks hold what the tables do" "$PYTHON" "$T/books.py" "$(did office)"
	is "$1: the letter has every line that vim saved" "$(cat vim/letter.txt)" "$(letter)"
	is "$1: vim left its backup and no swap file" "$(ls -A vim | paste -sd ' ')" "letter.txt letter.txt~"
	for mode in delete wal; do
		is "$1: the database is sound, with all that was committed and nothing else ($mode)" \
			"$(sqlite3 "sqlite-$mode/$mode.db" "pragma integrity_check; select count(*) from moved;
				select (select sum from accounts where name = 'b') - (select sum(sum) from moved);
				select sum(sum) from accounts" | paste -sd ' ')" "ok $(did "sqlite-$mode") 0 1000000"
	done
	check "$1: the copied tree is what it is a copy of" \
		diff -r --no-dereference "$T/home/ben/tree$(($(did rsync) % 2))" rsync/copy
	check "$1: git finds its repository whole" as "$anna" git -C git/repository fsck --full --strict
	is "$1: and all commits in it" "$(as "$anna" git -C git/repository log --format=%s | wc -l)" "$(did git)"
	is "$1: and the working files unchanged" "$(as "$anna" git -C git/repository status --porcelain)" ""
}
look "at once"
is "no save is torn or in anybody's way" "$(daybook log --json --limit 1000000 "$MNT" |
	grep -cE '"flags":"[^"]*(incomplete|recovered|conflict)')" 0
cd /
remount
cd "$MNT/dept" || bail "the directory is there"
look "after a new mount"
cd /
unmount_share
verify_clean "the store verifies"
done_testing
