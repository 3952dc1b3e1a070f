"""A release is the same bytes wherever it is built, and packages hold the bytes of a release."""

import functools
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from ledger.release_file import SLOT, BadRelease, Release, decode
from protocols.wire import cbor
from simulator.vm.image import ROOMS
from tests.device.bench import board
from tools.device import ports, processes, provision
from tools.firmware import build, packages
from tools.rooms import ROOT

DOOR = "main_door"
# Builds of another person: another folder, user, day, locale, and order of hashes.
ELSEWHERE = {"PYTHONHASHSEED": "7", "TZ": "Asia/Shanghai", "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1"}
BUILD = """
import os, sys
from pathlib import Path
os.umask(0o077)
from tools.firmware.build import build
made = build(sys.argv[1], 2, 1, Path(sys.argv[2]))
sys.stdout.buffer.write(made.encoded())
"""


@pytest.fixture(scope="module")
def door():
    """The release of a program that is put by cable only."""
    return build.build(DOOR, 2, 1)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the package of the same program."""
    folder = tmp_path_factory.mktemp("packages")
    packages.write(folder / "door", DOOR, 2)
    return folder / "door"


def test_a_release_is_the_same_bytes_in_another_place_and_at_another_time(door, tmp_path):
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            copy = tmp_path / "another folder" / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            os.utime(copy, (1, 1))
    made = subprocess.run(
        [sys.executable, "-c", BUILD, DOOR, str(tmp_path / "another folder")],
        env={**os.environ, **ELSEWHERE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert made == door.encoded() and decode(made) == door


def test_it_says_what_it_is_for(door):
    assert (door.name, door.version, door.after) == (DOOR, 2, 1)
    assert (door.roles, door.hardware, door.image) == (("door",), ("esp32",), b"")
    assert {"boot.py", "main.py", "reader_0.mpy"} <= set(door.files)
    assert SLOT not in door.contents
    assert str(ROOT).encode() not in door.encoded()


def test_a_package_has_the_files_of_the_release(door, package):
    told = json.loads((package / packages.PACKAGE).read_text())
    names = [name for name, _ in told["urls"]]
    assert sorted(names) == sorted(door.files) and told["version"] == "2"
    assert names[-1] == "main.py"  # whoever is cut off before that has no program
    for name, url in told["urls"]:
        assert (package / url).read_bytes() == door.files[name]
    with pytest.raises(FileExistsError):
        packages.write(package, DOOR, 2)


def test_a_manifest_freezes_every_file_once(door, package):
    """By the words of MicroPython's manifest files (docs.micropython.org/reference/manifest)."""
    said = []
    words = {
        word: functools.partial(lambda word, *what, **more: said.append((word, *what, more)), word)
        for word in ("metadata", "include", "module", "freeze_mpy")
    }
    text = compile((package / packages.MANIFEST).read_text(), "manifest.py", "exec")
    eval(text, words)  # noqa: S307 - it is our own
    # First the port's own, without which a board has no file system.
    port = ("include", "$(PORT_DIR)/boards/manifest.py", {})
    assert said[:2] == [("metadata", {"version": "2"}), port]
    source = [what[1] for what in said[2:] if what[0] == "module"]
    code = [what[2] for what in said[2:] if what[:2] == ("freeze_mpy", ".")]
    assert sorted(source + code) == sorted(door.files) and len(said) == 2 + len(door.files)
    assert {name.endswith(".py") for name in source} == {True}
    assert {name.endswith(".mpy") for name in code} == {True}


@pytest.fixture
def web(package):
    """A web server on this machine for the folder of the package; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    made = functools.partial(Quiet, directory=str(package))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("from_web", [False, True])
def test_mip_installs_a_package_on_a_board(door, package, tmp_path, web, from_web):
    url = board(tmp_path / "board")
    where = f"{web}/package.json" if from_web else str(package / packages.PACKAGE)
    with ports.opened(url) as port:
        words = ["connect", port, "resume", "mip", "install", "--target", "/", where]
        processes._run("mpremote", words, 60)
        facts = provision.inspect(port)
    assert facts["files"] == provision.digests_of(door.files)


@pytest.mark.parametrize(
    ("what", "value", "why"),
    [
        ("name of a file", "../main.py", "no name that a board takes"),
        ("name of a file", "/boot.py", "no name that a board takes"),
        ("size of a file", 1, "is not the one of the manifest"),
        ("after", 2, "name or version is none"),
        ("roles", "door", "what it is for is not said"),
        ("roles", ["pos\x1b[8m"], "what it is for is not said"),
        ("roles", ["pos, SHA-256 0"], "what it is for is not said"),
        ("hardware", ["ESP32\n"], "what it is for is not said"),
        ("name", "main\r", "name or version is none"),
        ("one file less", None, "other files than the manifest"),
        ("twice", None, "not in order"),
    ],
)
def test_what_a_manifest_may_not_say(what, value, why):
    made = Release("main", 2, 1, b"", files={"boot.py": b"b", "main.py": b"m"}, roles=("pos",))
    manifest, bodies, signatures = cbor.decode(made.encoded())
    fields = cbor.decode(manifest)
    if what == "name of a file":
        fields[-1][0][0] = value
    elif what == "size of a file":
        fields[-1][0][1] += value
    elif what == "after":
        fields[2] = value
    elif what in ("name", "roles", "hardware"):
        fields[{"name": 0, "roles": 3, "hardware": 4}[what]] = value
    elif what == "one file less":
        bodies.pop()
    else:
        fields[-1][1], bodies[1] = fields[-1][0], bodies[0]
    with pytest.raises(BadRelease, match=why):
        decode(cbor.encode([cbor.encode(fields), bodies, signatures]))
