#!/usr/bin/env bash
# filetype 1.2.0: `guess` says video/mp4 of a QuickTime film whose list of compatible brands names an MP4 brand beside
# its own, as films that both kinds of players take do. Its matcher for QuickTime, asked by itself, recognizes the film:
# `guess` asks the one for MP4 first.
# docs/adr/0022-files.md says so; Recollect asks the matchers in an order of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check filetype==1.2.0
"$folder/env/bin/python" - <<'PYTHON'
import struct

import filetype
from filetype.types.video import Mov


def film(brand: bytes, *compatible: bytes) -> bytes:
    """The boxes a film begins with (ISO/IEC 14496-12, 4.3): what it is, then free space."""
    body = brand + struct.pack(">I", 0) + b"".join(compatible)
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + struct.pack(">I", 64) + b"free" + bytes(56)


plain, both = film(b"qt  ", b"qt  "), film(b"qt  ", b"qt  ", b"mp41")
seen = [(filetype.guess(one).mime, Mov().match(bytearray(one))) for one in (plain, both)]
print("filetype 1.2.0: (guess, matcher of QuickTime) of a film of brand qt, and of one that is compatible with mp41 too:", seen)
assert seen == [("video/quicktime", True), ("video/mp4", True)], "the behaviour has changed"
PYTHON
