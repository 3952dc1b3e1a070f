"""Plants bugs only where they fit: one that cannot even be called is found for a wrong reason."""

import inspect

import pytest


class FaithfulPatch(pytest.MonkeyPatch):
    """A MonkeyPatch whose functions take what those take in whose place they stand."""

    def setattr(self, target, name, value=None, raising=True):
        original = getattr(target, name, None)
        if inspect.isfunction(original) and inspect.isfunction(value):
            taken = [
                p for p in inspect.signature(original).parameters.values() if p.kind in (0, 1)
            ]
            inspect.signature(value).bind(*taken)
        super().setattr(target, name, value, raising)
