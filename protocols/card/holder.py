"""The holder's name as it stands on a card, for a merchant who has to look who it is (R19.3).

    0      12    16
    name   mac          of a MIFARE Classic; a DESFire's file has the name only

GB2312, which is what a clerk's display shows, filled up with zeros; zeros alone: no name. What is
longer is cut behind a whole character. The MAC is the first 4 bytes of the AES-CMAC over uid,
"name" and the 12 bytes, under the card's own MAC key. It is read when that question is asked, and
goes nowhere but on that display.
"""

NAME_BYTES = 12
_MAC_BYTES = 4
_LABEL = b"name"


def seal_name(name, uid, mac):
    """The 16 bytes of a Classic's block; `name` NAME_BYTES, `mac` the card's Cmac."""
    return name + mac.digest(uid + _LABEL + name)[:_MAC_BYTES]


def open_name(block, uid, mac):
    """The name in a Classic's block, without what fills it; empty for none, and where it is
    not to be believed."""
    name = bytes(block[:NAME_BYTES])
    return name.rstrip(b"\0") if seal_name(name, uid, mac) == bytes(block) else b""
