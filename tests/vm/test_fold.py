"""Private functions and classes share their names; whatever might be meant otherwise keeps its."""

import pytest

from simulator.vm.fold import share_names

SHARED = [
    ("def _f():\n    return _f", "def _0():\n    return _0"),
    (
        "a = 'é', lambda: _g(_f)\ndef _f(x): _g(x)\ndef _g(x): pass",
        "a = 'é', lambda: _1(_0)\ndef _0(x): _1(x)\ndef _1(x): pass",
    ),
    (
        "class _C:\n    def _f(self): self._f(); _C()",
        "class _0:\n    def _f(self): self._f(); _0()",
    ),
]
KEPT = [
    "def f(): pass",
    "def __getattr__(name): pass",
    "def _f(): pass\n_f = wrapped(_f)",
    "def _f(): pass\ndef _f(): pass",
    "def _f(): pass\ndef g(_f): return _f",
    "def _f(): pass\nclass C:\n    def _f(self): return self._f()",
    "from a import b as _f\ndef _f(): pass",
    "def _f(): pass\ntry:\n    g()\nexcept E as _f:\n    pass",
    "def _f(): pass\na = f'{_f()}'",
]


@pytest.mark.parametrize(("source", "expected"), SHARED)
def test_private_definitions_share_names(source, expected):
    assert share_names(source) == expected


@pytest.mark.parametrize("source", KEPT)
def test_everything_else_keeps_its_name(source):
    assert share_names(source) == source
