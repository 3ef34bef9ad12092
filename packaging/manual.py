"""Makes a manual page of what a program's --help prints, its verbs' included.

usage: manual.py PROGRAM NAME SECTION VERSION PAGE

The text is CLI11's: a description, "Usage:", lists of options, positionals and subcommands, and what the program
adds at the end, which it repeats in the help of each verb.
"""

import re
import subprocess
import sys
from pathlib import Path

LISTS = ("Positionals:", "Options:", "Subcommands:")
# The text begins at this column, or on the next line where the name is too long.
COLUMN = 30


def escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


class Help:
    """The help of a program or of one verb: description, usage, lists, and the lines after them."""

    def __init__(self, command: list[str]) -> None:
        text = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True, timeout=60).stdout
        self.description: list[str] = []
        self.usage = ""
        self.lists: dict[str, list[list[str]]] = {}
        self.end: list[str] = []
        place = "description"
        for line in text.rstrip().splitlines():
            if place == "description" and line.startswith("Usage:"):
                self.usage, place = line.removeprefix("Usage:").strip(), "usage"
            elif place == "description":
                self.description.append(line)
            elif place != "end" and line in LISTS:
                place = line
                self.lists[line] = []
            elif place in LISTS and re.match(r"  \S", line):
                at = COLUMN if line[COLUMN - 1 : COLUMN] == " " else len(line)
                self.lists[place].append([line[:at].strip(), line[at:].strip()])
            elif place in LISTS and line.startswith("   "):
                entry = self.lists[place][-1]
                entry[1] = f"{entry[1]} {line.strip()}".strip()
            elif line or place == "end":
                place = "end"
                self.end.append(line)
        if not self.usage or "Options:" not in self.lists:
            sys.exit(f"manual.py: the help of {' '.join(command)} has no usage or no options")


def items(entries: list[list[str]]) -> list[str]:
    out: list[str] = []
    for name, text in entries:
        if name != "-h,--help":
            out += [".TP", f".B {escaped(name)}", escaped(text)]
    return out


def verbs(command: list[str], name: str, path: list[str], end: list[str]) -> list[str]:
    """The verbs of a program, those of a verb behind it."""
    out: list[str] = []
    for verb, _ in Help([*command, *path]).lists.get("Subcommands:", []):
        here = [*path, verb]
        told = Help([*command, *here])
        out += [f".SS {escaped(' '.join([name, *here]))}", *map(escaped, told.description)]
        words = told.usage.split(" ".join(here), 1)[-1].strip()
        out += [".PP", f".B {escaped(' '.join([name, *here]))}", escaped(words)]
        out += items(told.lists.get("Positionals:", []) + told.lists["Options:"])
        if told.end != end:
            out += [".PP", ".nf", *map(escaped, told.end), ".fi"]
        if "Subcommands:" in told.lists:
            out += verbs(command, name, here, end)
    return out


def page(program: str, name: str, section: str, version: str) -> str:
    told = Help([program])
    text = [line for line in told.description if line]
    about = re.sub(r"^(A|An|The) ", "", text[0]).rstrip(".")
    words = told.usage.split(" ", 1)[1] if " " in told.usage else ""
    out = [
        f'.TH {name.upper()} {section} "" "Ringlet {version}" "Ringlet"',
        ".SH NAME", f"{escaped(name)} \\- {escaped(about[:1].lower() + about[1:])}",
        ".SH SYNOPSIS", f".B {escaped(name)}", escaped(words),
        ".SH DESCRIPTION", *map(escaped, text),
        ".SH OPTIONS", *items(told.lists.get("Positionals:", []) + told.lists["Options:"]),
    ]
    if "Subcommands:" in told.lists:
        out += [".SH VERBS", *verbs([program], name, [], told.end)]
    if told.end:
        out += [".SH EXIT STATUS AND OUTPUT", ".nf", *map(escaped, told.end), ".fi"]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    Path(sys.argv[5]).write_text(page(*sys.argv[1:5]))
