"""Runs the table of mutants: one small change of core/ each, which the tests named beside it must notice.

usage: run.py [NAME ...] [--list] [--check] [--jobs N]

NAME: only mutants whose name, file or target contains it. --list: names them. --check: builds nothing, and only
says which entries no longer apply. The table is mutants.toml, which describes its fields.

Each mutant is applied to a copy of the working tree in build/mutants, so that a run that is interrupted leaves
nothing behind in a source file. Of one mutant: its program is built and run; the change is taken back in any case.

  killed      the program failed: the names of the failing test cases follow
  survived    the program passed: a test is missing
  stale       the text to be replaced is not in the file exactly once: the entry has to follow the code
  not built   the compiler refused it: so the entry says nothing

Exit status: 0 all were killed, 1 something else, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "mutants"
TREE = PLACE / "tree"
BUILD = TREE / "build" / "dev"  # as deep as in a checkout, so that ccache knows what was compiled there
TABLE = Path(__file__).with_name("mutants.toml")

FIELDS = {"name", "file", "search", "replace", "target"}
# Programs that draw their cases draw the same ones in every run, and few: a test case that names the rule is wanted.
ENVIRONMENT = os.environ | {"RC_PARAMS": "max_success=100 seed=1"}
PATIENCE = 120  # seconds: a program that runs for longer has noticed something, too


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    search: str
    replace: str
    target: str

    def applied(self, text: str) -> str | None:
        """The text with the change, or None where the place is not there or not the only one."""
        if text.count(self.search) != 1:
            return None
        return text.replace(self.search, self.replace)


def read_table(path: Path) -> list[Mutant]:
    entries = tomllib.loads(path.read_text()).get("mutant", [])
    mutants: list[Mutant] = []
    for number, entry in enumerate(entries, 1):
        if set(entry) != FIELDS:
            sys.exit(f"{path.name}: entry {number} wants the fields {', '.join(sorted(FIELDS))}, got {', '.join(sorted(entry))}")
        # What begins after ''' on the same line and what begins on the next one mean the same.
        mutants.append(Mutant(**{field: text.strip("\n") for field, text in entry.items()}))
    names = [mutant.name for mutant in mutants]
    for name in names:
        if names.count(name) > 1:
            sys.exit(f"{path.name}: two entries have the name {name!r}")
    return mutants


def copy_tree() -> None:
    """What git knows of, or would, as it is now; a file that did not change keeps its time."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True)
    wanted = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        data = source.read_bytes()
        if not copy.is_file() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
            copy.chmod(source.stat().st_mode)
    for copy in list(TREE.rglob("*")):
        name = copy.relative_to(TREE)
        if copy.is_file() and name.parts[0] != "build" and str(name) not in wanted:
            copy.unlink()


def run(command: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def build(target: str, jobs: int) -> subprocess.CompletedProcess:
    if not (BUILD / "build.ninja").exists():
        configured = run(["cmake", "--preset", "dev", "-S", str(TREE), "-B", str(BUILD), "-DRINGLET_JAVA=OFF", "-DRINGLET_PYTHON=OFF"])
        if configured.returncode != 0:
            sys.exit(configured.stdout)
    return run(["cmake", "--build", str(BUILD), "-j", str(jobs), "--target", target])


def failing_tests(target: str) -> list[str] | None:
    """Names of the Catch2 test cases that fail; None: the program passed."""
    report = PLACE / "report.xml"
    report.unlink(missing_ok=True)
    try:
        ended = run([str(BUILD / "bin" / target), "-r", "junit", "-o", str(report)], env=ENVIRONMENT, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return [f"(it ran for longer than {PATIENCE} s)"]
    if ended.returncode == 0:
        return None
    try:
        cases = xml.etree.ElementTree.parse(report).iter("testcase")
        names = [case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    except (OSError, xml.etree.ElementTree.ParseError):
        names = []
    # A section is "case/section".
    return sorted(set(names)) or [f"(it ended with status {ended.returncode}: {ended.stdout.strip()[-200:]})"]


def check_without_mutant(target: str, jobs: int) -> None:
    built = build(target, jobs)
    if built.returncode != 0:
        sys.exit(built.stdout[-3000:] + f"\n{target} cannot be built without a mutant")
    if (failing := failing_tests(target)) is not None:
        sys.exit(f"{target} fails without a mutant: {'; '.join(failing)}")


def verdict(mutant: Mutant, jobs: int) -> tuple[str, str]:
    copy = TREE / mutant.file
    text = (ROOT / mutant.file).read_text()
    changed = mutant.applied(text)
    if changed is None:
        return "stale", f"{mutant.file} has its text {text.count(mutant.search)} times"
    try:
        copy.write_text(changed)
        built = build(mutant.target, jobs)
        if built.returncode != 0:
            errors = [line for line in built.stdout.splitlines() if re.search(r"\berror\b", line)]
            return "not built", (errors or [built.stdout[-300:]])[0]
        failing = failing_tests(mutant.target)
    finally:
        copy.write_text(text)
    if failing is None:
        return "survived", ""
    return "killed", "; ".join(failing[:3]) + (f"; and {len(failing) - 3} more" if len(failing) > 3 else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", type=Path, default=TABLE)
    args = parser.parse_args()

    mutants = read_table(args.table)
    if args.names:
        mutants = [m for m in mutants if any(n in m.name or n in m.file or n in m.target for n in args.names)]
        if not mutants:
            parser.error(f"no mutant has {' or '.join(map(repr, args.names))} in its name, file or target")
    if args.list:
        for mutant in mutants:
            print(f"{mutant.file}: {mutant.name} ({mutant.target})")
        return 0
    if args.check:
        stale = 0
        for mutant in mutants:
            path = ROOT / mutant.file
            if not path.is_file() or mutant.applied(path.read_text()) is None:
                print(f"stale: {mutant.file}: {mutant.name}: its text is not there, or not once")
                stale += 1
        print(f"{len(mutants)} mutants, {stale} stale")
        return 1 if stale else 0

    copy_tree()
    counts: dict[str, int] = {}
    sound: set[str] = set()
    for mutant in mutants:
        if mutant.target not in sound:
            check_without_mutant(mutant.target, args.jobs)
            sound.add(mutant.target)
        start = time.monotonic()
        word, why = verdict(mutant, args.jobs)
        counts[word] = counts.get(word, 0) + 1
        print(f"{word:9} {mutant.file}: {mutant.name} ({time.monotonic() - start:.0f} s){': ' + why if why else ''}", flush=True)
    print(f"{len(mutants)} mutants: " + ", ".join(f"{count} {word}" for word, count in sorted(counts.items())))
    return 0 if counts.get("killed", 0) == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
