"""A small campus, and sessions of it."""

import pytest

from simulator.desk.session import Session

SMALL = """
name = "small"
title = "One window and a gate"
seed = 5
timeout_s = 600
site = "canteen-1"
sites = ["dorm-3"]
drain = "00:05:00"
carry_over = "00:10:00"
doze = 1
[[merchant]]
name = "noodles"
no = 71
[[reader]]
name = "pos-1"
device = 1001
merchant = "noodles"
card_map = 1
load_cards = 1
[[reader]]
name = "gate"
device = 2001
role = "door"
site = "dorm-3"
merchant = "noodles"
scope = "dorm"
card_map = 1
[[cards]]
name = "zhang-san"
first_no = 20001
balance = "68.20"
enters = 1
[[cards]]
name = "new"
first_no = 20101
chip = "desfire"
balance = "0.00"
[[step]]
at = "00:00:05"
do = "wait"
[assert]
lost = 0
taps = 0
"""
SECOND_US = 1_000_000


@pytest.fixture
def open_session(tmp_path):
    """Opens sessions of a campus; they are closed behind the test."""
    opened = []

    def open_one(text=SMALL, **options):
        directory = tmp_path / f"session-{len(opened)}"
        directory.mkdir()
        session = Session(text, tmp_path / "campus.toml", directory, **options)
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        session.close()
