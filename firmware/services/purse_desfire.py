"""The purse on a DESFire: CommitTransaction is what makes a debit final.

Everything before it is forgotten by the card when it leaves. An unanswered commit is asked for
while the card is still there: the state it holds is the old one or the new one.

A debit follows its reading at once: a card may ask for time at each command, so the time of both
together is limited. A reader must not be held by a card until its watchdog resets it.
"""

import struct

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN, Mismatch, Purse
from protocols.card import ev2, pin
from protocols.card import purse_desfire as layout
from protocols.card.holder import NAME_BYTES
from protocols.card.identity import FIELDS_BYTES, ForeignCard
from protocols.wire.messages import DESFIRE

_TALK_US_MAX = 8_000_000  # from the reading on; a command that is under way may end later
_RND_BYTES = 16
_VALUE_BYTES = 4
_MAC_BYTES = 8
# What an answer is likely to have: status, data in whole blocks where it is hidden, MAC.
_PLAIN_BYTES = 1 + _MAC_BYTES
_HIDDEN_BYTES = 1 + 16 + _MAC_BYTES
_STATE_BYTES = 1 + 32 + _MAC_BYTES


class DesfireKeys:
    """What a reader needs to derive a card's keys.

    `ciphers` is the board (aes, aes_cbc); `purse_keys` a list of PurseKeys, the current ones
    first: while cards are given new keys, both generations are out.
    """

    def __init__(self, ciphers, random, purse_keys):
        self.ciphers = ciphers
        self.purse_keys = purse_keys
        self.random = random
        self._of = {}

    def keys(self, uid, key_no):
        """The keys that may open `key_no` of the card `uid`, the likeliest first."""
        if (uid, key_no) not in self._of:
            masters = [keys.purse for keys in self.purse_keys]
            self._of = {(uid, key_no): [layout.application_key(m, uid, key_no) for m in masters]}
        return self._of[uid, key_no]


class DesfirePurse(Purse):
    """The purse on `card` (Card), selected by `pcd` (Pcd); `keys` is a DesfireKeys."""

    chip = DESFIRE

    def __init__(self, pcd, card, keys):
        Purse.__init__(self, pcd, card)
        self._keys = keys
        self._pin_keys = keys.purse_keys
        self._dep = IsoDep(pcd, card)
        self._session = None
        self._deadline_us = pcd.chip.ticks_us() + _TALK_US_MAX

    def read(self):
        self._deadline_us = self._pcd.chip.ticks_us() + _TALK_US_MAX
        return Purse.read(self)

    def relay(self, command):
        """Pass on a command of the ledger's; the card's answer. CardGone also when time is up.

        The reader's own session with the card is over with that.
        """
        self._session = self._fresh = None
        return self._tell(command, _HIDDEN_BYTES)

    def proof_of(self, view):
        """The card_proof of the transaction that `view`, just read, shows as the last one.

        Empty when the card cannot give it any more.
        """
        try:
            mac = self._ask(
                layout.READ_DATA,
                layout.place(layout.TRANSACTION_MAC_FILE, layout.TMC_BYTES + layout.TMV_BYTES),
            )
        except (CardGone, CardRefused):
            return b""
        return layout.card_proof(mac, view.proof)

    def _look(self):
        self._dep.activate()
        uid = self._login()
        identity = self._read_file(layout.IDENTITY_FILE, FIELDS_BYTES)
        state = self._ask(
            layout.READ_RECORDS, layout.NEWEST_STATE, hidden=True, answer_bytes=_STATE_BYTES
        )
        value = self._ask(
            layout.GET_VALUE, bytes((layout.VALUE_FILE,)), hidden=True, answer_bytes=_HIDDEN_BYTES
        )
        return layout.decode_card(uid, identity, state, value)

    def _plan(self, view, amount_fen, device, seq, time_s, usage):
        return layout.plan_debit(view, amount_fen, device, seq, time_s, usage)

    def _plan_tries(self, view, pin_tries, device, seq, time_s):
        return layout.plan_tries(view, pin_tries, device, seq, time_s)

    def pin_verifier(self):
        try:
            return self._read_file(layout.PIN_FILE, pin.VERIFIER_BYTES)
        except CardRefused as refusal:
            if refusal.nak != ev2.FILE_NOT_FOUND:
                raise
            return pin.NO_PIN  # made before there were PINs

    def holder_name(self):
        try:
            return self._read_file(layout.NAME_FILE, NAME_BYTES).rstrip(b"\0")
        except (CardGone, CardRefused):
            return b""

    def _rejoin(self, view):
        """Begin a new conversation and make sure that the card still is as `view` says."""
        found = self._look_again()
        if found.uid != view.uid or found.proof != view.proof:
            raise Mismatch("state")
        if found.balance_fen != view.balance_fen:
            raise Mismatch("balance")

    def _look_again(self):
        self._pcd.select(self._card)
        return self._look()

    def _prepare(self, plan):
        self._begin_transaction()
        self._ask(layout.WRITE_RECORD, layout.NEW_STATE, plan.state)
        if plan.amount_fen:
            amount = struct.pack("<I", plan.amount_fen)
            self._ask(layout.DEBIT, bytes((layout.VALUE_FILE,)), amount)
        self._ask(
            layout.COMMIT_READER_ID,
            plan.reader_id,
            answer_bytes=_PLAIN_BYTES + layout.READER_ID_BYTES,
        )

    def _begin_transaction(self):
        """Let the card's MAC cover what follows, and not what was read before."""
        try:
            self._ask(layout.ABORT_TRANSACTION)
        except CardRefused as refusal:
            # A chip for which reading is no transaction says that there is nothing to abort, and
            # ends the session; a login drops whatever there may be.
            if refusal.nak != ev2.NO_CHANGES:
                raise
            self._login()

    def _commit(self, plan):
        command = self._session.command(layout.COMMIT_TRANSACTION, layout.WITH_TRANSACTION_MAC)
        # Not by _tell, which may refuse to: what is UNKNOWN has been sent.
        self._result = UNKNOWN
        answer = self._dep.exchange(command, _PLAIN_BYTES + layout.TMC_BYTES + layout.TMV_BYTES)
        try:
            mac = self._session.answer(answer)
        except ev2.CardStatus:
            # Refused under a status that has no MAC: anybody could have said so.
            self._session = None
            raise
        self._result = COMMITTED
        self.card_proof = layout.card_proof(mac, plan.state)

    def _finish(self, view, plan):
        """Look which side of the commit the card is on, and do it again on the old one."""
        found = self._look_again()
        if found.uid == view.uid and found.proof == plan.state:
            self._result = COMMITTED
            self.card_proof = self.proof_of(found)
            return
        if found.uid != view.uid or found.proof != view.proof:
            raise Mismatch("state")
        self._result = NOT_COMMITTED
        self._prepare(plan)
        self._commit(plan)

    # -- the conversation -------------------------------------------------------------------

    def _tell(self, command, answer_bytes):
        """The card's answer; CardGone also when there is no time left for one."""
        now_us = self._pcd.chip.ticks_us()
        if now_us > self._deadline_us:
            raise CardGone("takes too long")
        return self._dep.exchange(command, answer_bytes, now_us)

    def _login(self):
        """Open the application with the spend key; returns the card's real UID."""
        select = bytes((layout.SELECT_APPLICATION,)) + layout.APPLICATION
        try:
            ev2.body_of(self._tell(select, 1))
        except ev2.CardStatus as refusal:
            raise ForeignCard("application {:#04x}".format(refusal.status))
        except ev2.NotGenuine:
            raise CardGone("no answer in the answer")
        uid = self._card.uid
        if len(uid) == layout.RANDOM_UID_BYTES:
            self._open(b"", layout.UID_KEY)
            uid = layout.decode_uid(
                self._ask(layout.GET_CARD_UID, hidden=True, answer_bytes=_HIDDEN_BYTES)
            )
        self._open(uid, layout.SPEND_KEY)
        return uid

    def _open(self, uid, key_no):
        """Log in under the newest key that the card accepts; AuthFailed for none."""
        for key in self._keys.keys(uid, key_no):
            login = ev2.Login(self._keys.ciphers, key, key_no, self._keys.random(_RND_BYTES))
            try:
                proof = login.prove(self._tell(login.begin(), 1 + _RND_BYTES))
                self._session = login.session(self._tell(proof, 1 + 2 * _RND_BYTES))
                return
            except ev2.CardStatus as refusal:
                if refusal.status not in (ev2.AUTHENTICATION_ERROR, ev2.NO_SUCH_KEY):
                    raise CardRefused(refusal.status)
            except ev2.NotGenuine:
                pass  # it does not know this key either, and did not say so
        raise AuthFailed("key {}".format(key_no))

    def _read_file(self, file_no, length):
        answer_bytes = _PLAIN_BYTES + length // 16 * 16 + 16
        return self._ask(
            layout.READ_DATA, layout.place(file_no, length), hidden=True, answer_bytes=answer_bytes
        )

    def _ask(self, code, header=b"", data=b"", hidden=False, answer_bytes=_PLAIN_BYTES):
        """One command in the session; its answer. CardGone when it cannot be believed."""
        command = self._session.command(code, header, data, ev2.FULL_COMMAND)
        answer = self._tell(command, answer_bytes)
        try:
            return self._session.answer(answer, ev2.FULL_ANSWER if hidden else ev2.MAC)
        except ev2.CardStatus as refusal:
            raise CardRefused(refusal.status)
        except ev2.NotGenuine:
            raise CardGone("answer without the right MAC")
