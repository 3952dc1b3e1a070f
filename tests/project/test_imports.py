"""The import-direction check: this repository passes it, and planted violations do not."""

import pytest

from tools import check_imports
from tools.check_imports import HARDWARE, RULES, violations
from tools.rooms import ROOMS

PLANTED = [
    ("protocols/wire/x.py", "from protocols.rules import clock", "protocols.rules"),
    ("protocols/wire/x.py", "from ..rules import clock", "protocols.rules"),
    ("protocols/rules/x.py", "import time", "time"),
    ("protocols/rules/x.py", "from random import Random", "random"),
    ("protocols/rules/x.py", "def f():\n    import socket\n", "socket"),
    ("protocols/link/x.py", "import cbor2", "cbor2"),
    ("protocols/card/x.py", "from firmware.drivers import mfrc522", "firmware.drivers"),
    ("firmware/drivers/x.py", "from firmware.services import journal", "firmware.services"),
    ("firmware/drivers/x.py", "import machine", "machine"),
    ("firmware/services/x.py", "from firmware.roles import pos", "firmware.roles"),
    ("firmware/services/x.py", "import time", "time"),
    ("firmware/roles/x.py", "from firmware.boards import esp32", "firmware.boards"),
    ("firmware/roles/x.py", "import firmware.main", "firmware.main"),
    ("firmware/main.py", "import network", "network"),
    ("firmware/boards/x.py", "import simulator.world", "simulator.world"),
    ("firmware/main.py", "from edge_agent import service", "edge_agent"),
    ("adapters/x.py", "import edge_agent.store", "edge_agent.store"),
    ("edge_agent/x.py", "from ledger import booking", "ledger"),
    ("edge_agent/x.py", "from edge_agent.daemon import run", "edge_agent.daemon"),
    ("edge_agent/x.py", "from . import daemon", "edge_agent.daemon"),
    ("edge_agent/x.py", "import simulator", "simulator"),
    ("edge_agent/daemon.py", "from tests import conftest", "tests"),
    ("ledger/x.py", "import firmware.services.journal", "firmware.services.journal"),
    ("ledger/x.py", 'm = __import__("edge_agent.store")', "edge_agent.store"),
    ("ledger/daemon.py", "from tools import cli", "tools"),
    ("simulator/x.py", "from tools import cli", "tools"),
    ("simulator/x.py", "import esp32", "esp32"),
]

ALLOWED = [
    ("protocols/wire/x.py", "import struct\nimport hashlib\nfrom protocols.wire import cbor"),
    ("protocols/link/x.py", "from protocols.rules import clock\nfrom ..wire import cbor"),
    ("firmware/drivers/x.py", "from protocols.card import diversify\nimport errno"),
    ("firmware/services/x.py", "from firmware.drivers import mfrc522"),
    ("firmware/roles/x.py", "from firmware.services import journal"),
    ("firmware/boards/x.py", "import machine, esp32, network, time, select"),
    (
        "firmware/main.py",
        "import select\nfrom firmware.boards import esp32\nimport firmware.roles",
    ),
    ("edge_agent/x.py", "import sqlite3\nimport tinydb\nfrom adapters import mqtt"),
    ("edge_agent/daemon.py", "from edge_agent import service"),
    ("edge_agent/__main__.py", "from edge_agent.daemon import run"),
    ("simulator/x.py", "import firmware.main, ledger.daemon, edge_agent.service"),
    ("tools/x.py", "import simulator.run, ledger.daemon, firmware.services.journal"),
]

MODULES = (
    "protocols.wire.cbor",
    "protocols.rules.clock",
    "protocols.card.diversify",
    "protocols.link.delivery",
    "firmware.main",
    "firmware.boards.esp32",
    "firmware.drivers.mfrc522",
    "firmware.services.journal",
    "firmware.roles.pos",
    "adapters.mqtt",
    "edge_agent.daemon",
    "edge_agent.service",
    "edge_agent.store",
    "ledger.daemon",
    "ledger.booking",
    "simulator.world.clock",
    "tools.cli",
)


@pytest.fixture
def tree(tmp_path):
    """A repository of empty modules, one of each kind."""
    for module in MODULES:
        path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(("path", "source", "target"), PLANTED)
def test_planted_violation_is_found(tree, path, source, target):
    (tree / path).write_text(source)
    found = violations(tree)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:")
    assert f"imports {target}" in found[0]


@pytest.mark.parametrize(("path", "source"), ALLOWED)
def test_downward_import_is_allowed(tree, path, source):
    (tree / path).write_text(source)
    assert violations(tree) == []


def test_empty_tree_has_no_violation(tree):
    assert violations(tree) == []


def test_every_room_has_a_rule():
    assert {rule.package.partition(".")[0] for rule in RULES} == set(ROOMS)


def test_pure_library_has_no_clock_and_no_hardware():
    assert not check_imports.DEVICE & {"time", "random", "os", "socket", "select", *HARDWARE}


def test_this_repository(repo_root):
    assert violations(repo_root) == []
