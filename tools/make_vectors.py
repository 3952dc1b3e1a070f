"""Write protocols/vectors/{records,messages,cbor,seal}.json: `python -m tools.make_vectors`.

An item is one line, so that a change of one is a change of one line.
"""

import json
from types import ModuleType

from tools.rooms import ROOT
from tools.vectors import Group, Notes, messages, records, seals, values

FOLDER = ROOT / "protocols" / "vectors"
_FILES: dict[str, ModuleType] = {
    "cbor": values,
    "messages": messages,
    "records": records,
    "seal": seals,
}


def documents() -> dict[str, str]:
    """File name -> text of every vector file that this program writes."""
    return {
        f"{name}.json": render(module.ABOUT, module.NOTES, module.groups())
        for name, module in _FILES.items()
    }


def render(about: str, notes: Notes, groups: list[Group]) -> str:
    """A vector file as text."""
    explained = {
        flag: {"text": text, "grammar": grammar} for flag, (text, grammar) in notes.items()
    }
    lines = [
        "{",
        f' "about": {_json(about)},',
        ' "made_by": "python -m tools.make_vectors",',
        ' "notes": {',
        _listed("  ", [f"{_json(flag)}: {_json(note)}" for flag, note in explained.items()]),
        " },",
        ' "groups": [',
        ",\n".join(_rendered(group) for group in groups),
        " ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _rendered(group: Group) -> str:
    head = "".join(f"   {_json(key)}: {_json(value)},\n" for key, value in group.about.items())
    items = _listed("    ", [_json(item) for item in group.items])
    return f'  {{\n   "id": {_json(group.name)},\n{head}   "items": [\n{items}\n   ]\n  }}'


def _listed(indent: str, lines: list[str]) -> str:
    return ",\n".join(indent + line for line in lines)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Write all files."""
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"{FOLDER / name}: {len(text)} characters")


if __name__ == "__main__":
    main()
