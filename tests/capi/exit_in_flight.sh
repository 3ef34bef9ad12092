#!/bin/sh
# exit_in_flight.sh PROGRAM: every way to end, several times each; a crash or a hang has another status.
for mode in exit _exit return quick_exit; do
  for run in 1 2 3 4 5; do
    "$1" "$mode"
    status=$?
    if [ "$status" -ne 7 ]; then
      echo "$mode, run $run: wanted status 7, got $status" >&2
      exit 1
    fi
  done
done
