"""The examples in protocols/vectors/virtual_code.json, and what our code makes of them.

As a program, on CPython and on MicroPython: a line for each. Written for whoever makes the app of
a phone, in whatever language.
"""

import binascii
import json
import sys

from protocols.card import virtual_code
from protocols.rules import scan_codes

KINDS = {"payment": scan_codes.CAMPUS_PAYMENT, "identity": scan_codes.CAMPUS_IDENTITY}


def outcome(item):
    """(reason, code made anew or "") of one item."""
    code = virtual_code.parse(item["code"].encode())
    if code is None:
        return scan_codes.decide(item["code"].encode(), (), True)[1], ""
    seed = binascii.unhexlify(item["seed"]) if item["seed"] else None
    seen = {code.number} if item["is_seen"] else ()
    interval_ms = tuple(item["interval_ms"])
    reason = virtual_code.verify(code, KINDS[item["asked"]], seed, interval_ms, seen)
    again = b""
    if seed is not None and reason == 0:
        again = virtual_code.make(seed, code.kind, code.card, code.made_s, code.number[14:])
    return reason, again.decode()


def main(path):
    """Print the outcome of every item of a document."""
    with open(path) as file:
        document = json.load(file)
    for item in document["items"]:
        print(item["id"], *outcome(item))


if __name__ == "__main__":
    main(sys.argv[1])
