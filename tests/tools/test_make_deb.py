"""The Debian packages: built, unpacked, installed into a root, removed and purged.

What it brings from elsewhere comes from the test's own environment here, and by pip with hashes in
`make deb`; all of ours is as in a real one.
"""

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.edge_agent.peers import Ledger
from tests.ledger.readers import open_ledger
from tools import make_deb

LOCK = make_deb.ROOT / "requirements" / "lock.txt"
UNITS = Path("usr/lib/systemd/system")
UNIT = UNITS / "onecard-agent.service"
DATA = Path("var/lib/onecard-agent")
AGENT, LEDGER = make_deb.AGENT, make_deb.LEDGER
_PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
_GROUP = "root:x:0:\ndialout:x:20:\n"

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A package of ours alone, which needs no network and half a second of compression."""
    debs = {}

    def of(package):
        if package not in debs:
            folder = tmp_path_factory.mktemp(package.name)
            root = folder / "staged"
            make_deb.stage(package, root)
            debs[package] = make_deb.build(package, root, folder, compression="none")
        return debs[package]

    return of


@pytest.fixture
def deb(made):
    return made(AGENT)


@pytest.fixture(scope="module")
def unpacked_of(made, tmp_path_factory):
    roots = {}

    def of(package):
        if package not in roots:
            roots[package] = tmp_path_factory.mktemp(f"unpacked-{package.name}")
            subprocess.run(["dpkg-deb", "-x", made(package), roots[package]], check=True)
        return roots[package]

    return of


@pytest.fixture
def unpacked(unpacked_of):
    return unpacked_of(AGENT)


each_package = pytest.mark.parametrize("package", make_deb.PACKAGES, ids=lambda it: it.name)


def _modes(root, package):
    return {
        str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
        if package.lib not in path.relative_to(root).parents
    }


def _bring_pinned(package, library):
    """What its requirements name, and nothing else, from where the tests have it."""
    for name in make_deb.pinned(package):
        for file in importlib.metadata.files(name) or ():
            top = file.parts[0]
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if not (library / top).is_symlink() and not top.startswith((".", "__pycache__")):
                (library / top).symlink_to(source)


@each_package
def test_what_is_pinned_is_what_the_tests_ran_with_and_covers_all_imports(package):
    ours = make_deb.pinned(package)
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    assert ours == {name: locked[name] for name in ours}
    brought = {
        file.parts[0].removesuffix(".py")
        for name in ours
        for file in importlib.metadata.files(name) or ()
    }
    assert make_deb.outside(make_deb.modules(package)) <= brought


def test_nothing_of_other_tiers_is_brought():
    rooms = {path.parts[0] for path in make_deb.modules(AGENT)}
    assert rooms == {"protocols", "adapters", "edge_agent", "tools"}
    names = {str(path) for path in make_deb.modules(AGENT)}
    assert "edge_agent/serial_line.py" in names and "adapters/postgres.py" not in names
    names = {str(path) for path in make_deb.modules(LEDGER)}
    assert {"adapters/postgres.py", "ledger/api/operations.py"} < names
    # A menu is written as in a scenario; of the simulator that is all.
    others = {name for name in names if name.split("/")[0] in ("simulator", "firmware")}
    assert others == {"simulator/__init__.py", "simulator/scenario_menu.py"}
    assert not any(name.startswith("edge_agent") for name in names)


@pytest.mark.parametrize(
    ("wheel", "glibc"),
    [
        ("Tag: cp311-abi3-manylinux_2_34_x86_64\n", (2, 34)),
        ("Tag: cp311-cp311-manylinux_2_28_x86_64\nTag: x-y-manylinux2014_x86_64\n", (2, 17)),
        ("Tag: cp311-cp311-manylinux2014_aarch64\n", (2, 17)),
        ("Tag: py3-none-any\n", (0, 0)),
    ],
)
def test_the_c_library_that_a_wheel_needs(wheel, glibc):
    assert make_deb._glibc(wheel) == glibc


@needs_dpkg
@each_package
def test_each_file_stands_where_debian_has_it(unpacked_of, package):
    unpacked = unpacked_of(package)
    modes = _modes(unpacked, package)
    for where, (_source, mode) in package.files().items():
        assert modes[str(where)] == mode, where
    assert f"usr/share/man/man8/{package.name}.8.gz" in modes
    assert [path for path, mode in modes.items() if mode & 0o022] == []
    for name in package.units:
        unit = (unpacked / UNITS / name).read_text()
        for document in re.findall(r"file:/(\S+)", unit):
            assert (unpacked / document).is_file()
        programs = re.findall(r"^ExecStart=.*?/(usr/bin/onecard-\w+) .*?/(etc/\S+)", unit, re.M)
        assert bool(programs) == name.endswith(".service")
        for program, config in programs:
            assert os.access(unpacked / program, os.X_OK) and (unpacked / config).is_file()


@needs_dpkg
def test_the_same_sources_give_the_same_bytes(deb, tmp_path):
    root = tmp_path / "again"
    make_deb.stage(AGENT, root)
    again = make_deb.build(AGENT, root, tmp_path / "out", compression="none")
    assert again.read_bytes() == deb.read_bytes()


@needs_dpkg
def test_the_installed_command_runs_from_what_the_package_brings_alone(unpacked, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(unpacked, root)
    _bring_pinned(AGENT, root / AGENT.lib)
    config = root / AGENT.config
    # Without site-packages: neither those of the tests nor those of the machine.
    command = [sys._base_executable, "-ISB", root / "usr/bin/onecard-agent", "check", config]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "ledger.pub" in done.stderr
    (config.parent / "ledger.pub").write_text(Ledger().public_key.hex())
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout)["data"] == "/var/lib/onecard-agent"
    assert str(config) in done.stdout  # who has said it


@needs_dpkg
@each_package
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say_about_the_units(unpacked_of, package, tmp_path):
    unpacked = unpacked_of(package)
    program = f"/usr/bin/{package.name}"
    for name in package.units:
        text = (unpacked / UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace(program, f"{unpacked}{program}"))
    units = [tmp_path / name for name in package.units]
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""


@needs_dpkg
def test_the_key_has_the_name_under_which_systemd_hands_it_over(unpacked):
    """A "-" before it would be part of the name."""
    given = re.search(r"^LoadCredential=(\S+)$", (unpacked / UNIT).read_text(), re.MULTILINE)[1]
    assert f'key = "$CREDENTIALS_DIRECTORY/{given}"' in (unpacked / AGENT.config).read_text()


# -- installed, by dpkg itself -----------------------------------------------------------------


class Machine:
    """A root that dpkg installs into, with the scripts run as on a system that is not up."""

    def __init__(self, root):
        self.root = root
        for folder in ("etc/systemd/system", "var/lib/dpkg/updates", "var/lib/dpkg/info"):
            (root / folder).mkdir(parents=True)
        for file in ("status", "available"):
            (root / "var/lib/dpkg" / file).touch()
        (root / "etc/passwd").write_text(_PASSWD)
        (root / "etc/group").write_text(_GROUP)

    def dpkg(self, *arguments):
        # What it depends on is on the machine of the test, not in this root.
        options = ("--force-script-chrootless", "--force-depends", "--force-confold")
        command = ["dpkg", f"--root={self.root}", "--log=/dev/null", *options, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wanted(self):
        """Whether the unit is started at boot."""
        link = self.root / "etc/systemd/system/multi-user.target.wants/onecard-agent.service"
        return link.is_symlink()


@pytest.fixture
def machine(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("dpkg installs as root only")
    return Machine(tmp_path / "machine")


@needs_dpkg
def test_install_upgrade_remove_and_purge(deb, machine):
    root, data = machine.root, machine.root / DATA
    machine.dpkg("--install", deb)
    line = next(
        line for line in (root / "etc/passwd").read_text().splitlines() if "onecard" in line
    )
    user = line.split(":")
    assert (user[5], user[6]) == ("/var/lib/onecard-agent", "/usr/sbin/nologin")
    assert re.search(r"^dialout:.*onecard-agent$", (root / "etc/group").read_text(), re.MULTILINE)
    state = data.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o700, int(user[2]))
    assert stat.S_IMODE((root / "etc/credstore").stat().st_mode) == 0o700
    assert machine.wanted()
    config = root / AGENT.config
    config.write_text(config.read_text().replace("canteen-1", "canteen-7"))
    (data / "agent.sqlite").write_text("records")
    machine.dpkg("--install", deb)  # as an upgrade does
    assert 'site = "canteen-7"' in config.read_text()
    machine.dpkg("--remove", "onecard-agent")
    assert not (root / "usr/bin/onecard-agent").exists()
    # No file that nobody owns is left.
    assert not (root / AGENT.lib).exists()
    assert config.exists() and (data / "agent.sqlite").exists()
    said = machine.dpkg("--purge", "onecard-agent")
    assert "is kept" in said and (data / "agent.sqlite").read_text() == "records"
    assert not config.exists() and not machine.wanted()


@needs_dpkg
def test_what_was_disabled_stays_so_and_what_is_asked_for_is_purged(deb, machine):
    machine.dpkg("--install", deb)
    subprocess.run(
        ["systemctl", f"--root={machine.root}", "disable", "onecard-agent"],
        check=True,
        capture_output=True,
    )
    machine.dpkg("--install", deb)
    assert not machine.wanted()
    (machine.root / DATA / "delete-on-purge").touch()
    machine.dpkg("--purge", "onecard-agent")
    assert not (machine.root / DATA).exists()


# -- the ledger's -------------------------------------------------------------------------------


@needs_dpkg
def test_the_ledger_s_commands_and_timers_do_what_the_units_say(unpacked_of, tmp_path):
    """From what the package brings alone, as the units call it, on books that are there."""
    root, books = tmp_path / "root", tmp_path / "books"
    shutil.copytree(unpacked_of(LEDGER), root)
    _bring_pinned(LEDGER, root / LEDGER.lib)
    books.mkdir()
    (books / "audit").mkdir()
    (tmp_path / "onecard-ledger.signing.key").write_text("07" * 32)
    config = root / LEDGER.config
    text = config.read_text().replace("/var/lib/onecard-ledger", str(books))
    config.write_text(text)
    open_ledger(path=str(books / "ledger.sqlite")).close()
    places = {
        "/usr/bin/onecard-ledger": f"{sys._base_executable} -ISB {root}/usr/bin/onecard-ledger",
        "/var/lib/onecard-ledger/backup": str(tmp_path),
        "/var/lib/onecard-ledger": str(books),
        "/run/onecard-ledger": str(tmp_path),
        "/etc/onecard": str(config.parent),
        "$$": "$",
        "%%": "%",
    }
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    for what in ("audit", "backup", "metrics"):
        unit = (root / UNITS / f"onecard-ledger-{what}.service").read_text()
        for command in re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE):
            for there, here in places.items():
                command = command.replace(there, here)
            words = ["sh", "-c", command]
            done = subprocess.run(words, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert len(list((books / "audit").glob("audit-*.jsonl"))) == 1
    (backup,) = (path for path in tmp_path.glob("books-*Z"))
    assert backup.stat().st_size > 0
    period, page = [*places["/usr/bin/onecard-ledger"].split(), "period"], tmp_path / "sheet.html"
    until = "2020-01-01T00:00:00+08:00"
    for words in (
        ["close", books / "ledger.sqlite", "--name", "2019", "--until", until, "--by", "chen"],
        ["sheet", books / "ledger.sqlite", "--period", "1", "--html", page],
    ):
        subprocess.run([*period, *words], check=True, env=environment)
    assert "2020-01-01" in page.read_text()
    prom = tmp_path / "onecard.prom"
    assert "onecard_ledger" in prom.read_text()


@needs_dpkg
def test_the_ledger_s_secrets_have_the_names_under_which_systemd_hands_them_over(unpacked_of):
    root = unpacked_of(LEDGER)
    named = set(
        re.findall(r"\$CREDENTIALS_DIRECTORY/([\w.-]+)", (root / LEDGER.config).read_text())
    )
    given = set()
    for unit in LEDGER.units:
        given |= set(
            re.findall(r"^LoadCredential=(\S+)$", (root / UNITS / unit).read_text(), re.M)
        )
    assert named <= given and "onecard-ledger.signing.key" in named


@needs_dpkg
def test_the_ledger_is_installed_and_its_books_outlive_a_purge(made, machine):
    machine.dpkg("--install", made(LEDGER))
    books = machine.root / "var/lib/onecard-ledger"
    assert stat.S_IMODE((books / "backup").stat().st_mode) == 0o700
    wanted = machine.root / "etc/systemd/system"
    timers = {path.name for path in (wanted / "timers.target.wants").iterdir()}
    assert timers == {unit for unit in LEDGER.units if unit.endswith(".timer")}
    services = {path.name for path in (wanted / "multi-user.target.wants").iterdir()}
    assert services == {"onecard-ledger.service"}  # not the API
    (books / "ledger.sqlite").write_text("books")
    assert "is kept" in machine.dpkg("--purge", "onecard-ledger")
    assert (books / "ledger.sqlite").read_text() == "books"
    assert not list((wanted / "timers.target.wants").glob("*"))
