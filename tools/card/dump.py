"""Card files: the image that lies on the simulated tray, and the dump of what could be read.

Both are JSON with the blocks in hexadecimal. An image is a whole card with its keys and is written
so that only its owner can read it. In a dump the keys are starred out, and a block that could not
be read is null; so a dump never becomes a card again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.card.errors import BadInput

IMAGE, DUMP = "onecard card image", "onecard card dump"
VERSION = 1
BLOCK_BYTES = 16
HIDDEN = "**"
# Where keys stand in the trailer of a MIFARE Classic sector.
KEY_SPANS = ((0, 6), (10, 16))


def starred(data: bytes, spans: Sequence[tuple[int, int]] = KEY_SPANS) -> str:
    """`data` in hexadecimal, two stars for each byte inside one of `spans` (from, to)."""
    return "".join(
        HIDDEN if any(start <= at < end for start, end in spans) else f"{byte:02x}"
        for at, byte in enumerate(data)
    )


def write_image(path: Path, kind: str, uid: bytes, content: Mapping[str, Any]) -> None:
    """Replace the tray image `path`; OSError as it comes."""
    head = {"format": IMAGE, "version": VERSION, "kind": kind, "uid": uid.hex()}
    replace_file(path, json.dumps({**head, **content}, indent=1) + "\n", 0o600)


def read_image(path: Path) -> dict[str, Any]:
    """The tray image in `path`: kind, uid (bytes) and what belongs to that kind.

    BadInput when it is not one, which a dump is not either.
    """
    try:
        image = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path}: not JSON") from None
    if isinstance(image, dict) and image.get("format") == DUMP:
        raise BadInput(f"{path}: a dump has no keys and cannot lie on the tray")
    if not isinstance(image, dict) or image.get("format") != IMAGE:
        raise BadInput(f"{path}: not a card image")
    if image.get("version") != VERSION:
        raise BadInput(f"{path}: image of another version")
    if not isinstance(image.get("kind"), str):
        raise BadInput(f"{path}: says no kind of card")
    image["uid"] = hex_bytes(image.get("uid"), f"{path}: uid", (4, 7))
    return image


def hex_bytes(text: object, where: str, lengths: Sequence[int]) -> bytes:
    """`text` as bytes of one of `lengths`; BadInput naming `where`, without repeating the text."""
    try:
        data = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        data = b""
    if len(data) not in lengths:
        wanted = " or ".join(str(2 * length) for length in lengths)
        raise BadInput(f"{where}: must be {wanted} hexadecimal digits")
    return data


def write_dump(path: Path, kind: str, uid: bytes, content: Mapping[str, Any]) -> None:
    """Replace the dump `path`; `content` has no key in it (see `starred`)."""
    head = {"format": DUMP, "version": VERSION, "kind": kind, "uid": uid.hex()}
    replace_file(path, json.dumps({**head, **content}, indent=1) + "\n", 0o644)


def replace_file(path: Path, text: str, mode: int) -> None:
    """The new content is on the disk in full before it takes the old name."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)  # a left-over of another mode keeps its own
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
