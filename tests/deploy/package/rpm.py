"""What an .rpm says of itself, read from its header without rpm."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

LEAD_BYTES = 96
_MAGIC = b"\x8e\xad\xe8\x01"
# Tags of rpmtag.h.
_POSTIN, _MODES, _FLAGS, _REQUIRES, _POSTTRANS = 1024, 1030, 1037, 1049, 1152
_FOLDER_OF, _NAMES, _FOLDERS = 1116, 1117, 1118
_FORMATS = {3: ">{}H", 4: ">{}I"}
CONFIG, NOREPLACE = 1, 16


class File(NamedTuple):
    mode: int
    flags: int


class Rpm(NamedTuple):
    files: dict[str, File]
    requires: list[str]
    postinstall: str
    posttrans: str


def read(path: Path) -> Rpm:
    data = path.read_bytes()
    _, signature_end = _header(data, LEAD_BYTES)
    tags, _ = _header(data, (signature_end + 7) // 8 * 8)
    places = zip(tags[_FOLDER_OF], tags[_NAMES], tags[_MODES], tags[_FLAGS], strict=True)
    files = {
        tags[_FOLDERS][folder] + name: File(mode, flags) for folder, name, mode, flags in places
    }
    return Rpm(files, tags[_REQUIRES], *(tags.get(tag, [""])[0] for tag in (_POSTIN, _POSTTRANS)))


def _header(data: bytes, start: int) -> tuple[dict[int, list], int]:
    """Its tags, and where it ends."""
    magic, count, size = struct.unpack_from(">4s4xII", data, start)
    assert magic == _MAGIC, magic
    store = start + 16 + 16 * count
    tags = {}
    for index in range(count):
        tag, kind, offset, amount = struct.unpack_from(">4I", data, start + 16 + 16 * index)
        if kind in _FORMATS:
            tags[tag] = list(
                struct.unpack_from(_FORMATS[kind].format(amount), data, store + offset)
            )
        elif kind in (6, 8, 9):  # texts, each ended by a zero
            texts = data[store + offset : store + size].split(b"\0", amount)[:amount]
            tags[tag] = [text.decode() for text in texts]
    return tags, store + size
