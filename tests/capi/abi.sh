#!/bin/sh
# abi.sh LIBRARY HEADERS DIRECTORY: abidiff finds that the library is what DIRECTORY/MAJOR.MINOR.abi says of the
# header's ABI, and that programs of every older minor of this major still fit. With RINGLET_REWRITE=1 the file is
# written anew, which is right as long as that minor was in no release.
set -eu
library=$1 headers=$2 baselines=$3
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
number() { sed -n "s/^#define RINGLET_ABI_$1 \([0-9]*\)u.*/\1/p" "$headers/ringlet.h"; }
major=$(number MAJOR) minor=$(number MINOR)

now=$directory/now.abi
abidw --headers-dir "$headers" --drop-private-types --exported-interfaces-only --no-corpus-path \
  --no-comp-dir-path --no-show-locs --no-elf-needed "$library" > "$now"
if [ "${RINGLET_REWRITE:-}" = 1 ]; then cp "$now" "$baselines/$major.$minor.abi"; fi
[ -f "$baselines/$major.$minor.abi" ] || {
  echo "ABI $major.$minor has no baseline: RINGLET_REWRITE=1 ctest -R capi_abi writes $baselines/$major.$minor.abi" >&2
  exit 1
}

# That this can fail: a function that is gone, and a struct whose fields have changed places.
sed -e '/<elf-symbol name=.ringlet_put. /d' -e "/<function-decl name='ringlet_put' /,/<\\/function-decl>/d" "$now" > "$directory/gone.abi"
sed "/<class-decl name='ringlet_call'/,/<\\/class-decl>/ s/layout-offset-in-bits='32'/layout-offset-in-bits='64'/" "$now" \
  > "$directory/moved.abi"
for wrong in gone moved; do
  if abidiff "$now" "$directory/$wrong.abi" > "$directory/said"; then
    echo "abidiff did not see what is wrong in a library whose ABI has $wrong" >&2
    exit 1
  fi
done

for baseline in "$baselines/$major".*.abi; do
  name=$(basename "$baseline" .abi)
  status=0
  abidiff "$baseline" "$now" > "$directory/said" || status=$?
  # Bit 4: there are differences; bit 8: such that programs compiled before would break.
  if [ $((status & ~4)) -ne 0 ] || { [ "$name" = "$major.$minor" ] && [ "$status" -ne 0 ]; }; then
    cat "$directory/said" >&2
    echo "the library differs from ABI $name (above). Additions want another RINGLET_ABI_MINOR and a baseline of it" \
      "(RINGLET_REWRITE=1 ctest -R capi_abi); anything else wants another RINGLET_ABI_MAJOR" >&2
    exit 1
  fi
done
