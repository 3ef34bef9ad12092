#!/bin/sh
# complete.sh HEADER LIST: the C++ header uses each function of LIST, so that what is added to C is added there.
set -eu
while read -r name; do
  grep -qw "$name" "$1" || { echo "$1 does not use $name, so C++ has no such call" >&2; exit 1; }
done < "$2"
