"""The conflict journal: each conflict that a resolver of this process met, a line of JSON each.

``ringlet.connect(…, journal="conflicts.jsonl")`` writes it; ``ringlet.replay`` and ``ringlet.check_merge`` run another
merge over what is written there.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from .codecs import RAW, Codec
from .context import Dot
from .errors import DataError
from .versioned import Sibling, name_of

_log = logging.getLogger("ringlet")
_FORMAT = 1


class Journal:
    """Where conflicts are written. Thread-safe; several processes may append to one file.

    Args:
        path: the file; lines are appended.
        values: False leaves the siblings' values and the result out, where they must not be stored; such a journal
            counts conflicts and cannot be replayed.
        max_bytes: the file grows no further than this; conflicts after that are counted in ``left_out``.

    A journal that cannot be written is a warning in the log, never an error of a call.
    """

    def __init__(self, path: str | os.PathLike[str], *, values: bool = True, max_bytes: int = 256 << 20) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 4096:
            raise ValueError(f"journal: wanted max_bytes of at least 4096, got {max_bytes!r}")
        self.path: Path = Path(path)
        self.values = values
        self.max_bytes = max_bytes
        self.written: int = 0
        self.left_out: int = 0
        self._lock = threading.Lock()
        self._complained = False
        # A path that cannot be written is said now, not at the first conflict in a month.
        os.close(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    if os.fstat(file).st_size + len(line) > self.max_bytes:
                        self.left_out += 1
                        self._complain(f"has reached {self.max_bytes} bytes; further conflicts are left out")
                        return
                    os.write(file, line)  # one call, so that the lines of several processes do not mix
                    self.written += 1
                finally:
                    os.close(file)
            except OSError as error:
                self.left_out += 1
                self._complain(f"cannot be written: {error}")

    def _complain(self, why: str) -> None:
        if not self._complained:
            self._complained = True
            _log.warning("the conflict journal %s %s", self.path, why)


def as_journal(given: Any) -> Journal | None:
    """What ``connect`` takes."""
    if given is None or isinstance(given, Journal):
        return given
    if isinstance(given, str | os.PathLike):
        return Journal(given)
    raise TypeError(f"journal: wanted a path or a ringlet.Journal, got {type(given).__name__}")


class Entry:
    """A conflict while its resolver runs; written when that is known how it ended."""

    def __init__(
        self,
        journal: Journal,
        bucket: bytes,
        key: bytes,
        siblings: Sequence[Sibling[Any]],
        resolver: Any,
        context: bytes,
    ) -> None:
        self._journal: Journal | None = journal
        self._begun = time.perf_counter()
        self._entry: dict[str, Any] = {
            "format": _FORMAT,
            "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "bucket": _text(bucket),
            "key": _text(key),
            "resolver": name_of(resolver),
            "context": base64.b64encode(context).decode(),
            "siblings": [_sibling(sibling, journal.values) for sibling in siblings],
        }

    def end(self, *, result: bytes | None = None, word: str | None = None, error: BaseException | None = None) -> None:
        """The value, or ``"delete"`` or ``"keep"``, or why there is none. Only the first end counts."""
        journal, self._journal = self._journal, None
        if journal is None:
            return
        self._entry["ms"] = round((time.perf_counter() - self._begun) * 1000, 3)
        if error is not None:
            self._entry["error"] = f"{type(error).__name__}: {error}"[:500]
        elif word is not None:
            self._entry["end"] = word
        elif result is not None:
            self._entry["bytes"] = len(result)
            if journal.values:
                self._entry["result"] = base64.b64encode(result).decode()
        journal._write(self._entry)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"hex:{data.hex()}"


def _sibling(sibling: Sibling[Any], values: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "dot": [f"{sibling.dot.node:016x}", sibling.dot.epoch, sibling.dot.counter],
        "written_at": sibling.written_at.isoformat(),
        "content_type": sibling.content_type,
        "deleted": sibling.deleted,
        "bytes": len(sibling.raw),
    }
    if values and not sibling.deleted:
        said["value"] = base64.b64encode(bytes(sibling.raw)).decode()
    return said


class Conflict(NamedTuple):
    """One line of a journal."""

    line: int
    at: str
    bucket: str
    key: str
    resolver: str
    siblings: tuple[Sibling[Any], ...]
    result: bytes | None
    end: str  # "value", "delete", "keep" or "error"
    error: str
    ms: float


def read_journal(path: str | os.PathLike[str], *, codec: Codec[Any] = RAW) -> Iterator[Conflict]:
    """The conflicts of a journal, with the siblings as a resolver is given them.

    DataError: a line that is no conflict, with its number. The last line may be cut, as a crash leaves it: it is not
    given, and is no error.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            yield _conflict(line, f"{os.fspath(path)}:{number}", number, codec)


def _conflict(line: bytes, where: str, number: int, codec: Codec[Any]) -> Conflict:
    try:
        entry = json.loads(line)
        if entry["format"] != _FORMAT:
            raise DataError(f"{where}: wanted format {_FORMAT} of a conflict journal, got {entry['format']!r}")
        siblings: list[Sibling[Any]] = []
        for said in entry["siblings"]:
            if not said["deleted"] and "value" not in said:
                raise DataError(f"{where}: this journal was written without values and cannot be replayed")
            node, epoch, counter = said["dot"]
            siblings.append(
                Sibling(
                    raw=b"" if said["deleted"] else base64.b64decode(said["value"], validate=True),
                    written_at=datetime.fromisoformat(said["written_at"]),
                    content_type=said["content_type"],
                    dot=Dot(int(node, 16), int(epoch), int(counter)),
                    deleted=bool(said["deleted"]),
                    codec=codec,
                    key=entry["key"],
                )
            )
        result = base64.b64decode(entry["result"], validate=True) if "result" in entry else None
        end = "error" if "error" in entry else str(entry.get("end", "value"))
        return Conflict(
            number, str(entry["at"]), str(entry["bucket"]), str(entry["key"]), str(entry["resolver"]),
            tuple(siblings), result, end, str(entry.get("error", "")), float(entry.get("ms", 0.0)),
        )  # fmt: skip
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise DataError(f"{where}: wanted a conflict as JSON, got {line[:60]!r}: {type(error).__name__} {error}") from None

