"""A door as the post of locks without a network: it takes their letters and brings them others.

Only behind the answer to a card, while that still rests on the reader, and in pieces between which
the door looks after itself. A letter from a lock is a record of this reader before the card is
told so: then it goes the way of all records, and taken twice is booked once. A letter to a lock is
asked for and comes from the agent, which knows what this card carries; nothing is kept here. The
door cannot read either, and whatever goes wrong with a card here, its next tap begins anew.
"""

from firmware.services.card_faults import FAULTS
from firmware.services.card_mail import CardMail
from protocols.card import mailbox
from protocols.wire import messages

# No piece begins later in a step: the longest takes some 50 ms, and a step has 150.
_STEP_MS = 50


class Carrier:
    """For a reader that has answered a card; `credentials`, `recorder` and `uplink` are its own.

    What `uplink` brings of cards goes on to whoever has listened before.
    """

    def __init__(self, board, pcd, credentials, recorder, uplink):
        self._board = board
        self._mail = CardMail(pcd, credentials)
        self._recorder = recorder
        self._uplink = uplink
        self._cards = uplink.on_cards
        uplink.on_cards = self.hear
        self._card_no = self._card = self._letters = self._work = None

    def begin(self, card_no):
        """This card may carry, for as long as it rests on the reader."""
        self._card_no, self._work = card_no, self._carry()
        self._card = self._letters = None
        asked = {"epoch": card_no, "page": mailbox.PAGE, "data": b""}
        self._uplink.say(messages.CARDS, asked)

    def end(self):
        """It has left."""
        self._card_no = self._work = None

    def hear(self, said, now_ms):
        """Take a CARDS of the agent: what this card carries, or else somebody else's."""
        if said["page"] != mailbox.PAGE:
            return self._cards(said, now_ms) if self._cards else "foreign"
        if said["epoch"] != self._card_no:
            return "repeated"
        self._letters = mailbox.decode_carried(said["data"])
        return ""

    def step(self, card):
        """Do a little of it with `card`, just selected; whether there is more to do at once."""
        if self._work is None or self._card not in (None, card):
            return False  # another one lies there now
        self._card = card
        until_ms = self._board.ticks_ms() + _STEP_MS
        try:
            for has_more in self._work:
                if not has_more or self._board.ticks_ms() >= until_ms:
                    return has_more
        except FAULTS:
            pass  # it has gone, or has no mailbox; or the journal is full
        self._work = None
        return False

    def _carry(self):
        """All of it, in pieces; False while nothing is to be done but wait."""
        heads = self._mail.heads(self._card)
        yield True
        slot, letter = mailbox.FROM_LOCK, bytearray()
        head = heads[slot]
        # The journal's last room is for what happens at this door.
        is_wanted = head is not None and head.state == mailbox.WAITING
        if is_wanted and not self._recorder.is_nearly_full():
            for _ in self._mail.get(self._card, slot, head, letter):
                yield True
            if head.is_of(letter):
                now_ms, letter = self._board.ticks_ms(), bytes(letter)
                self._recorder.write(messages.MAIL, now_ms, lock=head.device, sealed=letter)
            # One that is torn too: nobody will ever read it, and another lock may have the place.
            head.state = mailbox.TAKEN
            self._mail.mark(self._card, slot, head)
            yield True
        while self._letters is None:
            yield False
        carried = [device for device, _, _ in self._letters]
        for device, stamp, letter in self._letters:
            slot = mailbox.slot_for(heads, device, stamp, carried)
            if slot is not None:
                heads[slot] = head = mailbox.head_of(device, stamp, letter)
                for _ in self._mail.put(self._card, slot, head, letter):
                    yield True
