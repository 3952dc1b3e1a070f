"""The boards that readers are built on, how their flash is divided, and what runs on them.

The base image's own rows for its program stay where they are; ours are behind it.
"""

from dataclasses import dataclass

from tools.device.partition_table import DATA, Row

_UNDEFINED, _NVS, _PHY, _FAT = 0x06, 0x02, 0x01, 0x81


@dataclass(frozen=True)
class BoardKind:
    """`chip` as esptool calls it; `base_at`: where a base image of MicroPython begins."""

    chip: str
    flash_bytes: int
    base_at: int
    rows: tuple[Row, ...]

    @property
    def ours_at(self) -> int:
        """Where what is ours begins: a base image has to end before."""
        return min(row.start for row in self.rows)


def _rows(vfs: int, cards: int, journal: int, start: int = 0x200000) -> tuple[Row, ...]:
    """File system, both images (64 kB aligned: they are mapped into memory), cards, journal."""
    romfs = start + vfs
    return (
        Row("vfs", DATA, _FAT, start, vfs),
        Row("romfs", DATA, _UNDEFINED, romfs, 0x80000),
        Row("cards", DATA, _UNDEFINED, romfs + 0x80000, cards),
        Row("journal", DATA, _UNDEFINED, romfs + 0x80000 + cards, journal),
    )


# The oldest base image that our firmware runs on: sys.implementation.version.
MICROPYTHON_MIN = (1, 28, 0)
# By which number a base image says what chip it is for (esp_image_header_t of ESP-IDF, bytes 12
# and 13), and what esptool calls that one.
CHIPS = {0: "esp32", 9: "esp32s3"}
BOARDS = {
    "esp32-8mb": BoardKind("esp32", 8 << 20, 0x1000, _rows(0x80000, 0x20000, 0x4E0000)),
    "esp32-4mb": BoardKind("esp32", 4 << 20, 0x1000, _rows(0x50000, 0x20000, 0x110000)),
    "esp32s3-8mb": BoardKind("esp32s3", 8 << 20, 0, _rows(0x80000, 0x20000, 0x4E0000)),
}
ROLES = ("pos", "door", "lock", "attendance", "kiosk", "identity")
LINKS = ("network", "tls", "serial", "usb")
# Role, link, and whether it has a scanner for codes: its program in firmware/.
PROGRAMS = {
    ("pos", "network", False): "main",
    ("pos", "tls", False): "main_tls",
    ("pos", "serial", False): "main_serial",
    ("pos", "network", True): "main_codes",
    ("pos", "tls", True): "main_codes_tls",
    ("door", "network", False): "main_door",
    ("door", "tls", False): "main_door_tls",
    ("door", "serial", False): "main_door_serial",
    ("door", "network", True): "main_door_codes",
    ("door", "tls", True): "main_door_codes_tls",
    ("lock", "serial", False): "main_lock",
    ("attendance", "network", False): "main_attendance",
    ("attendance", "tls", False): "main_attendance_tls",
    ("attendance", "serial", False): "main_attendance_serial",
    ("kiosk", "network", False): "main_kiosk",
    ("kiosk", "tls", False): "main_kiosk_tls",
    ("kiosk", "serial", False): "main_kiosk_serial",
    ("kiosk", "network", True): "main_kiosk_codes",
    ("identity", "network", False): "main_desk",
    ("identity", "tls", False): "main_desk_tls",
    ("identity", "usb", False): "main_desk_usb",
}
# Who reads who holds a card beside or in place of its purse: they have the read key too.
READS = frozenset({"door", "lock", "attendance", "identity"})
# Programs for another chip than the ESP32: that one has no USB of its own.
_ON_S3 = frozenset({"main_desk_usb"})


def roles_of(program: str) -> tuple[str, ...]:
    """What readers do that run it."""
    return tuple(sorted({role for (role, _, _), name in PROGRAMS.items() if name == program}))


def hardware_of(program: str) -> tuple[str, ...]:
    """The chips it is for, as esptool calls them: pins and ports of the others are not there."""
    return ("esp32s3",) if program in _ON_S3 else ("esp32",)
