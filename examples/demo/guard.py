"""Ends the demo's nodes when the demo is gone without having done so (kill -9 of the demo itself).

Reads "+PID" and "-PID" lines; at the end of the input kills what is left. The end comes when the
demo's process ends, however it ends.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Follows the nodes until the demo is gone."""
    living: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            living.add(pid)
        else:
            living.discard(pid)
    for pid in living:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    main()
