"""Adds up JUnit XML files: prints "passed failed skipped", and on stderr what failed.

usage: tally.py FILE_OR_DIRECTORY...
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main(arguments: list[str]) -> int:
    files: list[Path] = []
    for argument in map(Path, arguments):
        files += sorted(argument.glob("**/*.xml")) if argument.is_dir() else [argument]
    passed = failed = skipped = 0
    for file in files:
        try:
            root = ElementTree.parse(file).getroot()
        except (OSError, ElementTree.ParseError) as problem:
            print(f"  no report: {file}: {problem}", file=sys.stderr)
            return 1
        for case in root.iter("testcase"):
            # CTest writes status="run|fail|notrun"; everybody else nests an element.
            if (
                case.find("failure") is not None
                or case.find("error") is not None
                or case.get("status") == "fail"
            ):
                failed += 1
                print(f"  failed: {case.get('classname')} {case.get('name')}", file=sys.stderr)
            elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
                skipped += 1
            else:
                passed += 1
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
