"""What a client tells those that watch it: a recorder (ringlet.display.record) above all.

A client that nothing watches pays one look at an empty tuple a call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from . import _core
from ._calls import Request

_log = logging.getLogger("ringlet")


class Observed(NamedTuple):
    """One call that ended."""

    request: Request
    begun_us: int  # of the monotonic clock
    ended_us: int
    reply: _core.Reply | None
    error: BaseException | None


Watcher: TypeAlias = Callable[[Observed], Any]


def now_us() -> int:
    return time.monotonic_ns() // 1000


def tell(watchers: tuple[Watcher, ...], observed: Observed) -> None:
    """No failure of a watcher becomes one of the call."""
    for watcher in watchers:
        try:
            watcher(observed)
        except Exception:
            _log.exception("a watcher of a client failed")
