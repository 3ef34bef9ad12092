"""What ``get_many`` brings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from .errors import Key, RingletError
from .versioned import Versioned

T = TypeVar("T")


class Found(Mapping[Key, Versioned[T]]):
    """The answer to ``get_many``: a mapping of every key that was asked for, in the order asked.

    ``found[key]`` is what ``get`` would return for the key, or raises what ``get`` would raise: a key
    that could not be read can't be taken for a value or for a missing key. So ``items()`` and
    ``values()`` raise at the first key that failed, too. To handle failures apart, use:

    * ``errors``: the error of each key that failed; empty where every key was read;
    * ``read``: a new dict of the keys that were read.

    Immutable. May be used from several threads.
    """

    __slots__ = ("_answers",)

    def __init__(self, answers: Mapping[Key, Versioned[T] | RingletError]) -> None:
        """Ringlet makes these; make one yourself to test a function that takes one."""
        self._answers = dict(answers)

    def __getitem__(self, key: Key) -> Versioned[T]:
        """Raises ``KeyError`` for a key that was not asked for, or the error of this key's read."""
        answer = self._answers[key]
        if isinstance(answer, RingletError):
            # Without the traceback of an earlier look, which would grow with each.
            raise answer.with_traceback(None)
        return answer

    def __contains__(self, key: object) -> bool:
        """Whether the key was asked for, also where its read failed."""
        return key in self._answers

    def __iter__(self) -> Iterator[Key]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def errors(self) -> dict[Key, RingletError]:
        """A new dict of the keys that failed, in the order asked."""
        return {key: one for key, one in self._answers.items() if isinstance(one, RingletError)}

    @property
    def read(self) -> dict[Key, Versioned[T]]:
        """A new dict of the keys that were read, in the order asked."""
        return {key: one for key, one in self._answers.items() if not isinstance(one, RingletError)}

    def __repr__(self) -> str:
        failed = len(self.errors)
        return f"<Found {len(self) - failed} of {len(self)} keys read" + (f", {failed} failed>" if failed else ">")


def in_order(keys: Iterable[Key], answers: Mapping[Key, Versioned[T] | RingletError]) -> Found[T]:
    return Found({key: answers[key] for key in keys})
