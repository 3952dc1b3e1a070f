"""Cards on a desk for the tests of `onecard card`: keys, orders, and a hand that pulls a card."""

import functools
import json
import random
from dataclasses import replace

from typer.testing import CliRunner

from firmware.services.purse import COMMITTED
from simulator.cards.field import US
from simulator.cards.mifare_classic import MifareClassic
from tests.drivers.desk import CREDIT_KEY, MAC_KEY, PURSE_KEY, UID7, Desk
from tools.card import classic_check
from tools.card.classic import SectorKeys, write_card
from tools.card.desk import RadioDesk
from tools.card.keyfile import CardKeys
from tools.card.order import Order
from tools.card.tray import TrayBoard
from tools.cli import app

KEYS = CardKeys(PURSE_KEY, CREDIT_KEY, MAC_KEY, 3)
OTHER_KEYS = CardKeys(bytes([1]) * 16, bytes([2]) * 16, bytes([3]) * 16, 4)
DESFIRE_KEYS = replace(KEYS, master_key=b"m" * 16, read_key=b"r" * 16, transaction_key=b"t" * 16)
ORDER = Order(4711, 2, 20_700, 22_100, 2_000)
ORDER_WORDS = (
    *("--card-no", "4711", "--kind", "student", "--balance-fen", "2000"),
    *("--valid-from", "2026-09-04", "--valid-to", "2030-07-05"),
)
MASTERS = (PURSE_KEY, CREDIT_KEY, MAC_KEY)


def onecard(*words, stdin=""):
    """Run `onecard card ...` in this process."""
    return CliRunner().invoke(app, ["card", *map(str, words)], input=stdin)


def write_keys(path, keys=KEYS, mode=0o600):
    """A key file."""
    names = ("purse_key", "credit_key", "mac_key")
    lines = [f'{name} = "{getattr(keys, name).hex()}"' for name in names]
    path.write_text("\n".join([*lines, f"key_version = {keys.key_version}\n"]))
    path.chmod(mode)
    return path


def tray_blocks(path):
    """The blocks of a tray image."""
    return [bytes.fromhex(row) for row in json.loads(path.read_text())["blocks"]]


def blank(uid=UID7, seed=0):
    """A card from the factory."""
    return MifareClassic(uid, rng=random.Random(seed))


def desk_with(card):
    """A desk in memory: the register model with `card` before it."""
    return RadioDesk("test", TrayBoard(card), 2)


def write(card, order=ORDER, keys=KEYS, again=False):
    """One run of `personalise` over `card`, laid down anew."""
    return write_card(desk_with(card).card(), order, keys, again)


def written(uid=UID7, seed=0, order=ORDER, keys=KEYS):
    """A card of ours, as the desk makes it."""
    return MifareClassic(uid, _made(uid, order, keys), random.Random(seed))


@functools.cache
def _made(uid, order, keys):
    card = blank(uid)
    write(card, order, keys)
    return tuple(card.blocks)


def deviations(card, keys=KEYS):
    """What `verify` finds, as text."""
    report = classic_check.check(desk_with(card).card(), keys)
    return [str(deviation) for deviation in report.deviations]


def reader_view(card, keys=KEYS):
    """What a reader sees on `card` (PurseView); its exceptions when it takes the card for none."""
    desk = Desk(purse_key=keys.purse_key, mac_key=keys.mac_key)
    desk.place(card)
    return desk.purse(desk.pcd.poll()).read()


def spend(card, amount_fen=350, period_use=0):
    """One debit by a reader with KEYS."""
    desk = Desk()
    desk.place(card)
    purse = desk.purse(desk.pcd.poll())
    usage = (20_800, amount_fen, amount_fen, 1, 0, period_use)
    assert purse.debit(purse.read(), amount_fen, 1001, 7, 1_790_000_000, *usage) == COMMITTED


def pull_after(board, card, frame, delay_us):
    """Take `card` away `delay_us` after the end of frame `frame`, counted from 0."""
    field, send = board.field, board.field.send

    def sending(sent, now):
        if field.frames == frame:
            board.clock.at(now // US + delay_us, lambda: field.remove(card))
        return send(sent, now)

    field.send = sending


def secrets(uid, keys=KEYS):
    """Every key of a card and of the card centre, in hexadecimal without spaces."""
    own = SectorKeys(keys, uid)
    sectors = [key(n).hex() for n in range(16) for key in (own.key_a, own.key_b)]
    return [*sectors, keys.purse_key.hex(), keys.credit_key.hex(), keys.mac_key.hex()]


def assert_no_key(text, uid, keys=KEYS):
    """No key of the card `uid` stands in `text`, however its digits are set apart."""
    digits = "".join(text.split()).lower()
    for at, secret in enumerate(secrets(uid, keys)):
        assert secret not in digits, at
