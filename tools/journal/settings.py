"""How a reader was set up whose journal is replayed: as it has said itself, or by a file."""

import tomllib
from pathlib import Path

from tools.journal.capture import Capture
from tools.journal.staged import Kind, NotStaged, kind_of


def kind_given(capture: Capture, file: Path | None, device: int | None) -> Kind:
    """Of `file` (reader.toml of onecard device; it wins), or of the capture. NotStaged, OSError.

    `device`: whose journal it is.
    """
    if device is None:
        raise NotStaged("nobody has written here")
    said = dict(capture.reader.get("settings") or {})
    if file is not None:
        try:
            said |= tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise NotStaged(f"{file}: {error}") from None
    missing = [name for name in ("merchant_no", "policy") if name not in said]
    if missing:
        raise NotStaged(f"nothing says its {missing[0]}: --settings reader.toml")
    return kind_of({**said, "device": device}, capture.reader.get("program"))
