"""The examples in protocols/vectors: what they are made of.

Bytes come from cbor2, hashlib and hmac, or stand here as published: nothing in this package calls
the code that the vectors are there to check. Only the error numbers are taken from it.
"""

from collections.abc import Mapping
from typing import Any

import cbor2

Item = dict[str, Any]
# Flag -> (what it says, whether the CDDL refuses an item that carries it).
Notes = Mapping[str, tuple[str, bool]]


class Group:
    """Examples of one kind. `about` (decode, rule, expected ..) is written beside its id."""

    def __init__(self, name: str, **about: Any) -> None:
        self.name = name
        self.about = about
        self.items: list[Item] = []

    def valid(self, comment: str, value: Any, data: bytes, *flags: str, **more: str) -> None:
        """`data` (bytes) says `value`; `more` are other inputs, as hexadecimal."""
        self._add(comment, flags, more, {"value": plain(value)}, data, {"result": "valid"})

    def invalid(self, comment: str, error: int, data: bytes, *flags: str, **more: str) -> None:
        """`data` is refused with the number `error`."""
        self._add(comment, flags, more, {}, data, {"result": "invalid", "error": error})

    def _add(
        self,
        comment: str,
        flags: tuple[str, ...],
        more: Mapping[str, str],
        value: Item,
        data: bytes,
        result: Item,
    ) -> None:
        name = f"{self.name}-{len(self.items) + 1:02}"
        item = {"id": name, "comment": comment, "flags": list(flags), **more, **value}
        self.items.append({**item, "hex": data.hex(), **result})


def encode(value: Any) -> bytes:
    """Deterministic CBOR, by cbor2."""
    return cbor2.dumps(value, canonical=True)


def plain(value: Any) -> Any:
    """`value` as JSON can carry it: bytes as "hex:0a0b", keys of maps in decimal."""
    if isinstance(value, bytes):
        return "hex:" + value.hex()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value
