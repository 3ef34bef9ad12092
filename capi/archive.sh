#!/bin/sh
# archive.sh LD OBJCOPY NM AR ARCHIVE LIBRARY...: one archive of one object out of static libraries, in which only the
# functions of ringlet.h are visible, as in the shared library.
set -eu
ld=$1 objcopy=$2 nm=$3 ar=$4 archive=$5
shift 5
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
object=$directory/ringlet.o
# Symbols can be made local only where the groups of inline functions are resolved.
"$ld" -r --force-group-allocation -o "$object" --whole-archive "$@"
# Unique symbols, static members of templates, can be made local only once they are weak.
"$nm" --defined-only "$object" | awk '$2 == "u" { print $3 }' > "$directory/unique"
"$objcopy" --strip-debug --weaken-symbols="$directory/unique" "$object"
"$objcopy" --wildcard --keep-global-symbol='ringlet_*' "$object"
rm -f "$archive"
"$ar" rcsD "$archive" "$object"
