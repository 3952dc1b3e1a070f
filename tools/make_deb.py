"""The Debian packages of the agent and of the ledger: `make deb`, or `python -m tools.make_deb`.

Modules that the service and its command can reach are staged, no others; beside them what they
import from elsewhere, in the versions and with the hashes of requirements/agent.txt or ledger.txt.
They stand in one folder and not in a virtualenv, which would be bound to a path and to the
interpreter of the machine that made it. A package is for one architecture and one Python: those of
who makes it.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tools.check_imports import imports_of
from tools.rooms import ROOMS, ROOT


@dataclass(frozen=True, slots=True)
class Package:
    """What goes into a package: `tier` is the room that it is of.

    `roots`: the modules from which all others are reached; `units`: of systemd; `examples` and
    `data` are files and folders that are no modules; `pinned` names what comes from elsewhere.
    """

    tier: str
    roots: tuple[str, ...]
    units: tuple[str, ...]
    examples: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"onecard-{self.tier.removeprefix('edge_')}"

    @property
    def pinned(self) -> Path:
        return ROOT / "requirements" / f"{self.name.removeprefix('onecard-')}.txt"

    @property
    def lib(self) -> Path:
        return Path("usr/lib") / self.name

    @property
    def config(self) -> Path:
        return Path("etc/onecard") / f"{self.name.removeprefix('onecard-')}.toml"

    @property
    def folder(self) -> Path:
        return ROOT / self.tier / "packaging"

    @property
    def doc(self) -> Path:
        return Path("usr/share/doc") / self.name

    def files(self) -> dict[Path, tuple[Path, int]]:
        """Where each goes that is staged -> what it is made from, and its mode."""
        found = {
            Path("usr/bin") / self.name: (self.folder / self.name, 0o755),
            self.config: (self.folder / self.config.name, 0o644),
            Path(f"usr/lib/sysusers.d/{self.name}.conf"): (self.folder / "sysusers.conf", 0o644),
            Path(f"usr/lib/tmpfiles.d/{self.name}.conf"): (self.folder / "tmpfiles.conf", 0o644),
            self.doc / "running.md": (ROOT / "docs" / "running.md", 0o644),
            self.doc / "copyright": (ROOT / "LICENSE", 0o644),
        }
        for unit in self.units:
            found[Path("usr/lib/systemd/system") / unit] = (self.folder / unit, 0o644)
        for example in self.examples:
            found[self.doc / "examples" / Path(example).name] = (ROOT / example, 0o644)
        return found

    def packed(self) -> dict[Path, Path]:
        """The same of what is compressed."""
        return {
            Path(f"usr/share/man/man8/{self.name}.8.gz"): self.folder / f"{self.name}.8",
            self.doc / "changelog.gz": ROOT / "CHANGELOG.md",
        }


AGENT = Package(
    "edge_agent",
    ("edge_agent.daemon", "tools.cli_agent"),
    ("onecard-agent.service",),
    ("edge_agent/monitoring/alerts.yml", "edge_agent/monitoring/dashboard.json"),
    ("edge_agent/pages",),
)
LEDGER = Package(
    "ledger",
    ("ledger.daemon", "ledger.console.__main__", "tools.cli_ledger"),
    (
        "onecard-ledger.service",
        "onecard-ledger-api.service",
        *(
            f"onecard-ledger-{what}.{kind}"
            for what in ("audit", "backup", "metrics")
            for kind in ("service", "timer")
        ),
    ),
    ("ledger/monitoring/alerts.yml",),
    ("ledger/console/web", "ledger/migrations", "ledger/pages", "tools/pages"),
)
PACKAGES = (AGENT, LEDGER)
SCRIPTS = ("postinst", "prerm", "postrm")
# A wheel runs with this glibc, or a newer one.
_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_TAG = re.compile(r"^Tag: .*[-.](?:manylinux_(\d+)_(\d+)|(manylinux\d+))_", re.MULTILINE)


class NoPackage(Exception):
    """It cannot be made; the text says why."""


def modules(package: Package) -> list[Path]:
    """Files of ours that a service and its command can reach, relative to the repository."""
    found: set[Path] = set()
    ahead = list(package.roots)
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


def stage(package: Package, root: Path) -> None:
    """All that is ours into `root`, beside what lies of others in the package's folder already."""
    library = root / package.lib
    for path in modules(package):
        _place(library / path, (ROOT / path).read_bytes())
    for folder in package.data:
        nothing = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, library / folder, ignore=nothing, dirs_exist_ok=True)
    _compile(library, root)
    for where, (source, bits) in package.files().items():
        _place(root / where, source.read_bytes(), bits)
    for where, source in package.packed().items():
        _place(root / where, gzip.compress(source.read_bytes(), mtime=0))
    _control(package, root)
    for path in root.rglob("*"):  # whatever umask and wheels say
        is_program = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if is_program else 0o644)


def build(package: Package, root: Path, out: Path, *, compression: str = "xz") -> Path:
    """A .deb of a staged `root` in the folder `out`; the same bytes for the same sources."""
    out.mkdir(parents=True, exist_ok=True)
    deb = out / f"{package.name}_{version()}_{_architecture()}.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_epoch_s())}
    _run("dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", str(root), str(deb),
         environment=environment)  # fmt: skip
    return deb


def version() -> str:
    """The project's, which is the package's too."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def pinned(package: Package) -> dict[str, str]:
    """Name -> version of what the package brings along for this system."""
    text = package.pinned.read_text()
    lines = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\$", text, re.MULTILINE)
    return {name: number for name, number, marker in lines if not _is_elsewhere(marker)}


def _is_elsewhere(marker: str) -> bool:
    """Whether a requirement is of other systems than those of a package."""
    other = re.search(r"(?:sys_platform|platform_system) == '(?:win32|Windows|darwin)'", marker)
    return other is not None or "python_full_version < '3.11" in marker


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


def _compile(library: Path, root: Path) -> None:
    """Nobody may write there later; and these bytes do not depend on when they were made."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(
        library, quiet=1, invalidation_mode=mode, stripdir=str(root), prependdir="/"
    ):
        raise NoPackage("what is named above does not compile")


def _control(package: Package, root: Path) -> None:
    """DEBIAN/: what dpkg has to know, and what it runs."""
    payload = [path for path in sorted(root.rglob("*")) if path.is_file()]
    size_kib = sum(path.stat().st_size for path in payload) // 1024
    text = (package.folder / "control").read_text()
    fields = {"version": version(), "architecture": _architecture(), "size_kib": size_kib}
    text = text.format(**fields, depends=", ".join(_depends(root)))
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
            for path in payload if path != root / package.config]  # fmt: skip
    _place(root / "DEBIAN" / "control", text.encode())
    _place(root / "DEBIAN" / "conffiles", f"/{package.config}\n".encode())
    _place(root / "DEBIAN" / "md5sums", "".join(sums).encode())
    for script in SCRIPTS:
        _place(root / "DEBIAN" / script, (package.folder / script).read_bytes(), 0o755)


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


def _pip(package: Package, library: Path) -> None:
    """What is pinned, from wheels alone: a package that is compiled here would be another one."""
    options = ("--disable-pip-version-check", "--no-input", "--quiet", "--require-hashes")
    wheels = ("--no-deps", "--only-binary", ":all:", "--no-compile")
    library.mkdir(parents=True)
    _run(sys.executable, "-m", "pip", "install", *options, *wheels,
         "--target", str(library), "-r", str(package.pinned))  # fmt: skip
    shutil.rmtree(library / "bin", ignore_errors=True)


def main(out: Annotated[Path, typer.Option(help="The folder it goes to.")] = Path("dist")) -> None:
    """Make the Debian packages of the agent and of the ledger."""
    for package in PACKAGES:
        with tempfile.TemporaryDirectory(prefix="onecard-deb-") as folder:
            root = Path(folder) / package.name
            root.mkdir(mode=0o755)
            try:
                _pip(package, root / package.lib)
                stage(package, root)
                typer.echo(build(package, root, out))
            except NoPackage as error:
                typer.echo(f"make_deb: {error}", err=True)
                raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
