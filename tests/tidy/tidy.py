"""Checks what a compiler does not: the arrows between folders, the calls each must not make, that the
table of failures in tests/README.md names tests that exist, and that each code that is cited (R4.1-c, O-3, L18)
is explained in docs/.

usage: tidy.py [ROOT]      prints one sentence per finding; exit status 1 when there is one

The arrows are those of core/README.md. A rule has its reason beside it, and so has an exception.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

# What each folder of core/ may include, and why. Reasons are per arrow: "folder: why".
ARROWS: dict[str, dict[str, str]] = {
    "base": {},
    "versioning": {"base": "bytes, node ids, status"},
    "document": {
        "base": "bytes, write ids, status",
        "versioning": "tags are dots, a cover is a context, and documents are siblings",
    },
    "ring": {"base": "tokens, node ids, status, random numbers"},
    "protocol": {
        "base": "keys, ids, instants in messages",
        "versioning": "messages carry objects and contexts",
        "ring": "messages carry routing tables",
    },
    "coordination": {
        "base": "everything",
        "versioning": "a vote is over objects",
        "document": "copies are joined with what deleted documents knew",
        "ring": "owners and fallbacks",
        "protocol": "operations speak in messages and effects",
    },
    "membership": {
        "base": "everything",
        "versioning": "member lists merge like objects",
        "ring": "who is a member",
        "protocol": "it speaks in messages and effects",
    },
    "repair": {
        "base": "everything",
        "versioning": "what is repaired are objects",
        "ring": "whom to repair with",
        "protocol": "it speaks in messages and effects",
    },
    "storage": {"base": "bytes and status; an engine knows no objects"},
    "node": {
        "base": "everything",
        "versioning": "a replica applies the three changes",
        "document": "copies are joined with what deleted documents knew",
        "ring": "which keys are its own",
        "protocol": "it routes messages",
        "coordination": "it starts operations",
        "membership": "it asks the fault detector",
        "repair": "it delivers hints",
        "storage": "a replica is a store",
    },
    "client": {
        "base": "everything",
        "versioning": "siblings and contexts",
        "document": "it applies edits to documents",
        "ring": "it routes by itself",
        "protocol": "it speaks in messages",
        "coordination": "it may coordinate by itself",
        "membership": "it asks the fault detector",
    },
    "wire": {
        "base": "bytes and status",
        "versioning": "objects are encoded",
        "ring": "routing tables are encoded",
        "protocol": "messages are encoded",
    },
    "runtime": {
        "base": "everything",
        "versioning": "the client's C++ surface shows siblings and contexts",
        "ring": "addresses of members",
        "protocol": "effects are carried out",
        "coordination": "options of operations",
        "membership": "options of the detector",
        "repair": "options of repair",
        "storage": "a server is given its engine",
        "node": "it drives a node",
        "client": "it drives a client",
        "wire": "messages become bytes",
    },
    "configuration": {
        "base": "everything",
        "versioning": "how a key reconciles",
        "ring": "a configuration lists members",
        "protocol": "how durable a write is",
        "coordination": "options of operations",
        "membership": "bounds of what is the cluster's",
        "repair": "options of repair",
        "storage": "a server is given its engine",
        "node": "its options",
        "client": "its options",
        "wire": "its limits are configured",
        "runtime": "a server's options",
    },
    "sim": {
        "base": "everything",
        "versioning": "checkers read objects",
        "ring": "the simulated cluster's table",
        "protocol": "effects are carried out",
        "coordination": "options of operations",
        "membership": "options of the detector",
        "repair": "options of repair",
        "storage": "the simulated disk is an engine",
        "node": "it drives nodes",
        "client": "it drives clients",
    },
    "daemon": {
        "base": "everything",
        "versioning": "the command line prints siblings and contexts",
        "document": "the command line edits documents and prints them",
        "ring": "a configuration file lists members",
        "protocol": "answers of the admin interface",
        "coordination": "options of operations",
        "membership": "options of the detector",
        "repair": "options of repair",
        "storage": "it chooses the engine",
        "node": "its options",
        "client": "the command line is a client",
        "wire": "its limits are configured",
        "runtime": "it runs a server",
        "configuration": "it reads a file",
    },
}

# Libraries that only some folders may include, by the beginning of the name.
LIBRARIES: dict[str, tuple[set[str], str]] = {
    "boost/asio": ({"runtime"}, "only runtime/ does I/O"),
    "protozero/": ({"membership", "versioning", "wire"}, "only what encodes needs it"),
    "xxhash": ({"versioning"}, "only what checks encodings needs it"),
    "wiredtiger": ({"storage"}, "it is GPL and only the node links it"),
    "spdlog/": ({"daemon"}, "where a record goes is the embedder's business"),
    "CLI/": ({"daemon"}, "only programs have flags"),
    "toml++/": ({"daemon"}, "only programs have configuration files"),
}

SUFFIXES = {".hpp", ".cpp", ".h", ".c", ".i"}

# Codes of requirements, rulings, laws and failures, and the documents that have a row for each.
CODE = re.compile(r"(?<![\w.-])(?:R\d+(?:\.\d+)*-[a-z]|[OM]-\d{1,2}|L\d{1,2}|F-\d{2,3})(?![\w-])")
CODE_TABLES = ("docs/requirements.md", "docs/failure-modes.md")
CODE_ROW = re.compile(r"^\| (\S+) \|", re.MULTILINE)
CITING = ("core", "capi", "bindings", "python", "java", "tests", "examples", "docs", "README.md")
CITING_SUFFIXES = SUFFIXES | {".py", ".java", ".md", ".txt", ".toml", ".proto", ".pyi"}
# Made by a build or a package manager; not sources.
GENERATED = {"build", "target", "node_modules", "__pycache__", ".venv", "dist"}

# Folders that get time, randomness and threads from whoever drives them.
DRIVEN = [folder for folder in ARROWS if folder not in ("runtime", "configuration", "daemon")]


@dataclass(frozen=True)
class Call:
    """Something that driven folders must not say."""

    name: str
    pattern: re.Pattern[str]
    reason: str
    kind: str


CALLS = [
    Call(
        "the clock",
        re.compile(r"_clock\s*::\s*now\b|\bclock_gettime\b|\bgettimeofday\b|\bstd::time\b|(?<![\w:.>])time\s*\((?:nullptr|NULL|0)\)"),
        "time comes as an argument",
        "clock",
    ),
    Call(
        "a source of randomness",
        re.compile(r"\brandom_device\b|\bstd::(?:mt19937|default_random_engine|minstd_rand|uniform_\w+_distribution)|(?<![\w:.>])s?rand\s*\(|\bgetrandom\s*\("),
        "a seed must give the same run everywhere; use base/random.hpp",
        "random",
    ),
    Call(
        "threads",
        re.compile(
            r"#\s*include\s*<(?:thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token|pthread\.h)>"
            r"|\bstd::(?:thread|jthread|mutex|recursive_mutex|shared_mutex|condition_variable\w*|async|this_thread)\b"
            r"|\bpthread_\w+\s*\("
        ),
        "who runs what is the driver's business",
        "threads",
    ),
    Call(
        "protozero's get_bool()",
        re.compile(r"[.>]get_bool\s*\("),
        "it reads one byte before it looks whether there is one; use get_uint64() != 0",
        "overread",
    ),
]

# (path below core/ that the exception begins with, kind of call, reason)
EXCEPTIONS = [
    ("storage/", "threads", "engines are called from every I/O thread and flush on one of their own"),
    ("storage/", "clock", "how long a flush may wait is real time"),
    ("base/assert", "threads", "the handler of the process"),
    ("base/planted", "threads", "the planted bug of the process"),
    ("base/this_thread", "threads", "for the threads of the runtime and of an engine"),
    ("node/hint_counts", "threads", "part of what the lanes of one node share"),
    ("node/node_state", "threads", "what the lanes of one node share, and nothing else"),
    ("node/upkeep", "threads", "one a node; every lane asks it"),
    ("membership/view", "threads", "equal rings are shared in a process, whoever derived them"),
    ("repair/pace", "threads", "one a node; lanes report to it how long they waited"),
]

INCLUDE = re.compile(r'^\s*[#%]\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
NOT_CODE = re.compile(
    r'R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"' r"|//[^\n]*|/\*.*?\*/" r'|"(?:\\.|[^"\\\n])*"' r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)
LIBRARY = re.compile(r"\bringlet_library\s*\(\s*(\w+)(.*?)\)", re.DOTALL)
UNORDERED = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<")


def code_of(text: str) -> str:
    """The text without comments and without what strings say, line numbers kept."""

    def blank(match: re.Match[str]) -> str:
        found = match.group(0)
        # The name in #include "…" is a string, too, but only the INCLUDE pattern reads those.
        return "\n" * found.count("\n") or " "

    return NOT_CODE.sub(blank, text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def sources_below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and p.is_file())


class Tidy:
    """One run over one tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.findings: list[str] = []

    def run(self) -> list[str]:
        core = self.root / "core"
        reachable = self.links()
        for folder in sorted(p.name for p in core.iterdir() if p.is_dir()):
            files = sources_below(core / folder)
            if folder not in ARROWS:
                self.found(core / folder, 0, f"core/{folder} has no arrows in tests/tidy/tidy.py")
                continue
            for path in files:
                self.includes(path, folder, reachable.get(folder))
                if folder in DRIVEN:
                    self.calls(path)
            if folder in DRIVEN:
                self.unordered(files)
        self.bindings()
        self.public_header()
        self.catalogue()
        self.codes()
        return self.findings

    def found(self, path: Path, line: int, sentence: str) -> None:
        place = path.relative_to(self.root)
        self.findings.append(f"{place}:{line}: {sentence}." if line else f"{place}: {sentence}.")

    def includes(self, path: Path, folder: str, linked: set[str] | None) -> None:
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            line, name = line_of(text, match.start(2)), match.group(2)
            for library, (allowed, reason) in LIBRARIES.items():
                if name.startswith(library) and folder not in allowed:
                    self.found(path, line, f"{folder}/ must not include <{name}>: {reason}")
            if match.group(1) != '"':
                continue
            other = name.split("/")[0]
            if "/" not in name or other not in ARROWS:
                self.found(
                    path, line, f'"{name}" must be named by its folder of core/, as in "base/ids.hpp"'
                )
            elif other == folder:
                continue
            elif other not in ARROWS[folder]:
                self.found(path, line, f'{folder}/ must not include "{name}": the arrows run the other way')
            elif linked is not None and other not in linked:
                self.found(
                    path,
                    line,
                    f'{folder}/ includes "{name}", but LINK of core/{folder}/CMakeLists.txt'
                    f" does not reach ringlet_{other}",
                )

    def calls(self, path: Path) -> None:
        code = code_of(path.read_text())
        below = path.relative_to(self.root / "core").as_posix()
        for call in CALLS:
            if any(below.startswith(where) and call.kind == kind for where, kind, _ in EXCEPTIONS):
                continue
            for match in call.pattern.finditer(code):
                self.found(
                    path,
                    line_of(code, match.start()),
                    f"{below.split('/')[0]}/ must not use {call.name}"
                    f" ({match.group(0).strip()}): {call.reason}",
                )

    def unordered(self, files: list[Path]) -> None:
        """Walking an unordered container gives another order on another machine."""
        codes = {path: code_of(path.read_text()) for path in files}
        names: set[str] = set()
        for code in codes.values():
            for match in UNORDERED.finditer(code):
                depth, at = 1, match.end()
                while at < len(code) and depth:
                    depth += {"<": 1, ">": -1}.get(code[at], 0)
                    at += 1
                if declared := re.match(r"[\s&*]*([A-Za-z_]\w*)", code[at:]):
                    names.add(declared.group(1))
        for path, code in codes.items():
            for name in sorted(names):
                walk = re.compile(
                    rf"\bfor\s*\([^;()]*[^:]:\s*(?:[\w]+(?:\.|->))*{name}\s*\)|\b{name}\s*(?:\.|->)\s*c?begin\s*\("
                )
                for match in walk.finditer(code):
                    self.found(
                        path,
                        line_of(code, match.start()),
                        f"{name} is unordered and must not be walked: the order differs by machine",
                    )

    def links(self) -> dict[str, set[str]]:
        """What each folder's LINK reaches, itself included; and whether LINK keeps to the arrows."""
        direct: dict[str, set[str]] = {}
        for path in sorted((self.root / "core").glob("*/CMakeLists.txt")):
            folder = path.parent.name
            text = re.sub(r"#[^\n]*", "", path.read_text())
            for match in LIBRARY.finditer(text):
                link = re.search(r"(?<!_)\bLINK\b(.*?)(?=\b(?:SOURCES|PRIVATE_LINK)\b|$)", match.group(2), re.DOTALL)
                for target in (link.group(1).split() if link else []):
                    if not target.startswith("ringlet_"):
                        continue
                    other = target.removeprefix("ringlet_")
                    if other == folder:
                        continue
                    direct.setdefault(folder, set()).add(other)
                    if other not in ARROWS.get(folder, {}):
                        self.found(
                            path,
                            line_of(text, match.start()),
                            f"{folder}/ must not link {target}: the arrows run the other way",
                        )
            direct.setdefault(folder, set())
        reachable: dict[str, set[str]] = {}
        for folder in direct:
            seen, todo = set(), [folder]
            while todo:
                at = todo.pop()
                if at not in seen:
                    seen.add(at)
                    todo += direct.get(at, set())
            reachable[folder] = seen
        return reachable

    def bindings(self) -> None:
        folder = self.root / "bindings"
        inside = "|".join(ARROWS)
        for path in sources_below(folder):
            text = path.read_text()
            for match in INCLUDE.finditer(text):
                name = match.group(2)
                of_core = name.split("/")[0] in ARROWS and "/" in name
                of_ours = name.startswith("ringlet/") or match.group(1) == '"'
                if name == "ringlet/ringlet.h" or (
                    match.group(1) == '"' and not of_core and (path.parent / name).is_file()
                    and (path.parent / name).resolve().is_relative_to(folder.resolve())
                ):
                    continue
                if of_core or of_ours:
                    self.found(
                        path,
                        line_of(text, match.start(2)),
                        f'bindings/ must include nothing of Ringlet but "ringlet/ringlet.h", got "{name}"',
                    )
        for path in sorted(folder.rglob("CMakeLists.txt")) if folder.is_dir() else []:
            text = re.sub(r"#[^\n]*", "", path.read_text())
            for match in re.finditer(rf"\bringlet_(?:{inside})\b|SOURCE_DIR\}}/core\b", text):
                self.found(
                    path,
                    line_of(text, match.start()),
                    f"bindings/ must use the C library alone, not {match.group(0)}",
                )

    def public_header(self) -> None:
        path = self.root / "capi" / "include" / "ringlet" / "ringlet.h"
        if not path.is_file():
            return
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            if not (match.group(1) == "<" and re.fullmatch(r"std\w+\.h", match.group(2))):
                self.found(
                    path,
                    line_of(text, match.start(2)),
                    f"the C header must include standard C headers alone, got {match.group(2)}",
                )

    def catalogue(self) -> None:
        """The table of failures names tests that are there, and each failure has one."""
        path = self.root / "tests" / "README.md"
        if not path.is_file():
            return
        text = path.read_text()
        for row in re.finditer(r"^\| (F-\d+) \| (.*) \|$", text, re.MULTILINE):
            line = line_of(text, row.start())
            named = re.findall(r"\b[\w-]+(?:/[\w-]+)+\.(?:cpp|py|sh|java)\b", row.group(2))
            if not named and not re.search(r"\b(?:faults?|fuzz target) `", row.group(2)):
                self.found(path, line, f"{row.group(1)} names neither a test nor a fault of the simulator")
            for name in named:
                if not (self.root / "tests" / name).is_file() and not (self.root / name).is_file():
                    self.found(path, line, f"{row.group(1)} is said to be tested in {name}, which is not there")

    def codes(self) -> None:
        """Every code that is cited has a row in one of the tables, and no code has two."""
        rows: dict[str, str] = {}
        for name in CODE_TABLES:
            path = self.root / name
            text = path.read_text() if path.is_file() else ""
            for row in CODE_ROW.finditer(text):
                code, line = row.group(1), line_of(text, row.start())
                if not CODE.fullmatch(code):
                    continue
                if code in rows:
                    self.found(path, line, f"{code} has a row in {rows[code]} already")
                rows[code] = name
        for path in self.citing():
            text = path.read_text(encoding="utf-8", errors="replace")
            for match in CODE.finditer(text):
                if match.group(0) not in rows:
                    self.found(
                        path,
                        line_of(text, match.start()),
                        f"{match.group(0)} is cited, but neither of {' and '.join(CODE_TABLES)} has a row for it",
                    )

    def citing(self) -> list[Path]:
        found: list[Path] = []
        for name in CITING:
            start = self.root / name
            for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
                below = path.relative_to(self.root)
                if below.parts[:2] == ("tests", "tidy"):  # its tests cite what must not resolve
                    continue
                if path.suffix in CITING_SUFFIXES and path.is_file() and GENERATED.isdisjoint(below.parts):
                    found.append(path)
        return found


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    if not (root / "core").is_dir():
        print(f"tidy: wanted a checkout of Ringlet, got {root}, which has no core/", file=sys.stderr)
        return 2
    findings = Tidy(root).run()
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
