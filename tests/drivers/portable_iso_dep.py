"""Prints what an ISO-DEP conversation over a bad connection comes to; the same text everywhere.

Run by test_on_micropython.py, with the repository on the path. The other side is a list of answers
written by hand from ISO/IEC 14443-4, annex B: what is sent is shown, what is heard is told. That
both sides fit together is what test_iso_dep.py is about, with a card and a chip that are models.
"""

import binascii

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mfrc522 import ERROR_CRC, SILENCE

ATS = "067577810280"
SMALL_ATS = "047577810280"  # its length byte lies
FRAMES_OF_16 = "0200"
LOST = None
DAMAGED = "!"
RAGGED = "02aa/12"  # bits of a block that are no whole bytes, with nothing else against them


class Line:
    """What a Mfrc522 is to ISO-DEP; the answers come from a list, silence when it is used up."""

    def __init__(self, answers, rate_max=0):
        self.tx = bytearray(64)
        self.rx = memoryview(bytearray(64))
        self.errors = 0
        self.rate_max = rate_max
        self.now_us = 0
        self._answers = answers

    def ticks_us(self):
        return self.now_us

    def sleep_us(self, duration_us):
        self.now_us += duration_us

    def set_crc(self, send, receive):
        print("  crc", send, receive)

    def set_rate(self, rate):
        print("  rate", rate)

    def transceive(self, length, expected, timeout_us):
        answer = self._answers.pop(0) if self._answers else LOST
        sent = binascii.hexlify(bytes(self.tx[:length])).decode()
        print("  >", sent, expected, timeout_us, "<", answer)
        self.now_us += timeout_us if answer is LOST else 1000
        self.errors = ERROR_CRC if answer == DAMAGED else 0
        if answer is LOST or answer == DAMAGED:
            return SILENCE if answer is LOST else 8
        octets, _, bits = answer.partition("/")
        data = binascii.unhexlify(octets)
        self.rx[: len(data)] = data
        return int(bits) if bits else 8 * len(data)


class Field:
    """What a Pcd is to ISO-DEP; a card that is selected again is always there."""

    def __init__(self, chip):
        self.chip = chip
        self.session = 1
        self.garbled = 0
        self.is_in_protocol = False

    def select(self, card):
        print("  select")
        self.is_in_protocol = False
        self.session += 1

    def leave_protocol(self):
        print("  leave")
        self.is_in_protocol = False


def converse(name, answers, commands, rate_max=0):
    """Activate and exchange; one line for the end of each."""
    print(name)
    field = Field(Line(answers, rate_max))
    link = IsoDep(field, None)
    try:
        link.activate()
        print("  active", link.rate, binascii.hexlify(link.historical).decode())
        for command in commands:
            answer = link.exchange(command)
            print("  answer", binascii.hexlify(answer).decode())
        link.deselect()
    except CardGone as gone:
        print("  gone", gone)
    print("  garbled", field.garbled, "at", field.chip.now_us)


def main():
    """Conversations that go well, badly, and to an end."""
    command = bytes(range(20))
    converse("plain", [ATS, "0290", "0391ff"], [b"\x60", b"\xaf"])
    converse("fast", [ATS, "d0", "0290"], [b"\x60"], 1)
    converse("no pps", [ATS, LOST, ATS, "0290"], [b"\x60"], 1)
    converse("lying ats", [SMALL_ATS, SMALL_ATS], [])
    converse("parts lost", [FRAMES_OF_16, "a2", LOST, "13aa", LOST, "02bb"], [command])
    converse("parts out", [FRAMES_OF_16, "a2", "13aa", "12bb", "03cc"], [command])
    converse("answer lost", [ATS, LOST, "0290"], [b"\x60"])
    converse("command lost", [ATS, LOST, "a3", "0290"], [b"\x60"])
    converse("never heard", [ATS] + ["a3"] * 9, [b"\x60"])
    converse("not heard while taking", [ATS, "12aa", LOST, "a2", "03bb"], [b"\x60"])
    converse("ragged", [ATS, RAGGED, "0290"], [b"\x60"])
    converse("time", [ATS, "f202", "f23b", "f240", "0290"], [b"\x60"])
    converse("endless time", [ATS] + ["f201"] * 40, [b"\x60"])
    converse("endless parts", [ATS] + ["12aa", "13bb"] * 80, [b"\x60"])
    converse("other number", [ATS, "0390", "0390", "0390"], [b"\x60"])
    converse("damaged", [ATS, DAMAGED, "02", DAMAGED, DAMAGED, DAMAGED], [b"\x60", b"\x61"])


main()
