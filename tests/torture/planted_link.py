"""Bugs that reader, agent and ledger could have had between them, each planted for one test.

What a bug changes is one decision of the link; everything around it stays. Nothing of this is in
the product: `PLANTED[name](monkeypatch)` puts a bug in, and the test takes it out.
"""

from itertools import count

from edge_agent.readers import ReaderSide
from edge_agent.store import Store
from edge_agent.upstream import UpstreamSide
from firmware.services.records import Recorder
from firmware.services.uplink import Uplink
from ledger import booking, chart
from ledger import store as ledger_store
from ledger.chain import Link
from ledger.claims import parse_claim
from ledger.service import LedgerService
from ledger.transfers import SPEND, Transfer
from protocols.wire import messages, seal, topics

# -- dedup ----------------------------------------------------------------------------------------


def repeat_is_a_new_row(monkeypatch):
    """The agent files a record that comes again under the next free number."""
    put = Store._put

    def put_again(self, record, put_so_far):
        device, seq, sealed = record
        if self._bytes(device, seq) == sealed:
            sql = "SELECT max(seq) FROM record WHERE device = ?"
            (newest,) = self._db.execute(sql, (device,)).fetchone()
            record = (device, newest + 1, sealed)
        put(self, record, put_so_far)

    monkeypatch.setattr(Store, "_put", put_again)


def retransmission_is_booked_again(monkeypatch):
    """The ledger takes the money once more when an INTENT it has booked comes again."""
    compare, lines = booking._Clerk._compare, count(1)

    def compare_and_post(self, device, claim):
        before = self._changes.duplicates
        compare(self, device, claim)
        if self._changes.duplicates > before and claim.kind == messages.INTENT:
            card, merchant = claim.fields["card_no"], claim.fields["merchant_no"]
            fen = claim.fields["amount_fen"]
            accounts = chart.purse(card), chart.payable(merchant)
            self._changes.transfers.append(
                Transfer(claim.device, claim.seq, next(lines), SPEND, *accounts, fen)
            )

    monkeypatch.setattr(booking._Clerk, "_compare", compare_and_post)


def first_come_stays(monkeypatch):
    """The agent never gives the other bytes for a refused number their turn."""
    monkeypatch.setattr(Store, "_promote", lambda _self, _device, _seq: False)
    put = Store._put

    def put_unless_refused(self, record, put_so_far):
        sql = "SELECT 1 FROM refused WHERE device = ? AND seq = ?"
        if self._db.execute(sql, record[:2]).fetchone() is None:
            put(self, record, put_so_far)

    monkeypatch.setattr(Store, "_put", put_unless_refused)


# -- sequence -------------------------------------------------------------------------------------


def gap_is_none(monkeypatch):
    """The agent counts as stored whatever lies before the first record of a delivery."""
    put_many = Store.put_many

    def put_over_gap(self, records):
        lowest = {}
        for device, seq, _sealed in records:
            lowest[device] = min(seq, lowest.get(device, seq))
        for device, seq in lowest.items():
            mark = self.mark(device)
            mark.stored = max(mark.stored, seq - 1)
        return put_many(self, records)

    monkeypatch.setattr(Store, "put_many", put_over_gap)


class _OneBehind:
    """A journal that has forgotten its newest record's number."""

    def __init__(self, journal):
        self._journal = journal
        self.head_seq = journal.head_seq - 1

    def __getattr__(self, name):
        return getattr(self._journal, name)


def number_used_twice(monkeypatch):
    """The first record of a boot has the number of the last one before it."""
    write = Recorder.write

    def write_behind(self, kind, now_ms, **fields):
        journal, is_first = self._journal, not vars(self).get("has_written")
        self.has_written = True
        if is_first and journal.head_seq:
            self._journal = _OneBehind(journal)
        try:
            return write(self, kind, now_ms, **fields)
        finally:
            self._journal = journal

    monkeypatch.setattr(Recorder, "write", write_behind)


def seal_not_checked(monkeypatch):
    """The ledger books a record that its device has not sealed."""

    def believe(claim, _device, before):
        return Link(seal.tag_of(claim.sealed), before.key_no)

    monkeypatch.setattr(booking, "_link", believe)


# -- receipt rule ---------------------------------------------------------------------------------


def receipt_for_what_waits(monkeypatch):
    """The ledger's receipt names the newest record of a delivery, though it was not booked."""
    answer = ledger_store._answer

    def answer_too_much(delivery, numbers, book, changes):
        booked = answer(delivery, numbers, book, changes)
        batch = [parse_claim(sealed) for sealed in delivery]
        for place, head in enumerate(booked.heads):
            newest = max(
                (claim for claim in batch if claim.device == head.device),
                key=lambda claim: claim.seq,
            )
            if head.seq < newest.seq <= head.seq + booking.PARKED_AHEAD_MAX:
                tag = seal.tag_of(newest.sealed)
                booked.heads[place] = ledger_store.Head(head.device, head.key, newest.seq, tag)
        return booked

    monkeypatch.setattr(ledger_store, "_answer", answer_too_much)


def freed_when_forwarded(monkeypatch):
    """The agent drops its copy when a FORWARD has left, and waits for no receipt."""
    publish = UpstreamSide._publish

    def publish_and_free(self, records):
        has_left = publish(self, records)
        if has_left:
            for sealed in records:
                fields = messages.decode_record(seal.payload_of(sealed))
                self._store.apply_receipt(fields["device"], fields["seq"], None, 0)
        return has_left

    monkeypatch.setattr(UpstreamSide, "_publish", publish_and_free)


def reader_frees_at_stored(monkeypatch):
    """The reader gives its flash back when the agent has the records, and waits for no receipt."""
    hear = Uplink.hear
    any_answer = (messages.STORED, messages.RECEIPT, messages.RELAY, messages.CARDS)

    def hear_and_free(self, payload, now_ms):
        reason = hear(self, payload, now_ms)
        fields = messages.decode_message(payload, any_answer)
        if not reason and fields["type"] == messages.STORED:
            self._delivery.on_receipt(fields["upto"], now_ms)
            self._source.receipt(fields["upto"])
        return reason

    monkeypatch.setattr(Uplink, "hear", hear_and_free)


# -- commit order ---------------------------------------------------------------------------------


def stored_before_commit(monkeypatch):
    """The agent says STORED when it has the records in memory."""
    commit = ReaderSide._commit

    def say_and_commit(self, now_ms):
        newest = {}
        for device, seq, _sealed in self._records:
            if seq <= max(newest.get(device, 0), self._store.mark(device).stored) + 1:
                newest[device] = seq
        for device, seq in newest.items():
            self._send_stored(device, max(seq, self._store.mark(device).stored))
        commit(self, now_ms)

    monkeypatch.setattr(ReaderSide, "_commit", say_and_commit)


def receipts_before_commit(monkeypatch):
    """The ledger publishes its receipts when the books are written and not yet committed."""
    commit_and_publish = LedgerService._book

    def publish_and_commit(self, now_ms):
        book = self._store.book
        write_changes = ledger_store.write_changes
        portion = []

        def write_and_publish(database, changes, loaded):
            write_changes(database, changes, loaded)
            for delivery in portion:
                numbers = {parse_claim(sealed).device for sealed in delivery.records}
                answer = ledger_store._answer(delivery.records, numbers, loaded, changes)
                receipts = self._signer.receipts(
                    delivery.number, answer.heads, answer.refused, self._utc_s()
                )
                self._port.publish(topics.agent_receipts(delivery.site), receipts)

        def book_in_the_wrong_order(deliveries, ahead):
            ledger_store.write_changes = write_and_publish
            portion[:] = self._waiting[: len(deliveries)]
            try:
                return book(deliveries, ahead)
            finally:
                ledger_store.write_changes = write_changes

        self._store.book = book_in_the_wrong_order
        try:
            return commit_and_publish(self, now_ms)
        finally:
            del self._store.book

    monkeypatch.setattr(LedgerService, "_book", publish_and_commit)


PLANTED = {
    "repeat is a new row": repeat_is_a_new_row,
    "retransmission is booked again": retransmission_is_booked_again,
    "first come stays": first_come_stays,
    "gap is none": gap_is_none,
    "number used twice": number_used_twice,
    "seal not checked": seal_not_checked,
    "receipt for what waits": receipt_for_what_waits,
    "freed when forwarded": freed_when_forwarded,
    "reader frees at STORED": reader_frees_at_stored,
    "STORED before commit": stored_before_commit,
    "receipts before commit": receipts_before_commit,
}
