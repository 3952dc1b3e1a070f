"""The folder of the card centre's keys: what there is stands open in it, the root is sealed.

    keys.json    which keys there are, of which generation and check value, since when and until
                 when; the root, sealed for its persons (root.py); and a MAC over the register
                 under the root. One file: after a cut it is the old or the new one.

No other key is kept. Each follows from a root by its path (derive.py), so a folder that came back
from a backup makes the same keys again for the same generations, and what was handed out fits.
"""

import hmac
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

from protocols.wire import topics
from tools.identity import files
from tools.keys import derive
from tools.keys.root import COST, Cost, RootError, seal, unseal

FILE = "keys.json"
FORMAT = 1
_ROOT_BOUND = b"onecard roots"
_NAME_CHARS_MAX = 32


class KeysError(Exception):
    """It cannot be done; the text says why, and repeats no key and no passphrase."""


@dataclass(frozen=True)
class Kind:
    """A kind of key: whether there are several by name, and how often it can be rotated."""

    is_named: bool
    generation_max: int


# A card holds its version in a byte.
KINDS = {
    "site": Kind(True, 0xFFFF),
    "card": Kind(False, 0xFF),
    "update": Kind(True, 0xFFFF),
    "ledger": Kind(False, 0xFFFF),
}
DEVICE, ROOT = "device", "root"


@dataclass(frozen=True)
class Entry:
    """One generation of a key, as it stands open in the folder; times in UTC seconds."""

    kind: str
    name: str
    generation: int
    root: int
    check: str
    made_s: int
    retired_s: int | None = None

    def __str__(self) -> str:
        return f"{f'{self.kind} {self.name}'.rstrip()}, generation {self.generation}"


@dataclass(frozen=True)
class SiteKeys:
    """A site's key, the one before it (empty if there is none), and its readers that had their own
    key rotated: device -> (its generation, the site's generation at that time)."""

    site: str
    generation: int
    key: bytes
    previous: bytes
    devices: Mapping[int, tuple[int, int]]


class Vault:
    """The folder while it is held; with the roots once two persons have opened it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._content = _read(folder)
        register = self._content["register"]
        try:
            self.root = int(register["root"])
            self.entries = [Entry(**row) for row in register["keys"]]
            self._devices: dict[str, dict[int, tuple[int, int]]] = {
                site: {int(number): (row[0], row[1]) for number, row in devices.items()}
                for site, devices in register["devices"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise KeysError(f"{self._path}: damaged: restore a backup of it") from None
        self._roots: dict[int, bytes] = {}

    # --- who opens it ------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def held(cls, folder: Path) -> Iterator["Vault"]:
        """The folder, while nobody else changes it. KeysError."""
        with _held(folder):
            yield cls(folder)

    @classmethod
    def create(cls, folder: Path, passphrases: Mapping[str, str], cost: Cost = COST) -> None:
        """A new folder (mode 0700) with a first root for these persons. KeysError."""
        for name in passphrases:
            _check_name(name)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeysError(f"{folder}: {error.strerror}") from None
        with _held(folder):
            if (folder / FILE).exists():
                raise KeysError(f"{folder}: keys are here already")
            roots = {1: token_bytes(derive.ROOT_BYTES)}
            register = {"root": 1, "keys": [], "devices": {}}
            _write(folder / FILE, register, _sealed(roots, passphrases, cost), roots)

    @property
    def persons(self) -> list[str]:
        """Who may open it, any two of them."""
        return sorted(self._content["root"]["persons"])

    def open(self, passphrases: Mapping[str, str]) -> None:
        """Open the roots by two persons' passphrases. KeysError."""
        try:
            text = unseal(self._content["root"], passphrases, _ROOT_BOUND)
        except RootError as error:
            raise KeysError(str(error)) from None
        roots = {int(number): bytes.fromhex(key) for number, key in json.loads(text).items()}
        known = _mac(roots, self._content["register"])
        if not hmac.compare_digest(known, str(self._content.get("mac"))):
            raise KeysError(f"{self._path}: the register was changed by somebody, or is damaged")
        self._roots = roots

    def seal_for(self, passphrases: Mapping[str, str], cost: Cost = COST) -> None:
        """From now on these persons open it, and nobody else. KeysError."""
        for name in passphrases:
            _check_name(name)
        self._save(_sealed(self._opened(), passphrases, cost))

    def rotate_root(self, passphrases: Mapping[str, str], cost: Cost = COST) -> int:
        """Another root, from which what is made from now on follows; its number.

        Older ones stay, sealed beside it, as long as a key that follows from one is not retired.
        """
        roots = self._opened()
        number = self.root + 1
        needed = {entry.root for entry in self.entries if entry.retired_s is None}
        self._roots = {at: key for at, key in roots.items() if at in needed}
        self._roots[number] = token_bytes(derive.ROOT_BYTES)
        self.root = number
        self.seal_for(passphrases, cost)
        return number

    # --- generations -------------------------------------------------------------------------

    def create_key(self, kind: str, names: Sequence[str], now_s: int, first: int = 1) -> None:
        """The first generation of a key that there is not yet; `first` is its number."""
        for name in names:
            self._check(kind, name)
            if self._generations(kind, name):
                raise KeysError(f"{_whose(kind, name)}: is there already; rotate it")
            self._add(kind, name, first, now_s)
        self._save()

    def rotate_key(self, kind: str, names: Sequence[str], now_s: int) -> None:
        """The next generation of each; the one before stays good until it is retired."""
        for name in names:
            known = self._known(kind, name)
            self._add(kind, name, known[-1].generation + 1, now_s)
        self._save()

    def rotate_devices(self, site: str, devices: Sequence[int]) -> None:
        """Another key for each of these readers of a site; the site's own stays."""
        now = self.current("site", site).generation
        own = self._devices.setdefault(site, {})
        for device in devices:
            if not 0 < device <= 0xFFFFFFFF:
                raise KeysError(f"{device}: no number of a reader")
            own[device] = own.get(device, (1, 0))[0] + 1, now
        self._save()

    def retire(self, kind: str, name: str, generation: int, now_s: int) -> None:
        """Hand a generation out no more. KeysError for the newest one."""
        entry = self.entry(kind, name, generation)
        if entry == self.current(kind, name):
            raise KeysError(f"{entry}: is the one in use; rotate it first")
        self.entries[self.entries.index(entry)] = replace(entry, retired_s=now_s)
        self._save()

    def current(self, kind: str, name: str) -> Entry:
        """The newest generation. KeysError if there is none."""
        return self._known(kind, name)[-1]

    def entry(self, kind: str, name: str, generation: int) -> Entry:
        """A generation that is not retired. KeysError."""
        known = self._known(kind, name)
        for entry in known:
            if entry.generation == generation:
                if entry.retired_s is not None:
                    raise KeysError(f"{entry}: was retired and is handed out no more")
                return entry
        there = ", ".join(str(entry.generation) for entry in known)
        raise KeysError(f"{_whose(kind, name)}: no generation {generation}; there is {there}")

    # --- keys --------------------------------------------------------------------------------

    def site(self, name: str, generation: int = 0) -> SiteKeys:
        """A site's keys; generation 0 is the newest. KeysError."""
        entry = self._wanted("site", name, generation)
        before = [
            each
            for each in self._known("site", name)
            if each.generation == entry.generation - 1 and each.retired_s is None
        ]
        previous = self._key(before[0]) if before else b""
        own = dict(self._devices.get(name, {}))
        return SiteKeys(name, entry.generation, self._key(entry), previous, own)

    def card(self, generation: int = 0) -> tuple[int, dict[str, bytes]]:
        """(version, masters by purpose) of cards; generation 0 is the newest. KeysError."""
        entry = self._wanted("card", "", generation)
        return entry.generation, derive.card_keys(self._root_of(entry), entry.generation)

    def card_before(self, version: int) -> dict[str, bytes]:
        """The masters of the version before, while it is not retired; else empty."""
        for entry in self._generations("card", ""):
            if entry.generation == version - 1 and entry.retired_s is None:
                return derive.card_keys(self._root_of(entry), entry.generation)
        return {}

    def seed(self, kind: str, name: str, generation: int = 0) -> bytes:
        """The seed of an Ed25519 key (`update`, `ledger`). KeysError."""
        return self._key(self._wanted(kind, name, generation))

    def _key(self, entry: Entry) -> bytes:
        root = self._root_of(entry)
        if entry.kind == "site":
            return derive.site_key(root, entry.name, entry.generation)
        if entry.kind == "card":
            return b"".join(derive.card_keys(root, entry.generation).values())
        return derive.seed(root, entry.kind, entry.name, entry.generation)

    def _root_of(self, entry: Entry) -> bytes:
        return self._opened()[entry.root]

    def _wanted(self, kind: str, name: str, generation: int) -> Entry:
        return self.entry(kind, name, generation) if generation else self.current(kind, name)

    def _generations(self, kind: str, name: str) -> list[Entry]:
        found = [entry for entry in self.entries if (entry.kind, entry.name) == (kind, name)]
        return sorted(found, key=lambda entry: entry.generation)

    def _known(self, kind: str, name: str) -> list[Entry]:
        self._check(kind, name)
        found = self._generations(kind, name)
        if not found:
            raise KeysError(f"{_whose(kind, name)}: there is none; onecard keys create")
        return found

    def _add(self, kind: str, name: str, generation: int, now_s: int) -> None:
        most = KINDS[kind].generation_max
        if not 1 <= generation <= most:
            raise KeysError(f"{_whose(kind, name)}: generations go from 1 to {most}")
        entry = Entry(kind, name, generation, self.root, "", now_s)
        self.entries.append(replace(entry, check=derive.check_value(self._key(entry))))

    def _check(self, kind: str, name: str) -> None:
        if kind not in KINDS:
            raise KeysError(f"{kind}: no kind of key; there is {', '.join(KINDS)}")
        if KINDS[kind].is_named != bool(name):
            needs = "give a name" if KINDS[kind].is_named else "there is only one, without a name"
            raise KeysError(f"{kind}: {needs}")
        if kind == "site" and not topics.is_site(name):
            raise KeysError(f"{name!r}: a site is a-z, 0-9 and '-', 1 to 16 characters")
        if name:
            _check_name(name)

    def _opened(self) -> dict[int, bytes]:
        if not self._roots:
            raise KeysError("two persons have to open the root first")
        return self._roots

    def _save(self, sealed: dict[str, Any] | None = None) -> None:
        register = {
            "root": self.root,
            "keys": [asdict(entry) for entry in self.entries],
            "devices": {
                site: {str(number): list(row) for number, row in own.items()}
                for site, own in self._devices.items()
            },
        }
        _write(self._path, register, sealed or self._content["root"], self._opened())


def _whose(kind: str, name: str) -> str:
    return f"{kind} {name}".rstrip()


def _check_name(name: str) -> None:
    is_word = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    if not is_word or len(name) > _NAME_CHARS_MAX or name != name.lower():
        raise KeysError(f"{name!r}: a name is a-z, 0-9, '-' and '_', at most {_NAME_CHARS_MAX}")


def _sealed(roots: Mapping[int, bytes], passphrases: Mapping[str, str], cost: Cost) -> dict:
    text = json.dumps({str(number): key.hex() for number, key in roots.items()})
    try:
        return seal(text.encode(), passphrases, _ROOT_BOUND, cost)
    except RootError as error:
        raise KeysError(str(error)) from None


def _mac(roots: Mapping[int, bytes], register: Mapping[str, Any]) -> str:
    newest = roots[max(roots)]
    text = json.dumps(register, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(newest, b"onecard register\x00" + text, "sha256").hex()


def _write(path: Path, register: dict, sealed: dict, roots: Mapping[int, bytes]) -> None:
    content = {"format": FORMAT, "register": register, "root": sealed, "mac": ""}
    content["mac"] = _mac(roots, register)
    try:
        files.replace(path, json.dumps(content, indent=1).encode(), files.SECRET)
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}; nothing was changed") from None


def _read(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()))
            content = json.load(file)
    except FileNotFoundError:
        raise KeysError(f"{folder}: no keys here; onecard keys init") from None
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise KeysError(f"{path}: damaged: restore a backup of it") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise KeysError(f"{path}: not of format {FORMAT}")
    if not isinstance(content.get("root"), dict) or not isinstance(content.get("register"), dict):
        raise KeysError(f"{path}: damaged: restore a backup of it")
    return content


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(files.held(folder))
        except files.Busy:
            raise KeysError(f"{folder}: somebody else is at work here") from None
        except OSError as error:
            raise KeysError(f"{folder}: {error.strerror}") from None
        _check_mode(folder, os.fstat(handle))
        yield


def _check_mode(path: Path, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        raise KeysError(f"{path}: belongs to another user")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise KeysError(f"{path}: others may read it (mode {mode:04o}): chmod {wanted} {path}")
