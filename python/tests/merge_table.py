"""A table: which law each broken merge breaks, found in which history and shrunk to how many steps; and that good ones keep all.

usage: merge_table.py [HISTORIES]     of the good merges; default 10,000
"""

from __future__ import annotations

import sys
import time

import test_laws

import ringlet


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{'merge':26} {'law':24} {'found in history':>16} {'steps':>6}")
    missed = 0
    for called, merge, given, laws in test_laws.BROKEN:
        report = ringlet.check_merge(merge, **given)
        missed += len(laws - set(report.broken))
        for failure in report.failures:
            print(f"{called:26} {failure.law:24} {failure.found_in or 'two writers':>16} {failure.steps:>6}")
    print()
    found = 0
    for called, merge, given in test_laws.GOOD:
        begun = time.monotonic()
        report = ringlet.check_merge(merge, **given, histories=count, seconds=600)
        found += len(report.failures)
        seconds = time.monotonic() - begun
        print(f"{called:26} {len(report.failures)} findings in {report.histories:,} histories, {report.histories / seconds:,.0f} a second")
    return int(bool(missed or found))


if __name__ == "__main__":
    sys.exit(main())
