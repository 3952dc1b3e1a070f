"""A POS in a real MicroPython takes new firmware by the real path, and comes back from bad one."""

import pytest

from simulator.vm import image
from simulator.vm.home import ROOT
from tests.vm.slotted import Slotted


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loader") / "image"
    return image.build(ROOT, folder, ROOT / "firmware" / "main_loader.py")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Versions 1 and 2 of a POS, as they are delivered."""
    folder = tmp_path_factory.mktemp("releases")
    return {
        version: image.build_slot(ROOT, folder / str(version), "main", version)
        for version in (1, 2)
    }


def test_a_pos_takes_the_next_image_and_proves_it(loader, releases):
    reader = Slotted(loader, releases[1], 1, releases[2])
    reader.run(400, until=lambda: reader.running == (2, True))
    assert reader.crashes == []
    assert reader.running == (2, True)
