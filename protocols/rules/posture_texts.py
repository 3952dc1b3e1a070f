"""What the words of the posture table mean, and what each posture of a POS lets a spend cost.

For docs, checkers and tests; no reader imports it. A reader comes to the same limits by
spending.decide, and a test compares.
"""

from protocols.rules import posture as table

DEVICES = {
    "pos": "POS",
    "door": "Door with a magnetic lock",
    "lock": "Smart lock",
    "attendance": "Attendance",
    "kiosk": "Kiosk",
}
# What is looked at -> the words it can have, the best first.
CONDITIONS = {
    "power": ("mains", "battery", "empty", "none"),
    "network": ("online", "building", "offline"),
    "journal": ("room", "full"),
    "clock": ("known", "unknown"),
    "fire": ("quiet", "alarm"),
}
TEXTS = {
    "serving": "everything that policy and card allow",
    "serving-offline": "physical cards, up to offline_max_fen at once",
    "blind": "cards not surely out of their validity, up to blind_max_fen at once",
    "blind-offline": "as blind, up to offline_max_fen and blind_max_fen at once",
    "stopped-full": "says READER FULL, begins nothing, settles what is pending",
    "stopped-empty": "says BATTERY EMPTY, begins nothing, settles what is pending",
    "dark": "does nothing; everything it knew is on flash",
    "secured": "a physical card opens, by what the device itself knows",
    "released": "open: nothing holds it, by construction",
    "key-only": "refuses cards; the warden opens with a key",
    "collecting": "records are stored, and forwarded when there is a network",
    "read-only": "shows what it knows, takes no money",
}
# Posture in which a spend may begin -> the policy fields that bound it.
SPEND_LIMITS = {
    "serving": ("amount_max_fen",),
    "serving-offline": ("amount_max_fen", "offline_max_fen"),
    "blind": ("amount_max_fen", "blind_max_fen"),
    "blind-offline": ("amount_max_fen", "offline_max_fen", "blind_max_fen"),
}


def rows(device):
    """The rows of a kind of device: five conditions and the posture."""
    lines = (line.split() for line in table.TABLE.decode().split("\n"))
    return [line[1:] for line in lines if line and line[0] == device]


def may_begin(posture):
    """Whether a new spend may begin in this posture of a POS."""
    return posture in SPEND_LIMITS


def spend_max_fen(posture, policy):
    """The most that one spend may take in this posture of a POS; 0 if none may begin."""
    return min((policy[field] for field in SPEND_LIMITS.get(posture, ())), default=0)
