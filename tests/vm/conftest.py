"""Every test here runs a real MicroPython."""

import pytest

from simulator.vm import image
from tests.vm.bench import make_home


@pytest.fixture(autouse=True)
def _needs_micropython(micropython):
    """Skip, with a reason, where there is no wheel."""


@pytest.fixture
def run_program(tmp_path):
    """Start a program in a VM; the VM is gone when the test is."""
    homes = []

    def run(text, hardware, **options):
        home = make_home(tmp_path / "program", text, hardware, **options)
        homes.append(home)
        return home

    yield run
    for home in homes:
        home.kill()


@pytest.fixture(scope="session")
def reader_image(tmp_path_factory, repo_root):
    """The ROM images of the firmware as it stands."""
    return image.build(repo_root, tmp_path_factory.mktemp("image") / "reader")
