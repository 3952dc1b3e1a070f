"""What operators ask of the API: to log in and out, whose a card is, and who has said what."""

from pydantic import BaseModel

from ledger.api import models
from ledger.api.calls import Call, Policy, place
from ledger.privacy import Shown, reveal_holder, show_holder
from ledger.signatures import acts, lasts_s
from ledger.store import LedgerStore


def begin_session(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """A session of an operator, by login and password."""
    del policy
    login = call.body.login
    token = store.operators.log_in(login, call.body.password, call.now_s)
    roles = list(store.operators.roles_of(login))
    session_s, _idle_s = lasts_s(roles)
    ends_s = call.now_s + session_s
    return models.Session(token=token, login=login, roles=roles, ends_s=ends_s)


def end_session(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """The session is over."""
    del policy
    store.operators.end(call.client.person)
    return models.SessionEnded(login=str(call.client.person))


def holder(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Whose a card is, masked."""
    del policy
    return _holder_facts(show_holder(store.database, call.body.card_no))


def reveal(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Whose a card is, which is an act."""
    del policy
    words = call.client.person, call.body.because, call.now_s
    return _holder_facts(reveal_holder(store.database, call.body.card_no, *words))


def _holder_facts(shown: Shown) -> models.HolderFacts:
    return models.HolderFacts(
        card_no=shown.card_no,
        kind=shown.kind,
        department=shown.department,
        person_no=shown.person_no,
        is_masked=shown.is_masked,
    )


def said(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """A page of the acts."""
    del policy
    (behind,), count = place(call.query.after, (0,)), call.query.limit
    found = acts(store.database, count + 1, behind)
    shown = [
        models.ActFacts(
            number=one.number,
            login=one.login,
            verb=one.verb,
            subject=one.subject,
            evidence=one.evidence,
            reason=one.reason,
            time_s=one.time_s,
        )
        for one in found[:count]
    ]
    following = str(shown[-1].number) if len(found) > count else None
    return models.Acts(acts=shown, next=following)
