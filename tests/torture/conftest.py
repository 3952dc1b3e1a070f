"""Fixtures of the torture's own tests."""

import pytest

from tests.torture.faithful import FaithfulPatch


@pytest.fixture
def planter():
    """Plants a bug for one test."""
    with FaithfulPatch.context() as patch:
        yield patch
