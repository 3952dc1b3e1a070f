"""The published examples in protocols/vectors/desfire.json."""

import json


def vectors(repo_root, group):
    """The items of one group, hexadecimal turned to bytes."""
    document = json.loads((repo_root / "protocols/vectors/desfire.json").read_text())
    (items,) = (entry["items"] for entry in document["groups"] if entry["id"] == group)
    assert items
    return [{name: _value(name, value) for name, value in item.items()} for item in items]


def _value(name, value):
    return bytes.fromhex(value) if isinstance(value, str) and name != "id" else value
