"""What stands in a DESFire card's EEPROM: the card, its applications, their keys and files."""

from dataclasses import dataclass, field
from typing import Any

from simulator.cards.ats import ATS_DESFIRE
from simulator.cards.desfire_files import (
    BACKUP,
    CYCLIC,
    LINEAR,
    STANDARD,
    TRANSACTION_MAC,
    VALUE,
    DataFile,
    File,
    Image,
    RecordFile,
    ValueFile,
)
from simulator.cards.desfire_messaging import KEY_BYTES
from simulator.cards.desfire_tmac import TransactionMacFile

PICC = b"\x00\x00\x00"  # the identifier of the card's own level
KEYS_MAX = 14
FILE_NO_MAX = 31
EEPROM_BYTES = 8192

# Key settings, first byte; the upper half names the key that changes keys.
MASTER_CHANGEABLE, FREE_DIRECTORY, FREE_CREATE, SETTINGS_CHANGEABLE = 0x01, 0x02, 0x04, 0x08
SETTINGS_FACTORY = 0x0F
# The same half's special meanings.
CHANGED_BY_ITSELF, KEYS_FROZEN = 0xE, 0xF
# Second byte: how many keys, and of which kind.
KEY_COUNT_BITS, KEY_KIND_BITS, KEY_KIND_AES = 0x0F, 0xC0, 0x80

_APPLICATION_BYTES = 64  # assumption, and so is what a key takes
_KEY_SLOT_BYTES = 32

FILE_CLASSES: dict[int, type[File]] = {
    STANDARD: DataFile,
    BACKUP: DataFile,
    VALUE: ValueFile,
    LINEAR: RecordFile,
    CYCLIC: RecordFile,
    TRANSACTION_MAC: TransactionMacFile,
}


@dataclass
class Application:
    """One application: key settings, AES keys with their versions, files by number."""

    settings: int
    keys: list[bytes]
    versions: list[int]
    files: dict[int, File] = field(default_factory=dict)

    @property
    def transaction_mac(self) -> TransactionMacFile | None:
        """The file that signs this application's transactions."""
        found = (f for f in self.files.values() if isinstance(f, TransactionMacFile))
        return next(found, None)

    @property
    def eeprom_bytes(self) -> int:
        """What it takes of the card's memory."""
        own = _APPLICATION_BYTES + _KEY_SLOT_BYTES * len(self.keys)
        return own + sum(file.eeprom_bytes for file in self.files.values())

    def abort(self) -> None:
        """Forget everything that is pending in the files."""
        for file in self.files.values():
            file.abort()

    def image(self) -> dict[str, Any]:
        """The EEPROM of the application, for `from_image`."""
        files = {str(number): Image.of(file) for number, file in self.files.items()}
        return {**Image.of(self), "files": files}

    @classmethod
    def from_image(cls, image: dict[str, Any]) -> "Application":
        """Undo `image`."""
        rest = {name: value for name, value in image.items() if name != "files"}
        application = cls(**Image.back(rest))
        for number, entry in image["files"].items():
            application.files[int(number)] = FILE_CLASSES[entry["kind"]](**Image.back(entry))
        return application


def new_application(settings: int, key_count: int) -> Application:
    """An application with zero keys of version 0."""
    return Application(settings, [bytes(KEY_BYTES)] * key_count, [0] * key_count)


@dataclass
class Memory:
    """The whole card; `master` is its own level, an application without files."""

    master: Application = field(
        default_factory=lambda: new_application(SETTINGS_FACTORY, key_count=1)
    )
    applications: dict[bytes, Application] = field(default_factory=dict)
    ats: bytes = ATS_DESFIRE
    has_random_uid: bool = False
    can_format: bool = True
    size: int = EEPROM_BYTES

    @property
    def free_bytes(self) -> int:
        """What is left for applications and files."""
        return self.size - sum(entry.eeprom_bytes for entry in self.applications.values())

    def at(self, aid: bytes) -> Application | None:
        """The application `aid`, the card's own level for PICC."""
        return self.master if aid == PICC else self.applications.get(aid)

    def image(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        listed = {aid.hex(): entry.image() for aid, entry in self.applications.items()}
        return {**Image.of(self), "master": self.master.image(), "applications": listed}

    @classmethod
    def from_image(cls, image: dict[str, Any]) -> "Memory":
        """Undo `image`."""
        rest = {k: v for k, v in image.items() if k not in ("master", "applications")}
        memory = cls(**Image.back(rest), master=Application.from_image(image["master"]))
        for aid, entry in image["applications"].items():
            memory.applications[bytes.fromhex(aid)] = Application.from_image(entry)
        return memory
