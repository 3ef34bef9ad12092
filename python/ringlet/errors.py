"""What can go wrong, as exceptions.

Catch by what you would do about it: ``TransientError`` (try again), ``UsageError`` (fix the
program), ``DataError`` (look at the data). ``maybe_applied`` says whether a write that failed may
exist all the same.
"""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    from .versioned import Versioned

Key = str | bytes


class Status(enum.IntEnum):
    """The numbers of the C ABI. A newer library may send numbers that are not here."""

    OK = 0
    INVALID_ARGUMENT = 101
    INVALID_CONTEXT = 102
    TOO_LARGE = 103
    UNKNOWN_OPTION = 104
    BUSY = 105
    CLOSED = 106
    FORKED = 107
    ABI_MISMATCH = 108
    UNSUPPORTED = 109
    TIMEOUT = 201
    UNAVAILABLE = 202
    QUORUM_NOT_MET = 203
    OVERLOADED = 204
    CANCELLED = 205
    TOO_MANY_SIBLINGS = 301
    CORRUPT = 302
    MERGE_FAILED = 401
    UPDATE_EXHAUSTED = 402
    INTERNAL = 501
    NO_MEMORY = 502
    IO = 503


class RingletError(Exception):
    """The root of all of Ringlet's exceptions.

    Attributes:
        status: a ``Status``, or a plain number that this version does not know.
        retryable: the same call may succeed later.
        maybe_applied: this write failed, and may exist all the same.
        key: the key of the call, as it was given; ``None`` if it had none.
        details: what the core knows: wanted, got, asked, node, attempts, …
    """

    default_status = Status.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        maybe_applied: bool = False,
        key: Key | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        number = self.default_status if status is None else status
        try:
            self.status: int = Status(number)
        except ValueError:
            self.status = number
        self.retryable = retryable
        self.maybe_applied = maybe_applied
        self.key = key
        self.details: dict[str, Any] = {} if details is None else details

    @property
    def write_id(self) -> bytes | None:
        """Of a write that may have been applied: its id, for repeating it with ``write_id=``."""
        text = self.details.get("write_id")
        return bytes.fromhex(text) if text else None

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show its repr

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[RingletError], args: tuple[Any, ...], state: dict[str, Any]) -> RingletError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class TransientError(RingletError):
    """The cluster could not, now."""

    default_status = Status.UNAVAILABLE


class Timeout(TransientError, TimeoutError):
    """The deadline came first."""

    default_status = Status.TIMEOUT


class Unavailable(TransientError):
    """No node could be reached."""


class QuorumNotMet(TransientError):
    """Fewer replicas answered than the call wanted."""

    default_status = Status.QUORUM_NOT_MET


class Overloaded(TransientError):
    """Too many calls at once; come back later."""

    default_status = Status.OVERLOADED


class UsageError(RingletError):
    """The caller's mistake; nothing was sent."""

    default_status = Status.INVALID_ARGUMENT


class InvalidContext(UsageError):
    """A context that was cut, altered, or belongs to another key or cluster; nothing was written."""

    default_status = Status.INVALID_CONTEXT


class TooLarge(UsageError):
    """A key, value or context above the limit."""

    default_status = Status.TOO_LARGE


class OptionError(UsageError):
    """An option nobody knows, or a value it cannot have."""

    default_status = Status.UNKNOWN_OPTION


class ClientClosed(UsageError):
    """The client is closed."""

    default_status = Status.CLOSED


class ClientForked(UsageError):
    """A client that was opened before a fork was used in the child."""

    default_status = Status.FORKED


class DataError(RingletError):
    """The call worked; the data are not what it wanted."""

    default_status = Status.CORRUPT


class ConflictError(DataError):
    """One value was asked for and there are several; ``versioned`` has them all."""

    default_status = Status.MERGE_FAILED

    def __init__(self, message: str, *, versioned: Versioned[Any], key: Key | None = None) -> None:
        super().__init__(message, key=key)
        self.versioned = versioned


class DecodeError(DataError):
    """A value the codec cannot read; ``raw`` has its bytes, ``content_type`` its type."""

    def __init__(
        self, message: str, *, raw: memoryview, content_type: str, key: Key | None = None
    ) -> None:
        super().__init__(message, key=key)
        self.raw: bytes = bytes(raw)
        self.content_type = content_type


class KeyMissing(DataError, KeyError):
    """There is no value under the key."""

    default_status = Status.OK


class UpdateExhausted(RingletError):
    """Not raised any more: an update whose write is acknowledged returns; see ``.merged``."""

    default_status = Status.UPDATE_EXHAUSTED


class InternalError(RingletError):
    """A mistake or a lack of resources on Ringlet's side."""


_CLASSES: dict[int, type[RingletError]] = {
    Status.INVALID_CONTEXT: InvalidContext,
    Status.TOO_LARGE: TooLarge,
    Status.UNKNOWN_OPTION: OptionError,
    Status.CLOSED: ClientClosed,
    Status.FORKED: ClientForked,
    Status.TIMEOUT: Timeout,
    Status.UNAVAILABLE: Unavailable,
    Status.QUORUM_NOT_MET: QuorumNotMet,
    Status.OVERLOADED: Overloaded,
    Status.MERGE_FAILED: RingletError,
    Status.UPDATE_EXHAUSTED: UpdateExhausted,
}
_CATEGORIES: dict[int, type[RingletError]] = {
    1: UsageError,
    2: TransientError,
    3: DataError,
    4: RingletError,
    5: InternalError,
}


def from_core(failure: tuple[int, str, bool, bool, str], key: Key | None = None) -> RingletError:
    """The exception for what the extension reported."""
    status, message, retryable, maybe_applied, details = failure
    cls = _CLASSES.get(status) or _CATEGORIES.get(status // 100, InternalError)
    try:
        parsed = json.loads(details)
    except ValueError:
        parsed = {"text": details}
    return cls(
        message,
        status=status,
        retryable=retryable,
        maybe_applied=maybe_applied,
        key=key,
        details=parsed if isinstance(parsed, dict) else {"details": parsed},
    )


def from_core_error(error: _core.CoreError, key: Key | None = None) -> RingletError:
    """The same for a ``CoreError`` that was raised."""
    status, message, retryable, maybe_applied, details = error.args
    return from_core((status, message, retryable, maybe_applied, details), key)


def from_option_error(error: _core.CoreError) -> RingletError:
    """Of opening a client or a cluster: a value that an option cannot have is an OptionError too."""
    made = from_core_error(error)
    if type(made) is not UsageError:
        return made
    return OptionError(str(made), status=made.status, details=made.details)
