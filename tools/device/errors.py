"""What can be wrong with a board on a cable, by number; what a message ends in helps.

The numbers stand in docs/provisioning.md and do not change.
"""

CAUSES = {
    1: "there is no such port; what is there: onecard device ports",
    2: "this user may not open the port: add it to the group that owns it (dialout), log in anew",
    3: "another program holds the port: close it (a terminal, another provisioning)",
    4: "nothing answers: is it a cable with data lines, is the board powered, is it this port?",
    5: "the chip has no program to start: onecard device flash",
    6: "it answers, but not as MicroPython's console: onecard device flash",
    7: "the connection broke off: run the same command again",
    8: "its MicroPython is too old: flash a later base image, 1.28 at least",
    9: "its partition table is not ours: onecard device flash",
    10: "it holds records of another reader: connect it there, or keep its flash, --lose-journal",
    11: "this number was given to another board, or this board has another number: a free number,"
    " or --replace where that board has never been in use",
    12: "what was written does not read back: run it again; if it stays so the flash is worn",
    13: "it has no settings: onecard device provision",
    14: "its program is not whole: onecard device provision",
    15: "esptool or mpremote is missing: make setup, or pip install -r requirements/device.txt",
    16: "the release is for another chip: take the one that is for this board",
    17: "it runs a later version, and none goes back: build this one with a higher number",
    18: "the ledger knows this number as another reader: a free one, newest kit, or keys register",
    19: "another board has come to this port: look which is which, and run the same command again",
}


class DeviceError(Exception):
    """A board cannot be used; `cause` is of CAUSES. The text has no key in it."""

    def __init__(self, cause: int, what: str) -> None:
        self.cause = cause
        super().__init__(f"{what}: {CAUSES[cause]} [cause {cause}]")
