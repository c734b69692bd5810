#!/bin/bash
# Save dances by real programs: whatever a program does to save, it is one version of the right document.
. "$(dirname "$0")/lib.sh"

make_users anna ben
new_share
cd "$MNT/dept" || bail "the directory is there"

# seed FILE [CONTENT]: anna's file, one version, and was()
seed()
{
	as_sh "$anna" 'printf "%s\n" "$2" > "$1"' "$1" "${2:-first}"
	was "$1"
}

# was FILE: remembers what it is before a dance
was()
{
	was_document=$(fact "$1" document)
	was_version=$(fact "$1" version)
	was_count=$(version_count "$1")
}

# saved NAME FILE USER [N]: since was(), the document of this name has N (1) further versions and is the same one;
# the newest is by USER and holds what the file holds
saved()
{
	local name=$1 file=$2 user=$3 n=${4:-1}
	is "$name: $n version$([ "$n" = 1 ] || echo s) more, of the same document" \
		"$(fact "$file" document)@$(fact "$file" version), $(version_count "$file") in all" \
		"$was_document@$((was_version + n)), $((was_count + n)) in all" || diag "$(ls "$(dirname "$file")/.history/files/$(basename "$file")")"
	is "$name: its author" "$(fact "$file" author)" "$user"
	same "$name: its bytes" "$file" "$(version "$file" $((was_version + n)))"
}

# --- the shell and the coreutils ----------------------------------------------------------------------------------

seed shell.txt
as_sh "$ben" 'echo second > shell.txt'
saved "shell >" shell.txt "$ben"
was shell.txt
as_sh "$ben" 'echo third >> shell.txt'
saved "shell >>" shell.txt "$ben"
was shell.txt
as_sh "$anna" '{ echo a; sleep 0.3; echo b; } > shell.txt'
saved "shell >, written twice" shell.txt "$anna"
was shell.txt
as_sh "$ben" 'exec 3> shell.txt; echo a >&3; echo b >&3; sleep 0.1; (echo c >&3); echo d >&3'
saved "shell, one open file shared with children" shell.txt "$ben"
was shell.txt
as_sh "$ben" 'cat < shell.txt; exec 3<> shell.txt; cat <&3' >"$T/out"
saved "reading" shell.txt "$ben" 0
as_sh "$anna" 'printf "a\nb\nc\nd\n" > shell.txt'
saved "the same bytes again" shell.txt "$ben" 0

seed copy.txt
as_sh "$ben" 'echo mine > mine.txt; cp mine.txt copy.txt'
saved "cp over" copy.txt "$ben"
is "cp over: from" "$(fact copy.txt from)" "$(fact mine.txt document)@1"
was copy.txt
as_sh "$anna" 'echo theirs > theirs.txt; cp --remove-destination theirs.txt copy.txt'
saved "cp --remove-destination" copy.txt "$anna"

seed moved.txt
as_sh "$ben" 'echo new > moved.new; mv moved.new moved.txt'
saved "mv of a new file over" moved.txt "$ben"
is "mv of a new file over: it was never a document of its own" "$(fact moved.txt from)" ""
is "mv of a new file over: its name is not shown" "$(ls .history/files | grep -c 'moved\.new')" 0

seed target.txt
as_sh "$anna" 'echo s1 > source.txt'
as_sh "$anna" 'echo s2 > source.txt'
source=$(fact source.txt document)
as_sh "$ben" 'mv source.txt target.txt'
saved "mv of an established file over" target.txt "$ben"
is "mv of an established file over: from" "$(fact target.txt from)" "$source@2"
is "mv of an established file over: the source's versions are there" "$(version_count source.txt)" 2

seed renamed.txt
as_sh "$ben" 'mv renamed.txt renamed2.txt'
is "mv to a free name: the document moves" "$(fact renamed2.txt document)@$(fact renamed2.txt version)" "$was_document@1"
was renamed2.txt
as_sh "$ben" 'ln renamed2.txt renamed3.txt; rm renamed2.txt'
is "ln and rm: the document moves" "$(fact renamed3.txt document)@$(fact renamed3.txt version)" "$was_document@1"

seed deleted.txt
as_sh "$ben" 'rm deleted.txt; echo new > deleted.txt'
saved "rm, then written again" deleted.txt "$ben"

seed away.txt
as_sh "$ben" 'mv away.txt away.bak; echo new > away.txt'
saved "mv away, then written again" away.txt "$ben"
isnt "mv away: what went is a document of its own" "$(fact away.bak document)" "$was_document"
is "mv away: which says what it was" "$(fact away.bak from)" "$was_document@1"

seed installed.txt
as_sh "$ben" 'echo new > "$1/new"; install -m 664 "$1/new" installed.txt' "$T/home/ben"
saved "install" installed.txt "$ben"

seed edited.txt
as "$ben" sed -i s/first/second/ edited.txt
saved "sed -i" edited.txt "$ben"
was edited.txt
as "$ben" sed -i.orig s/second/third/ edited.txt
saved "sed -i.orig" edited.txt "$ben"
isnt "sed -i.orig: the copy is another document" "$(fact edited.txt.orig document)" "$was_document"
was edited.txt
as "$ben" perl -pi -e s/third/fourth/ edited.txt
saved "perl -pi" edited.txt "$ben"

seed patched.txt
printf '%s\n' '--- patched.txt' '+++ patched.txt' '@@ -1 +1,2 @@' '-first' '+second' '+third' >"$T/patch"
as "$ben" patch -s patched.txt "$T/patch"
is "patch works" "$(cat patched.txt)" $'second\nthird'
saved "patch" patched.txt "$ben"

seed python.txt
as "$ben" "$PYTHON" -c 'open("python.txt", "w").write("second\n")'
saved "python open('w')" python.txt "$ben"
was python.txt
as "$ben" "$PYTHON" -c 'f = open("python.txt", "r+"); f.read(); f.seek(0); f.write("third\n"); f.truncate()'
saved "python open('r+')" python.txt "$ben"
was python.txt
as "$ben" "$PYTHON" - <<'END'
import os, tempfile
fd, name = tempfile.mkstemp(dir=".")
os.write(fd, b"fourth\n"); os.fsync(fd); os.close(fd)
os.replace(name, "python.txt")
END
saved "python mkstemp and replace" python.txt "$ben"
was python.txt
as "$ben" "$PYTHON" - <<'END'
import mmap, os
f = open("python.txt", "r+b")
m = mmap.mmap(f.fileno(), 0)
m[0:6] = b"mapped"
m.flush(); m.close(); f.close()
END
is "mmap: the bytes" "$(cat python.txt)" mapped
saved "mmap" python.txt "$ben"

# --- archives and copies ------------------------------------------------------------------------------------------

mkdir "$T/new"
echo "from an archive" >"$T/new/packed.txt"
chmod 664 "$T/new/packed.txt"
(cd "$T/new" && tar cf "$T/new.tar" packed.txt && zip -q "$T/new.zip" packed.txt)
seed packed.txt
as "$ben" tar xf "$T/new.tar"
saved "tar x" packed.txt "$ben"
seed packed.txt again
as "$ben" tar xf "$T/new.tar" --overwrite
saved "tar x --overwrite" packed.txt "$ben"
seed packed.txt "and again"
as "$ben" unzip -qo "$T/new.zip"
saved "unzip -o" packed.txt "$ben"

seed synced.txt
echo "second, synced" >"$T/new/synced.txt"
as "$ben" rsync "$T/new/synced.txt" synced.txt
saved "rsync" synced.txt "$ben"
was synced.txt
echo "third, in place" >"$T/new/synced.txt"
as "$ben" rsync --inplace "$T/new/synced.txt" synced.txt
saved "rsync --inplace" synced.txt "$ben"
was synced.txt
as "$ben" rsync -c "$T/new/synced.txt" synced.txt
saved "rsync of what is there" synced.txt "$ben" 0

seed gio.txt
echo "second by gio" >"$T/new/gio.txt"
as "$ben" gio copy "$T/new/gio.txt" gio.txt
is "gio copy: the bytes" "$(cat gio.txt)" "second by gio"
saved "gio copy" gio.txt "$ben"
was gio.txt
echo "third by gio" | as "$ben" gio save gio.txt
is "gio save: the bytes" "$(cat gio.txt)" "third by gio"
saved "gio save" gio.txt "$ben"

# --- editors ------------------------------------------------------------------------------------------------------

vim_saves()
{
	as "$1" vim -es -u NONE -i NONE -N -n "${@:3}" -c '%s/$/ more/' -c 'wq' "$2" </dev/null
}

seed vim.txt
vim_saves "$anna" vim.txt
saved "vim, own file" vim.txt "$anna"
was vim.txt
vim_saves "$ben" vim.txt
saved "vim, another's file" vim.txt "$ben"
for how in yes no breakhardlink; do
	was vim.txt
	vim_saves "$ben" vim.txt --cmd "set writebackup backupcopy=$how"
	saved "vim, backupcopy=$how" vim.txt "$ben"
	was vim.txt
	vim_saves "$anna" vim.txt --cmd "set writebackup backupcopy=$how"
	saved "vim, backupcopy=$how, back again" vim.txt "$anna"
done
was vim.txt
as "$ben" vim -es -i NONE -N --cmd 'set backup' -c 's/$/ kept/' -c 'wq' vim.txt </dev/null
saved "vim, backup kept, with a swap file" vim.txt "$ben"
was vim.txt
as "$ben" vim -es -i NONE -N -c 's/$/ w/' -c w -c 's/$/ again/' -c wq vim.txt </dev/null
saved "vim, two saves in one session" vim.txt "$ben" 2
is "vim: everything it wrote is there" "$(cat vim.txt)" "first$(printf ' more%.0s' 1 2 3 4 5 6 7 8) kept w again"

# nano_saves USER FILE TEXT [ARG...]: types a text into nano, saves, leaves
nano_saves()
{
	local tmux=(as "$1" env TERM=xterm-256color tmux -S "$T/home/${1%%[0-9]*}/tmux")
	"${tmux[@]}" -f /dev/null new-session -d -x 80 -y 24 nano -I "${@:4}" "$2" || return
	wait_for 20 on_screen "GNU nano"
	"${tmux[@]}" send-keys -l "$3"
	wait_for 20 on_screen "$3"
	"${tmux[@]}" send-keys C-s
	wait_for 20 on_screen Wrote
	"${tmux[@]}" send-keys C-x
	wait_for 20 no_session
}

on_screen()
{
	"${tmux[@]}" capture-pane -p 2>/dev/null | grep -q "$1"
}

no_session()
{
	! "${tmux[@]}" has-session 2>/dev/null
}

seed nano.txt
nano_saves "$ben" nano.txt "by nano "
is "nano: the bytes" "$(cat nano.txt)" "by nano first"
saved "nano" nano.txt "$ben"
was nano.txt
nano_saves "$ben" nano.txt "backed up " --backup
is "nano --backup: the bytes" "$(cat nano.txt)" "backed up by nano first"
saved "nano --backup" nano.txt "$ben"

# By itself emacs makes no backups of files below /tmp.
emacs_saves()
{
	as "$1" emacs -Q --batch --eval '(setq backup-enable-predicate (function always))' "$2" --eval '(progn (goto-char (point-max)) (insert "emacs\n") (save-buffer))' \
		"${@:3}" 2>"$T/emacs.err" || diag "$(cat "$T/emacs.err")"
}

seed emacs.txt
emacs_saves "$anna" emacs.txt
saved "emacs, own file, renamed to a backup" emacs.txt "$anna"
is "emacs: the backup holds the first" "$(cat emacs.txt~)" first
was emacs.txt
emacs_saves "$ben" emacs.txt
saved "emacs, another's file, copied to a backup" emacs.txt "$ben"
was emacs.txt
emacs_saves "$anna" emacs.txt --eval '(progn (insert "again\n") (save-buffer))'
saved "emacs, two saves in one session" emacs.txt "$anna" 2
is "emacs: the bytes" "$(paste -sd ' ' emacs.txt)" "first emacs emacs emacs again"

# --- git ----------------------------------------------------------------------------------------------------------

git_as()
{
	as "$1" git -c init.defaultBranch=main -c user.name=x -c user.email=x@example.org -C repo "${@:2}" \
		>"$T/git.out" 2>&1 || { result 1 "git ${*:2}"; diag "$(cat "$T/git.out")"; }
}

as "$ben" mkdir repo
git_as "$ben" init -q
as_sh "$ben" 'echo one > repo/plan.txt'
git_as "$ben" add plan.txt
git_as "$ben" commit -qm one
was repo/plan.txt
index=$(fact repo/.git/index document)
main=$(fact repo/.git/refs/heads/main document)
isnt "git: the index is a document" "$index" ""
for i in 2 3 4 5; do
	as_sh "$ben" 'echo "$1" > repo/plan.txt' "$i"
	git_as "$ben" commit -qam "$i"
done
saved "git: the work tree's file over four edits and commits" repo/plan.txt "$ben" 4
is "git: the index is the same document over five commits" "$(fact repo/.git/index document)" "$index"
is "git: and so is the branch" "$(fact repo/.git/refs/heads/main document)" "$main"
is "git: the branch has a version per commit" "$(fact repo/.git/refs/heads/main version)" 5
was repo/plan.txt
git_as "$ben" checkout -q HEAD~3
is "git checkout: the bytes" "$(cat repo/plan.txt)" 2
saved "git checkout" repo/plan.txt "$ben"
was repo/plan.txt
git_as "$ben" checkout -q main
saved "git checkout, back again" repo/plan.txt "$ben"
git_as "$ben" fsck --strict
unlike "git: its lock files are not shown" "$(ls repo/.git/.history/files repo/.git/.history/deleted)" "\.lock"

for i in a b c d; do
	as "$anna" sh -c 'echo "$1" >x.tmp; mv x.tmp "sorted-$1.txt"' sh $i
done
for i in a b c d; do
	is "one temporary name for many new files: $i has what is its own" "$(version_count sorted-$i.txt) $(cat "$(version sorted-$i.txt 1)")" "1 $i"
done
for i in a b c d; do
	was sorted-$i.txt
	as "$ben" sh -c 'echo "$1$1" >x.tmp; mv -f x.tmp "sorted-$1.txt"' sh $i
	saved "one temporary name for many files that are there: $i" sorted-$i.txt "$ben"
done

# --- sqlite -------------------------------------------------------------------------------------------------------

as "$anna" sqlite3 roll.db 'create table t (i integer primary key, s text)'
chmod 664 roll.db
is "sqlite, rollback: a new database is one version" "$(fact roll.db version)" 1
for i in 1 2 3; do
	was roll.db
	printf 'insert into t (s) values ("%s");\n' a b c | as "$ben" sqlite3 roll.db
	saved "sqlite, rollback, session $i" roll.db "$ben"
done
was roll.db
as "$anna" sqlite3 roll.db 'select count(*) from t' >"$T/out"
saved "sqlite, rollback, a session that only reads" roll.db "$ben" 0
is "sqlite: version 3 opens in .history" "$(sqlite3 "file:$(version roll.db 3)?immutable=1" 'select count(*) from t')" 6
is "sqlite: version 3 is sound" "$(sqlite3 "file:$(version roll.db 3)?immutable=1" 'pragma integrity_check')" ok

as "$anna" sqlite3 wal.db 'pragma journal_mode=wal; create table t (i integer primary key, s text)' >"$T/out"
chmod 664 wal.db
is "sqlite, WAL: it is in use" "$(cat "$T/out")" wal
for i in 1 2 3; do
	was wal.db
	printf 'insert into t (s) values ("%s");\n' a b c | as "$ben" sqlite3 wal.db
	saved "sqlite, WAL, session $i" wal.db "$ben"
done
is "sqlite, WAL: an old version opens in .history" \
	"$(sqlite3 "file:$(version wal.db $((was_version)))?immutable=1" 'select count(*) from t')" 6
unlike "sqlite: journals are not shown" "$(ls .history/files .history/deleted)" "db-(wal|shm|journal)"

# --- what is left -------------------------------------------------------------------------------------------------

sleep 0.2
is "no temporary file is shown in files/" \
	"$(ls .history/files | grep -vxF "$(ls -A; echo source.txt)")" ""
is "nobody was in anybody's way" "$(daybook conflicts --json "$MNT")" ""
is "no save is called incomplete" "$(daybook log --json --limit 1000000 "$MNT" | grep -c incomplete)" 0
cd /
unmount_share
verify_clean "the store verifies"
done_testing
