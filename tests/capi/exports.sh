#!/bin/sh
# exports.sh LIBRARY HEADER LIST PROGRAM.c: the library exports what LIST names and nothing else, the header
# declares the same, and PROGRAM.c calls each.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u > "$directory/exported"
grep -o 'ringlet_[a-z_]*(' "$2" | tr -d '(' | sort -u > "$directory/declared"
sort -u "$3" > "$directory/listed"
diff "$directory/listed" "$directory/exported" || { echo "exported (>) and listed (<) symbols differ" >&2; exit 1; }
diff "$directory/listed" "$directory/declared" || { echo "declared (>) and listed (<) symbols differ" >&2; exit 1; }
while read -r name; do
  grep -q "$name(" "$4" || { echo "$name is never called in $4" >&2; exit 1; }
done < "$directory/listed"
