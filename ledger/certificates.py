"""Certificates of quiescence: what was proven on a day, for those who were not there to see it.

A certificate is a JSON file with the statement of ledger/quiescence.py, its hash, and where the
ledger's key is at hand its Ed25519 signature, bound to LABEL. Whoever has the books can check it
later: the records that it names are still there, byte for byte, and say what it says of them; and
no spend has turned up since that it says there cannot be.

Here is too who may say that a reader is gone for good: a person, in the books, never undone.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.dialect import Dialect
from ledger.quiescence import (
    Quiescence,
    QuiescenceRefused,
    fields_of,
    is_before,
    marks_time,
    statement,
)
from ledger.signatures import signed
from protocols.wire import seal

LABEL = b"quiescence"
WORD_CHARS_MAX = 32
_RECORD = "SELECT sha256 FROM record WHERE device = ? AND seq = ?"
_HEAD = "SELECT head_seq FROM device WHERE device = ?"
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM reader_release"
_RELEASE = "INSERT INTO reader_release VALUES (?, ?, ?, ?, ?, ?, ?)"
_RELEASED = "SELECT device, seq, person FROM reader_release"
_SPENDS = """
SELECT device, seq FROM intent WHERE card_no = ? AND credit_no = 0 AND amount_fen > 0
ORDER BY device, seq"""


class CertificateError(Exception):
    """The file is no certificate that this program can read."""


def release(
    database: Dialect, device: int, seq: int, time_s: int, person: str, because: str
) -> None:
    """Note that nothing comes of a reader any more (`seq` 0), or what its record `seq` is not.

    Raises QuiescenceRefused. `because`, in a word: "scrapped", "never-used", "flash-read".
    """
    for what, word in (("a person", person), ("a reason", because)):
        _check_word(what, word)
    with database.transaction():
        about = f"reader {device}, record {seq}"
        person = signed(database, "reader.release", person, time_s, about, because)
        for (head_seq,) in list(database.rows(_HEAD, (device,))):
            if seq > head_seq:
                raise QuiescenceRefused(f"reader {device}: its newest record is {head_seq}")
            note_release(database, (device, seq, head_seq), time_s, person, because)
            return
    raise QuiescenceRefused(f"reader {device} is not registered")


def note_release(
    database: Dialect, place: tuple[int, int, int], time_s: int, person: str, because: str
) -> None:
    """Write it down for (device, seq, head_seq), in a transaction of the caller, who has asked."""
    ((number,),) = list(database.rows(_NUMBER))
    database.many(_RELEASE, [(number, *place, time_s, person, because)])


def certificate(found: Quiescence, made_s: int, signing_key: bytes | None = None) -> str:
    """The text of a certificate of what was found at `made_s`; signed if there is a key."""
    body = {"made_s": made_s, "found": json.loads(statement(found))}
    payload = _canonical(body)
    whole: dict[str, Any] = {**body, "sha256": hashlib.sha256(payload).hexdigest()}
    if signing_key is not None:
        key = Ed25519PrivateKey.from_private_bytes(signing_key)
        whole["public_key"] = key.public_key().public_bytes_raw().hex()
        whole["signature"] = key.sign(seal.sign1_tbs(payload, LABEL)).hex()
    return json.dumps(whole, indent=2, sort_keys=True) + "\n"


def verify(database: Dialect, text: str, public_key: bytes | None = None) -> list[str]:
    """What is wrong with a certificate, by itself and by the books, in sentences; [] for nothing.

    `public_key`: whose it has to be; None takes any signature that holds, and none too.
    Raises CertificateError for what is no certificate.
    """
    try:
        whole = json.loads(text)
        body = {"made_s": whole["made_s"], "found": whole["found"]}
        found = body["found"]
        card_no, before_s = int(found["card_no"]), int(found["before_s"])
        marks = [_mark(mark) for mark in found["marks"]]
        released = {(one["device"], one["seq"], one["person"]) for one in found["released"]}
        faults = list(_broken_seal(whole, _canonical(body), public_key))
        if found["blocking"]:
            faults.append("it says itself that nothing is proven")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CertificateError(f"no certificate: {error!r}") from None
    faults += _wrong_releases(database, released, {mark[0] for mark in marks if not mark[2]})
    for device, head_seq, seq, sha256 in marks:
        faults += _wrong_mark(database, device, head_seq, seq, sha256, before_s)
    heads = {device: head_seq for device, head_seq, *_ in marks}
    for device, seq in list(database.rows(_SPENDS, (card_no,))):
        fields = fields_of(database, device, seq)
        if seq > heads.get(device, 0) and is_before(fields, before_s):
            faults.append(f"record {device}/{seq} is a spend of before that came since")
    return faults


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")


def _mark(mark: dict[str, Any]) -> tuple[int, int, int, bytes]:
    sha256 = bytes.fromhex(mark["sha256"])
    return int(mark["device"]), int(mark["head_seq"]), int(mark["seq"]), sha256


def _broken_seal(whole: dict[str, Any], payload: bytes, public_key: bytes | None) -> Iterator[str]:
    if whole["sha256"] != hashlib.sha256(payload).hexdigest():
        yield "its hash is not that of what it says"
    if "signature" not in whole:
        if public_key is not None:
            yield "it is not signed"
        return
    key = bytes.fromhex(whole["public_key"])
    if public_key is not None and key != public_key:
        yield "it is signed with another key than this ledger's"
    try:
        tbs = seal.sign1_tbs(payload, LABEL)
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(whole["signature"]), tbs)
    except InvalidSignature:
        yield "its signature does not hold"


def _wrong_releases(
    database: Dialect, released: set[tuple[int, int, str]], silent: set[int]
) -> Iterator[str]:
    """`silent` readers have no mark: somebody has to have released each of them."""
    for device, seq, person in sorted(released - set(database.rows(_RELEASED))):
        where = f"record {device}/{seq}" if seq else f"reader {device}"
        yield f"the books do not say that {person} has released {where}"
    for device in sorted(silent - {device for device, seq, _person in released if not seq}):
        yield f"reader {device} has no mark, and nobody has released it"


def _wrong_mark(
    database: Dialect, device: int, head_seq: int, seq: int, sha256: bytes, before_s: int
) -> Iterator[str]:
    head = next((head for (head,) in list(database.rows(_HEAD, (device,)))), -1)
    if head < head_seq:
        yield f"the books of reader {device} end at {head}, and ended at {head_seq} then"
    if not seq:
        return  # a reader that a person has released
    known = list(database.rows(_RECORD, (device, seq)))
    if known != [(sha256,)]:
        yield f"record {device}/{seq} is not the one that it names"
    elif not marks_time(fields_of(database, device, seq), before_s):
        yield f"record {device}/{seq} was not surely written at that time or later"


def _check_word(what: str, word: str) -> None:
    is_word = all(char == "-" or char in "0123456789" or "a" <= char <= "z" for char in word)
    if not 0 < len(word) <= WORD_CHARS_MAX or not is_word:
        text = f"{what} is one word of a-z, 0-9 and -, at most {WORD_CHARS_MAX} characters"
        raise QuiescenceRefused(text)
