"""Writes copyright and changelog.Debian.gz of each Debian package.

usage: documents.py VERSION MAINTAINER SOURCE DIRECTORY PACKAGE...
"""

import gzip
import sys
from pathlib import Path

CHANGELOG = """ringlet ({version}) unstable; urgency=medium

  * Packages made by CPack from a build of preset package.

 -- {maintainer}  Thu, 01 Jan 2026 00:00:00 +0000
"""

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ringlet

Files: *
Copyright: 2026 The Ringlet developers
License: {licence}

License: Apache-2.0
 On Debian systems, the complete text of the Apache License, Version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
"""

GPL = """
License: GPL-3
 Ringlet's source is under the Apache License 2.0. ringletd is linked with
 WiredTiger, which is under the GPL, version 2 or 3: so this program may be
 passed on under the GPL, version 3, with which the Apache License goes together.
 On Debian systems, the complete text of the GNU General Public License, version
 3, is in /usr/share/common-licenses/GPL-3.
"""


def main(version: str, maintainer: str, source: str, directory: str, *packages: str) -> None:
    assert "Apache License" in (Path(source) / "LICENSE").read_text()
    for package in packages:
        folder = Path(directory) / package
        folder.mkdir(parents=True, exist_ok=True)
        gpl = package == "ringletd"
        text = COPYRIGHT.format(licence="Apache-2.0 and GPL-3" if gpl else "Apache-2.0") + (GPL if gpl else "")
        (folder / "copyright").write_text(text)
        changelog = CHANGELOG.format(version=version, maintainer=maintainer).encode()
        (folder / "changelog.Debian.gz").write_bytes(gzip.compress(changelog, 9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
