"""Bugs in what a campus does beside selling lunch by Classic cards, planted like the others.

What a bug changes is one decision; everything around it stays. `PLANTED[name](monkeypatch)` puts
it in, and the test takes it out.
"""

from tests.torture import planted_desfire

# -- DESFire cards --------------------------------------------------------------------------------

_OF_DESFIRE = (
    "unknown taken for paid",
    "unknown taken for unpaid",
    "counter stands still",
)


PLANTED = {f"DESFire: {name}": planted_desfire.PLANTED[name] for name in _OF_DESFIRE}
