"""Bugs that the DESFire part of a POS could have had, planted like those of planted_tap.py.

Each changes one decision of purse, secure messaging or block protocol; everything around it stays.
"""

from firmware.drivers import iso_dep
from firmware.drivers.iso14443 import CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.services import purse_desfire
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN
from firmware.services.purse_desfire import DesfirePurse
from protocols.card import ev2
from protocols.card import purse_desfire as layout
from tests.torture.planted_tap import intent_after_debit

MAC_BYTES = 8
COUNTER_BYTES = 2
R_NAK = 0xB2

# -- what became of a debit -----------------------------------------------------------------------


def committed_before_the_answer(monkeypatch):
    """Once the commit is on its way, it is taken for done."""
    commit = DesfirePurse._commit

    def hasty(self, plan):
        try:
            commit(self, plan)
        finally:
            if self._result == UNKNOWN:
                self._result = COMMITTED

    monkeypatch.setattr(DesfirePurse, "_commit", hasty)


def _commit_fails_with(error):
    """An answer that is none tells that the card has not done it."""

    def plant(monkeypatch):
        commit = DesfirePurse._commit

        def sure(self, plan):
            try:
                commit(self, plan)
            except error:
                self._result = NOT_COMMITTED
                raise

        monkeypatch.setattr(DesfirePurse, "_commit", sure)

    return plant


def _unknown_becomes(result):
    def plant(monkeypatch):
        debit = DesfirePurse.debit

        def sure(self, *spend):
            told = debit(self, *spend)
            return result if told == UNKNOWN else told

        monkeypatch.setattr(DesfirePurse, "debit", sure)

    return plant


def committed_again_without_a_look(monkeypatch):
    """A commit that was not answered is done again, whatever the card holds by then."""

    def blind(self, _view, plan):
        self._pcd.select(self._card)
        self._dep.activate()
        self._login()
        self._result = NOT_COMMITTED
        self._prepare(plan)
        self._commit(plan)

    monkeypatch.setattr(DesfirePurse, "_finish", blind)


def there_is_done(monkeypatch):
    """The card is still there after the commit: that is taken for an answer to it."""

    def trusting(self, _view, _plan):
        found = self._look_again()
        self._result = COMMITTED
        self.card_proof = self.proof_of(found)

    monkeypatch.setattr(DesfirePurse, "_finish", trusting)


def not_compared_on_rejoin(monkeypatch):
    """A second attempt is made on whatever the card holds by then."""
    monkeypatch.setattr(DesfirePurse, "_rejoin", lambda self, _view: self._look_again())


# -- what is written ------------------------------------------------------------------------------


def counter_stands_still(monkeypatch):
    """The state is written with the counter that the card had before."""
    plan_debit = DesfirePurse._plan

    def stale(self, view, *spend):
        plan = plan_debit(self, view, *spend)
        plan.state = view.counter.to_bytes(COUNTER_BYTES, "big") + plan.state[COUNTER_BYTES:]
        return plan

    monkeypatch.setattr(DesfirePurse, "_plan", stale)


def another_reader_named(monkeypatch):
    """The transaction is committed to no reader at all."""
    plan_debit = DesfirePurse._plan

    def nameless(self, *spend):
        plan = plan_debit(self, *spend)
        plan.reader_id = bytes(layout.READER_ID_BYTES)
        return plan

    monkeypatch.setattr(DesfirePurse, "_plan", nameless)


def asked_again_in_the_same_session(monkeypatch):
    """What was answered without the right MAC is told once more; the card may do it twice."""
    ask = DesfirePurse._ask

    def stubborn(self, *command, **options):
        try:
            return ask(self, *command, **options)
        except CardGone as error:
            if error.args != ("answer without the right MAC",):
                raise
            return ask(self, *command, **options)

    monkeypatch.setattr(DesfirePurse, "_ask", stubborn)


# -- what the card signs --------------------------------------------------------------------------


def abort_left_out(monkeypatch):
    """What was read before the debit is in the transaction, and so in its MAC."""
    monkeypatch.setattr(DesfirePurse, "_begin_transaction", lambda _self: None)


def proof_of_the_sale_before(monkeypatch):
    """A proof that has to be fetched later is the last one that was heard."""
    commit, heard = DesfirePurse._commit, [b""]

    def remembering(self, plan):
        commit(self, plan)
        heard[0] = self.card_proof

    monkeypatch.setattr(DesfirePurse, "_commit", remembering)
    monkeypatch.setattr(DesfirePurse, "proof_of", lambda _self, _view: heard[0])


# -- who may say so -------------------------------------------------------------------------------


def answers_without_mac(monkeypatch):
    """Whatever comes with status 00 is what the card has said."""

    def trusting(self, answer, mode=ev2.MAC):
        body = ev2.body_of(answer)[:-MAC_BYTES]
        if mode != ev2.FULL_ANSWER or not body or len(body) % 16:
            return body
        iv = self._iv(ev2._FOR_MAC)
        return ev2.unpad(self._ciphers.aes_cbc(self._enc_key, iv, body, True))

    monkeypatch.setattr(ev2.Session, "answer", trusting)


def session_outlives_its_card(monkeypatch):
    """Who has logged in once does not do so again when the card has begun anew."""
    login = DesfirePurse._login

    def lazy(self):
        return self._card.uid if self._session else login(self)

    monkeypatch.setattr(DesfirePurse, "_login", lazy)


# -- blocks ---------------------------------------------------------------------------------------


def told_again_unasked(monkeypatch):
    """Where an answer did not come the command is sent again, in the place of R(NAK)."""
    put, put_part = IsoDep._put, IsoDep._put_part

    def remember(self, command, at):
        self.last_part = command, at
        return put_part(self, command, at)

    def tell(self, header):
        return put_part(self, *self.last_part) if header == R_NAK else put(self, header)

    monkeypatch.setattr(IsoDep, "_put_part", remember)
    monkeypatch.setattr(IsoDep, "_put", tell)


def number_kept_after_asking(monkeypatch):
    """An answer that had to be asked for by R(NAK) does not move the block number on."""
    put, exchange = IsoDep._put, IsoDep.exchange

    def note(self, header):
        self.has_asked = True
        return put(self, header)

    def forgetful(self, *command):
        self.has_asked = False
        answer = exchange(self, *command)
        self._number ^= self.has_asked
        return answer

    monkeypatch.setattr(IsoDep, "_put", note)
    monkeypatch.setattr(IsoDep, "exchange", forgetful)


def command_without_limit(monkeypatch):
    """A card gets all the time for a command that it asks for."""
    monkeypatch.setattr(iso_dep, "_EXCHANGE_US_MAX", 1 << 40)
    monkeypatch.setattr(iso_dep, "_EXTENSIONS_MAX", 1 << 20)


def talk_without_limit(monkeypatch):
    """However long it takes: the next command has the time that all of them have."""
    monkeypatch.setattr(purse_desfire, "_TALK_US_MAX", 1 << 40)


PLANTED = {
    "intent after debit": intent_after_debit,
    "committed before the answer": committed_before_the_answer,
    "refused taken for unpaid": _commit_fails_with(ev2.CardStatus),
    "damaged taken for unpaid": _commit_fails_with(ev2.NotGenuine),
    "unanswered taken for unpaid": _commit_fails_with(CardGone),
    "unknown taken for paid": _unknown_becomes(COMMITTED),
    "unknown taken for unpaid": _unknown_becomes(NOT_COMMITTED),
    "committed again without a look": committed_again_without_a_look,
    "there is done": there_is_done,
    "not compared on rejoin": not_compared_on_rejoin,
    "counter stands still": counter_stands_still,
    "another reader named": another_reader_named,
    "asked again in the same session": asked_again_in_the_same_session,
    "abort left out": abort_left_out,
    "proof of the sale before": proof_of_the_sale_before,
    "answers without MAC": answers_without_mac,
    "session outlives its card": session_outlives_its_card,
    "told again unasked": told_again_unasked,
    "number kept after asking": number_kept_after_asking,
    "command without limit": command_without_limit,
    "talk without limit": talk_without_limit,
}
