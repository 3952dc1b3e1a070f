"""Who is heard through a RELAY, and which desk answers.

Only a registered reader at its own site is heard, under the key its records are sealed with; one
that has a twin is not: somebody else has its key. Elsewhere it may ask where it is, and no more.
Nothing is kept here.
"""

from typing import Any, Protocol

from ledger.store import LedgerStore
from protocols.wire import desk_messages, entry_code, messages, seal
from protocols.wire.errors import BAD_SEAL, UNEXPECTED_TYPE, WireError

# What readers say, whether or not there is a desk for it.
_FROM_STRANGERS = (messages.SITE,)
_FROM_READERS = (
    *_FROM_STRANGERS,
    *(messages.LOAD_ASK, messages.CARD_ANSWER, messages.PAY_ASK, messages.SPEND_ASK),
    *(entry_code.WHO_ASK, desk_messages.PERSON_ASK, desk_messages.LOSS_ASK),
)
_SHAPES = {**messages.RELAYED, **desk_messages.SHAPES}


class Desk(Protocol):
    """Answers some kinds of what readers say."""

    @property
    def hears(self) -> tuple[int, ...]:
        """The kinds that it answers."""
        ...

    def answer(
        self, device: int, key: bytes, said: dict[str, Any], now_ms: int
    ) -> tuple[int, dict[str, Any]] | None:
        """The kind and the fields, but for the nonce, of the answer; None: there is none.

        `device` has said `said` under its `key`.
        """
        ...


class RelayDesk:
    """Opens RELAYs, has them answered by `desks` and seals the answers."""

    def __init__(self, store: LedgerStore, *desks: Desk) -> None:
        self._store = store
        self._desks = {kind: desk for desk in desks for kind in desk.hears}

    def hear(self, site: str, device: int, sealed: bytes, now_ms: int) -> bytes | None:
        """What `device` of `site` said in a RELAY; what to answer it, sealed, or None.

        Raises WireError for what no registered reader of the site has sealed.
        """
        key, said = self._opened(site, device, sealed)
        if said["kind"] == messages.SITE:
            said = {**said, "heard_at": site, "sealed": sealed}
        desk = self._desks.get(said["kind"])
        answer = None if desk is None else desk.answer(device, key, said, now_ms)
        if answer is None:
            return None
        kind, fields = answer
        payload = _encoded(kind, {"nonce": said["nonce"], **fields})
        relay_key = seal.derive(key, messages.RELAY_LABEL)
        return seal.seal(relay_key, payload, messages.RELAY_DOWN)

    def _opened(self, site: str, device: int, sealed: bytes) -> tuple[bytes, dict[str, Any]]:
        """The key of the device that has sealed this, and what it says."""
        for at, kinds in ((site, _FROM_READERS), (None, _FROM_STRANGERS)):
            for key in self._store.speaking_keys(device, at):
                relay_key = seal.derive(key, messages.RELAY_LABEL)
                try:
                    payload = seal.unseal(relay_key, sealed, messages.RELAY_UP)
                except WireError:
                    continue
                return key, _decoded(payload, kinds)
        raise WireError(BAD_SEAL)


def _encoded(kind: int, fields: dict[str, Any]) -> bytes:
    if kind == entry_code.WHO_ANSWER:
        return entry_code.encode_answer(fields["nonce"], *fields["numbers"])
    return messages.encode_relayed(kind, fields, _SHAPES)


def _decoded(payload: bytes, kinds: tuple[int, ...]) -> dict[str, Any]:
    """The kind and the fields by name of what was said; WireError for what is none of `kinds`."""
    if not entry_code.is_ask(payload):
        return messages.decode_relayed(payload, kinds, _SHAPES)
    if entry_code.WHO_ASK not in kinds:
        raise WireError(UNEXPECTED_TYPE)
    nonce, code = entry_code.decode_ask(payload)
    return {"kind": entry_code.WHO_ASK, "nonce": nonce, "code": code}
