"""Records: what this reader remembers, each sealed into the chain and on flash before it counts.

The record id is (device, seq). It is on flash before a card is touched and never changes.
"""

import hashlib

from firmware.services.journal import JournalFull
from protocols.rules import clock as clock_rules
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_ASKED_KEY = 5  # of Journal.keep: the record that the last payment code was to end in
_OTHERS = (messages.CREDIT, messages.AGGREGATE, messages.CODE_SALE)  # no spends by card
_LOOK_BACK = 40  # records that boots in a row may have written behind the last spend, two each


class Recorder:
    """Writes sealed records to the journal and hands them to the uplink.

    `journal` has been recovered. Every write raises JournalFull when nothing was written, and
    RuntimeError where the next record is reserved for a CODE_SALE.
    `receipt_s` is when the ledger wrote the last receipt of this boot, by its clock; 0: none came.
    """

    def __init__(self, journal, device, device_key, clock):
        self._journal = journal
        self._device = device
        self._key = device_key
        self._clock = clock
        self.receipt_s = 0
        self.policy = None  # that is in force, as each BOOT says
        self.previous_key = None  # of this device before the one that it has; None: none is known
        self._held = None  # notes that wait behind a reserved record; None: none is reserved
        newest = self.newest()
        self.boot_id = newest["boot_id"] + 1 if newest else journal.generation + 1

    def last_spend(self):
        """(intent, result) of the spend that was under way or just over when power went, or None.

        `intent` has the fields of its INTENT; result is None when no OUTCOME was written. An
        AGGREGATE stands in for both: it was paid, by no card. Nothing
        else is ever written between the two; what boots write behind them is passed over, and
        refusals of cards that were not read, and a credit that names it: money comes at the tap of
        the spend. A card that was read, another credit, or that this very spend was cancelled: the
        clerk had gone on, and so when the ledger was asked about a code since.
        A payment by code is a spend too: the fields of its CODE_SALE, if that is committed.
        """
        result, named, head_seq = None, 0, self._journal.head_seq  # what the credit names
        asked_seq = int.from_bytes(self.kept(_ASKED_KEY), "big")
        for seq in range(head_seq, max(head_seq - _LOOK_BACK, asked_seq - 1), -1):
            fields = self.fields(seq)
            if fields is None or (fields["kind"] == messages.REFUSAL and fields["card_no"]):
                return None
            if fields["kind"] == messages.CANCEL or (named and fields["kind"] in _OTHERS):
                return None
            if fields["kind"] == messages.CREDIT:
                if fields["last_device"] != self._device:
                    return None
                named, result = fields["last_seq"], None
                continue
            if fields["kind"] == messages.AGGREGATE:
                return fields, messages.COMMITTED
            if fields["kind"] == messages.CODE_SALE:
                is_sold = result is None and fields["result"] == messages.COMMITTED
                return (fields, messages.COMMITTED) if is_sold else None
            if fields["kind"] == messages.INTENT:
                return (fields, result) if named in (0, seq) else None
            if fields["kind"] == messages.OUTCOME:
                if result is not None or fields["intent_device"] != self._device:
                    return None
                result = fields["result"]
                if fields["intent_seq"] != seq - 1:
                    intent = self.fields(fields["intent_seq"])
                    if intent and intent["kind"] == messages.CREDIT and not named:
                        continue  # something was noted while the ledger talked to the card
                    is_spend = intent and intent["kind"] == messages.INTENT
                    is_named = named in (0, fields["intent_seq"])
                    return (intent, result) if is_spend and is_named else None
        return None

    def write(self, kind, now_ms, **fields):
        """Seal and append one record of `kind`; returns its sequence. `fields` as in messages."""
        if self._held is not None:
            raise RuntimeError("reserved")
        earliest_s, latest_s = clock_rules.seconds(self._clock.interval_ms(now_ms))
        fields["kind"] = kind
        fields["device"] = self._device
        fields["seq"] = self._journal.head_seq + 1
        fields["earliest_s"] = earliest_s
        fields["latest_s"] = latest_s
        fields["boot_id"] = self.boot_id
        fields["mono_ms"] = now_ms
        if kind == messages.BOOT and self.policy:
            fields["policy_epoch"] = self.policy["epoch"]
        payload = messages.encode_record(fields)
        return self._journal.append(seal.seal(self._key, payload, self._journal.head_link))

    def note(self, kind, now_ms, **fields):
        """Write a record that nothing waits for; a journal without room loses no more than it.

        The first BOOT under a new key has the reserve too: by it the ledger learns which key the
        reader understands, and nothing else could free a full journal (ADR 9).
        """
        if self._held is not None:
            self._held.append((kind, now_ms, fields))
        elif self.has_room() or (kind == messages.BOOT and self._is_key_new()):
            try:
                self.write(kind, now_ms, **fields)
            except JournalFull:
                pass  # sectors that were counted on have turned out to be worn

    def reserve(self):
        """The sequence of the next record, which only `settle` can write: notes wait until then.

        After a cut whatever the next boot writes stands there. That there was an ask is kept: what
        was paid before it is nobody's who stands there then. JournalFull: nothing is reserved.
        """
        seq = self._journal.head_seq + 1
        self.keep(_ASKED_KEY, seq.to_bytes(4, "big"))
        self._held = []
        return seq

    def settle(self, now_ms, **fields):
        """Write the CODE_SALE that was reserved for, and what has waited; whether it stands."""
        held, self._held = self._held, None
        is_written = True
        try:
            self.write(messages.CODE_SALE, now_ms, **fields)
        except JournalFull:
            is_written = False
        for kind, noted_ms, noted in held:
            self.note(kind, noted_ms, **noted)
        return is_written

    def has_room(self):
        """Whether a spend may start: there is room for its records and for what may follow."""
        return self._journal.has_room()

    def is_nearly_full(self):
        """Whether it is time to warn that spending will stop unless the ledger answers."""
        return self._journal.is_nearly_full()

    def waiting(self):
        """How many records have no receipt yet."""
        return self._journal.head_seq - self._journal.receipted

    def free_sectors(self):
        """How many sectors of the journal are free."""
        return self._journal.free_sectors()

    def keep(self, key, data):
        """Keep a small value under a key for ever; see Journal.keep."""
        self._journal.keep(key, data)

    def kept(self, key):
        """The value kept under a key; empty if there is none."""
        return self._journal.kept(key)

    def prepare(self):
        """Idle work: erase ahead, so that no tap waits for an erase."""
        self._journal.prepare()

    def newest(self):
        """The fields of the newest record, or None when there is none to be read."""
        return self.fields(self._journal.head_seq)

    def head_seq(self):
        """Sequence of the newest record; 0 if there is none."""
        return self._journal.head_seq

    def receipted_seq(self):
        """Highest sequence the ledger has booked, as far as we know."""
        return self._journal.receipted

    def records_from(self, seq, count_max, bytes_max):
        """Sealed records in order from `seq` on, at most so many and so many bytes.

        In place of one that rot has taken, a LOST record (docs/adr/0011-lost-records.md).
        """
        records = self._journal.records_from(seq, count_max, bytes_max)
        return records or self._in_place_of(seq)

    def tag_at(self, seq):
        """The seal's tag of record `seq`, or None if it is not on flash any more."""
        sealed = self._journal.record(seq)
        return None if sealed is None else seal.tag_of(sealed)

    def is_sealed_with(self, device_key, seq):
        """Whether record `seq` and the tag it follows are on flash, and `device_key` sealed it."""
        before = self.tag_at(seq - 1) if seq > 1 else seal.CHAIN_START
        sealed = self._journal.record(seq)
        if sealed is None or before is None:
            return False
        try:
            seal.unseal(device_key, sealed, before)
        except WireError:
            return False
        return True

    def opened(self, sealed, label):
        """What the ledger has sealed for this reader under `label`; None: it is not the ledger's.

        That vouches under the key of our newest record, which may be the one before ours.
        """
        key, before = self._key, self.previous_key
        if before and self.is_sealed_with(before, self._journal.head_seq):
            key = before
        try:
            return seal.unseal(seal.derive(key, label), sealed, label)
        except WireError:
            return None

    def _is_key_new(self):
        return not self.is_sealed_with(self._key, self._journal.head_seq)

    def receipt(self, upto):
        """The ledger has booked everything up to `upto`."""
        self._journal.receipt(upto)

    def keep_receipt(self):
        """Nobody tells it again behind the next boot: write down how far the receipts go."""
        self._journal.note()

    def _in_place_of(self, seq):
        """[LOST] in place of a record that cannot be read and is not booked, else [].

        Only while the newest record can be read: it tells rot from a cut, at the next boot too.
        Made anew each time, from what is on flash, so it never has to stand there itself.
        """
        journal = self._journal
        if not journal.receipted < seq < journal.head_seq or journal.record(seq) is not None:
            return []
        if journal.record(journal.head_seq) is None:
            return []
        successor = journal.record(seq + 1)
        fields = {
            "kind": messages.LOST,
            "device": self._device,
            "seq": seq,
            "next_sha256": hashlib.sha256(successor).digest() if successor else bytes(32),
            "earliest_s": 0,
            "latest_s": 0xFFFFFFFF,  # nobody knows: so the bytes are always the same
            "boot_id": 0,
            "mono_ms": 0,
        }
        return [seal.seal(self._key, messages.encode_record(fields), messages.LOST_LABEL)]

    def fields(self, seq):
        """The fields of a record of ours, or None when it is not on flash any more."""
        sealed = self._journal.record(seq) if seq > 0 else None
        return messages.decode_record(seal.payload_of(sealed)) if sealed else None
