"""Whether it all held, looked at from outside: each midnight, and once more when all is healed.

Cards are read past their access rights, journals from their flash, the books by their tables
(simulator/checkers.py); what was paid is what customers have seen. Nothing here believes what a
reader, an agent or the ledger says of itself.
"""

from __future__ import annotations

from collections import Counter

from ledger import reasons
from simulator.cardbox import truth
from simulator.checkers import Verdict, journal_of, judge
from simulator.chips.nor_flash import NorFlash
from simulator.city.district import SECOND_US, Building, District, Window
from simulator.city.outages import Outages
from simulator.city.people import People, loaded_fen

_PATIENCE_US = 1800 * SECOND_US
_STEP_US = 60 * SECOND_US
_STOLEN = "SELECT card_no, amount_fen FROM intent WHERE device = ? AND seq = ?"


def drain(district: District, outages: Outages) -> dict[str, int]:
    """Wait until what is not dark has delivered; how many records each dark reader still holds.

    A reader that holds records and is not dark is reported.
    """
    end_us = district.world.now_us + _PATIENCE_US
    while _late(district, outages) and district.world.now_us < end_us:
        district.run_until(district.world.now_us + _STEP_US)
    for text in _late(district, outages):
        district.report(text)
    heads = district.books.heads()
    owed = {
        window.name: journal_of(window.hardware.flash).head_seq - heads.get(window.device, 0)
        for building, window in _places(district)
        if outages.is_dark(building, window)
    }
    return {name: records for name, records in owed.items() if records}


def look(district: District, people: People) -> Verdict:
    """All the money, at any time: what does not agree is reported."""
    heads = district.books.heads()
    flashes: dict[int, NorFlash] = {}
    for window in district.windows:
        if journal_of(window.hardware.flash).head_seq != heads.get(window.device, 0):
            flashes[window.device] = window.hardware.flash
    what = district.cards, district.keys, district.books, flashes, people.seen.paid
    try:
        verdict = judge(*what, paid_in=people.seen.paid_in)
    except AssertionError as error:  # a record that is nowhere
        district.report(str(error))
        return Verdict(lost=1)
    for text in verdict.violations:
        district.report(text)
    return verdict


def look_at_end(district: District, people: People) -> Verdict:
    """With all healed and delivered: books, cards and what people saw are the same."""
    verdict = look(district, people)
    _judge_seen(district, people)
    _judge_cards(district, people)
    _judge_cases(district, people)
    _judge_carried(district, people)
    for building in district.buildings:
        sold_fen = district.books.takings(building.windows[0].merchant_no)
        least_fen = sum(window.takings_fen for window in building.windows)
        most_fen = least_fen + sum(window.unsure_fen for window in building.windows)
        if not least_fen <= sold_fen <= most_fen:
            text = f"{building.site}: {sold_fen} fen booked, {least_fen} to {most_fen} seen paid"
            district.report(text)
    return verdict


def _places(district: District) -> list[tuple[Building, Window]]:
    return [(building, one) for building in district.buildings for one in building.windows]


def _late(district: District, outages: Outages) -> list[str]:
    """Readers that are not dark, and what of theirs is not booked, or they do not know it is."""
    heads, late = district.books.heads(), []
    for building, window in _places(district):
        if outages.is_dark(building, window):
            continue
        written, booked = journal_of(window.hardware.flash).head_seq, heads.get(window.device, 0)
        if booked != written:
            late.append(f"{window.name} has written {written}, booked is {booked}")
            continue
        known = window.reader.home._device._uplink._delivery.receipted  # type: ignore[attr-defined]
        if known != booked:
            late.append(f"{window.name} has a receipt up to {known}, booked is {booked}")
    return late


def _judge_seen(district: District, people: People) -> None:
    """Nobody was charged who has not seen it, or left not knowing."""
    seen = people.seen
    booked = Counter((card_no, fen) for _, _, fen, card_no in district.books.booked_ids())
    for (card_no, fen), count in (booked - seen.paid - seen.unsure).items():
        district.report(f"card {card_no}: {count} x {fen} fen charged, and nobody was told")


def _judge_cards(district: District, people: People) -> None:
    """What the books say is on a card in use stands on it."""
    for held in district.cards:
        if held.card_no in people.lost:
            continue
        on_card_fen = truth(held.chip, district.keys).balance_fen
        booked_fen = district.books.holder_balance(held.card_no)
        if on_card_fen != booked_fen:
            district.report(f"card {held.card_no}: {on_card_fen} fen, in the books {booked_fen}")


def _judge_cases(district: District, people: People) -> None:
    """What lost cards have paid after their loss is a case, and so is what came too late."""
    stolen: Counter[tuple[int, int]] = Counter()
    for reason, device, seq in district.books.cases():
        rows = list(district.books.database.rows(_STOLEN, (device, seq)))
        if reason == reasons.SPENT_WHILE_LOST:
            stolen.update(rows)
        elif reason != reasons.LATE_SPEND or rows[0][0] not in people.lost:
            text = reasons.TEXTS.get(reason, "")
            district.report(f"case {reason} {text} about {device}/{seq}")
    for (card_no, fen), count in (people.seen.stolen - stolen).items():
        district.report(f"card {card_no}: {count} x {fen} fen after its loss, and no case")
    for (card_no, fen), count in (stolen - people.seen.stolen - people.seen.unsure).items():
        district.report(f"card {card_no}: {count} x {fen} fen are a case, and it was not lost")


def _judge_carried(district: District, people: People) -> None:
    """To the card that is in a lost one's place has gone what its holder had by then.

    And what the books did not know to be spent: that was laid out when they heard of it.
    """
    ended = [loss for loss in people.lost.values() if loss.heir]
    paid_in: Counter[int] = Counter()
    for (card_no, fen), count in people.seen.paid_in.items():
        paid_in[card_no] += fen * count
    carried_fen = sum(loaded_fen(district, loss.heir) - paid_in[loss.heir] for loss in ended)
    carried_fen += district.books.balances().get(("loss", reasons.LATE_SPEND), 0)
    least_fen, most_fen = sum(one.least_fen for one in ended), sum(one.most_fen for one in ended)
    if not least_fen <= carried_fen <= most_fen:
        text = f"{len(ended)} lost cards: {carried_fen} fen were carried over, "
        district.report(f"{text}{least_fen} to {most_fen} were left")
