#!/bin/sh
# layout.sh PROGRAM HEADER LAYOUT.txt: a program compiled against an older ringlet.h of this major still
# fits. What LAYOUT.txt lists must be as it was; what was added to the header must be listed too.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$1" > "$directory/now"
diff "$3" "$directory/now" || {
  echo "the layout was (<) and is (>): programs compiled before would break. Additions at an end belong" \
    "into $3, everything else needs another RINGLET_ABI_MAJOR" >&2
  exit 1
}
# Every constant and every struct with fields that the header has.
grep -oE 'RINGLET_[A-Z_]+ = [0-9]+' "$2" | awk '{ print "value", $1, $3 }' | sort > "$directory/declared"
grep '^value' "$3" | grep -v -e ABI_MAJOR -e RETURN_SIBLINGS | sort > "$directory/listed"
diff "$directory/declared" "$directory/listed" || { echo "declared (<) and listed (>) constants differ" >&2; exit 1; }
grep -oE '^} ringlet_[a-z]+;' "$2" | tr -d '};' | awk '{ print $1 }' | sort > "$directory/structs"
grep -oE '^size ringlet_[a-z]+' "$3" | awk '{ print $2 }' | grep -v ringlet_status | sort > "$directory/sized"
diff "$directory/structs" "$directory/sized" || { echo "declared (<) and listed (>) structs differ" >&2; exit 1; }
