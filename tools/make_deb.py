"""The Debian package of the agent: `make deb`, or `python -m tools.make_deb`.

Modules that the agent and its command can reach are staged, no others; beside them what they
import from elsewhere, in the versions and with the hashes of requirements/agent.txt. They stand
in one folder and not in a virtualenv, which would be bound to a path and to the interpreter of the
machine that made it. The package is for one architecture and one Python: those of who makes it.
"""

import compileall
import gzip
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tools.check_imports import imports_of
from tools.rooms import ROOMS, ROOT

NAME = "onecard-agent"
ROOTS = ("edge_agent.daemon", "tools.cli_agent")
PINNED = ROOT / "requirements" / "agent.txt"
LIB = Path("usr/lib") / NAME
CONFIG = Path("etc/onecard/agent.toml")
_FROM = ROOT / "edge_agent" / "packaging"
_DOC = Path("usr/share/doc") / NAME
# What is staged: where it goes -> what it is made from, and its mode.
FILES = {
    Path("usr/bin") / NAME: (_FROM / NAME, 0o755),
    CONFIG: (_FROM / "agent.toml", 0o644),
    Path("usr/lib/systemd/system/onecard-agent.service"): (_FROM / f"{NAME}.service", 0o644),
    Path("usr/lib/sysusers.d/onecard-agent.conf"): (_FROM / "sysusers.conf", 0o644),
    Path("usr/lib/tmpfiles.d/onecard-agent.conf"): (_FROM / "tmpfiles.conf", 0o644),
    _DOC / "running.md": (ROOT / "docs" / "running.md", 0o644),
    _DOC / "copyright": (ROOT / "LICENSE", 0o644),
    _DOC / "examples" / "alerts.yml": (ROOT / "edge_agent/monitoring/alerts.yml", 0o644),
    _DOC / "examples" / "dashboard.json": (ROOT / "edge_agent/monitoring/dashboard.json", 0o644),
}
_PACKED = {
    Path("usr/share/man/man8/onecard-agent.8.gz"): _FROM / f"{NAME}.8",
    _DOC / "changelog.gz": ROOT / "CHANGELOG.md",
}
SCRIPTS = ("postinst", "prerm", "postrm")
DATA = ("edge_agent/pages",)  # not modules, but read by them
# A wheel runs with this glibc, or a newer one.
_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_TAG = re.compile(r"^Tag: .*[-.](?:manylinux_(\d+)_(\d+)|(manylinux\d+))_", re.MULTILINE)


class NoPackage(Exception):
    """It cannot be made; the text says why."""


def modules() -> list[Path]:
    """Files of ours that the agent and its command can reach, relative to the repository."""
    found: set[Path] = set()
    ahead = list(ROOTS)
    while ahead:
        for path in _files_of(ahead.pop()):
            if path not in found:
                found.add(path)
                ahead += [imported.target for imported in imports_of(ROOT, ROOT / path)]
    return sorted(found)


def outside(paths: list[Path]) -> set[str]:
    """Top-level names that `paths` import and that are neither ours nor Python's."""
    targets = {imported.target for path in paths for imported in imports_of(ROOT, ROOT / path)}
    return {target.partition(".")[0] for target in targets} - {*ROOMS, *sys.stdlib_module_names}


def stage(root: Path) -> None:
    """All that is ours into `root`, beside what LIB in it holds of others already."""
    library = root / LIB
    for path in modules():
        _place(library / path, (ROOT / path).read_bytes())
    for folder in DATA:
        shutil.copytree(ROOT / folder, library / folder)
    _compile(root)
    for where, (source, bits) in FILES.items():
        _place(root / where, source.read_bytes(), bits)
    for where, source in _PACKED.items():
        _place(root / where, gzip.compress(source.read_bytes(), mtime=0))
    _control(root)
    for path in root.rglob("*"):  # whatever umask and wheels say
        is_program = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if is_program else 0o644)


def build(root: Path, out: Path, *, compression: str = "xz") -> Path:
    """A .deb of a staged `root` in the folder `out`; the same bytes for the same sources."""
    out.mkdir(parents=True, exist_ok=True)
    deb = out / f"{NAME}_{version()}_{_architecture()}.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_epoch_s())}
    _run("dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", str(root), str(deb),
         environment=environment)  # fmt: skip
    return deb


def version() -> str:
    """The project's, which is the package's too."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def pinned() -> dict[str, str]:
    """Name -> version of what the package brings along for this system, from PINNED."""
    lines = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\$", PINNED.read_text(), re.MULTILINE)
    return {name: number for name, number, marker in lines if "win32" not in marker}


def _files_of(module: str) -> Iterator[Path]:
    """The file of a module of ours, and the packages around it; nothing for what is not ours."""
    parts = module.split(".")
    if parts[0] not in ROOMS:
        return
    for length in range(1, len(parts) + 1):
        stem = Path(*parts[:length])
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if (ROOT / path).is_file():
                yield path


def _compile(root: Path) -> None:
    """Nobody may write there later; and these bytes do not depend on when they were made."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(
        root / LIB, quiet=1, invalidation_mode=mode, stripdir=str(root), prependdir="/"
    ):
        raise NoPackage("what is named above does not compile")


def _control(root: Path) -> None:
    """DEBIAN/: what dpkg has to know, and what it runs."""
    payload = [path for path in sorted(root.rglob("*")) if path.is_file()]
    size_kib = sum(path.stat().st_size for path in payload) // 1024
    text = (_FROM / "control").read_text()
    fields = {"version": version(), "architecture": _architecture(), "size_kib": size_kib}
    text = text.format(**fields, depends=", ".join(_depends(root)))
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
            for path in payload if path != root / CONFIG]  # fmt: skip
    _place(root / "DEBIAN" / "control", text.encode())
    _place(root / "DEBIAN" / "conffiles", f"/{CONFIG}\n".encode())
    _place(root / "DEBIAN" / "md5sums", "".join(sums).encode())
    for script in SCRIPTS:
        _place(root / "DEBIAN" / script, (_FROM / script).read_bytes(), 0o755)


def _depends(root: Path) -> list[str]:
    major, minor = sys.version_info[:2]
    glibc = max((_glibc(path.read_text()) for path in root.rglob("WHEEL")), default=(2, 17))
    return [
        f"python3 (>= {major}.{minor}~)",
        f"python3 (<< {major}.{minor + 1}~)",
        "libc6 (>= {}.{})".format(*glibc),
        "systemd (>= 252)",
        "init-system-helpers (>= 1.54~)",
    ]


def _glibc(wheel: str) -> tuple[int, int]:
    """The oldest glibc that one of a wheel's tags promises to run with."""
    tags = [
        _GLIBC.get(name) or (int(major), int(minor)) for major, minor, name in _TAG.findall(wheel)
    ]
    return min(tags, default=(0, 0))


def _architecture() -> str:
    return _run("dpkg", "--print-architecture").strip()


def _epoch_s() -> int:
    """When the sources are from: SOURCE_DATE_EPOCH, or the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or _run("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def _place(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        raise NoPackage(f"needs {command[0]} (Debian package dpkg or git)") from None
    except subprocess.CalledProcessError as error:
        raise NoPackage(f"{command[0]}: {error.stderr.strip()}") from None
    return done.stdout


def _pip(library: Path) -> None:
    """What is pinned, from wheels alone: a package that is compiled here would be another one."""
    options = ("--disable-pip-version-check", "--no-input", "--quiet", "--require-hashes")
    wheels = ("--no-deps", "--only-binary", ":all:", "--no-compile")
    library.mkdir(parents=True)
    _run(sys.executable, "-m", "pip", "install", *options, *wheels,
         "--target", str(library), "-r", str(PINNED))  # fmt: skip
    shutil.rmtree(library / "bin", ignore_errors=True)


def main(out: Annotated[Path, typer.Option(help="The folder it goes to.")] = Path("dist")) -> None:
    """Make the Debian package of the agent."""
    with tempfile.TemporaryDirectory(prefix="onecard-deb-") as folder:
        root = Path(folder) / NAME
        root.mkdir(mode=0o755)
        try:
            _pip(root / LIB)
            stage(root)
            typer.echo(build(root, out))
        except NoPackage as error:
            typer.echo(f"make_deb: {error}", err=True)
            raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
