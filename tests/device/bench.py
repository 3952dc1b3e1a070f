"""Boards, a site's kit and a small program, for tests of `onecard device`."""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.release_file import Release
from simulator.board.base_image import base_image
from simulator.board.flash_file import FlashFile
from simulator.board.served import FACTS, FLASH, FLASH_BYTES, make
from tools.device.boards import BOARDS
from tools.device.flash import merged
from tools.keys import site_kit
from tools.keys.derive import CARD_BYTES
from tools.keys.vault import SiteKeys

SITE = "canteen-1"
SIGNER, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
READER = """
merchant_no = 71
broker_host = "10.0.0.5"
broker_port = 1883

[policy]
epoch = {epoch}
utc_offset_s = 28800
amount_max_fen = 100000
no_pin_max_fen = 5000
since_pin_max_fen = 20000
day_max_fen = 50000
offline_max_fen = 5000
clock_width_max_ms = 120000
blind_max_fen = 2000
"""


def kit_file(path, key=b"k" * 32, previous=b"", site=SITE):
    """A kit that pays, in `path`."""
    card = {"purse_key": b"p" * CARD_BYTES, "mac_key": b"m" * CARD_BYTES}
    path.write_bytes(site_kit.encode(SiteKeys(site, 1, key, previous, {}), 1, card))
    path.chmod(0o600)
    return path


def settings_file(path, epoch=1):
    path.write_text(READER.format(epoch=epoch))
    return path


def board(folder, number=1, *, is_bare=False, **facts):
    """A simulated board in `folder`; with MicroPython and our partitions unless it is bare."""
    make(folder, bytes([2, 0, 0, 0, number >> 8, number & 0xFF]))
    trouble(folder, **facts)
    if not is_bare:
        kind = BOARDS["esp32-8mb"]
        flash = chip(folder)
        flash.program(kind.base_at, merged(base_image(), kind))
        flash.close()
    return f"sim://{folder}"


def trouble(folder, **facts):
    """From its next life on the board has these faults and no others."""
    mac = json.loads((folder / FACTS).read_text())["mac"]
    (folder / FACTS).write_text(json.dumps({"mac": mac, **facts}))


def chip(folder):
    return FlashFile(folder / FLASH, FLASH_BYTES)


def release_file(path, version=1, signer=SIGNER, **about):
    """A signed release of a small program in `path`, which takes no compiler."""
    main = f"print({version})\n".encode()
    files = {"boot.py": b"import gc\n", "main.py": main, "reader_0.mpy": b"M" * 700}
    image = about.pop("image", b"")
    about = {"files": files, "roles": ("pos",), "hardware": ("esp32",), **about}
    made = Release(about.pop("name", "main"), version + 1, version, image, **about)
    path.write_bytes(made.signed(signer).encoded())
    return path


def public_file(path, signer=SIGNER):
    """The public key of whoever signs, in `path`."""
    encoding = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(signer.public_key().public_bytes(*encoding))
    return path
