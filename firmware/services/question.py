"""One question to the ledger, said again in the same words until its answer comes, or none does.

Rules of this file. An answer counts while it is waited for, under our key and with the nonce of
the question: late ones, doubled ones and those to another question are nobody's. The ledger may be
asked the same twice, so it answers it the same; what it did, it did once. Nothing is kept over a
boot: whoever asked asks again.
"""

from protocols.wire import desk_messages, messages, seal
from protocols.wire.errors import WireError

_NONCE_BYTES = 8
_AGAIN_MS = 1000  # until what was said and not answered is said again; the ledger takes 300
_BUSY_MS = 100  # until what could not be said is tried again
_RESTING_MS = 60000


class Question:
    """Of kinds of wire/desk_messages.py; `answer_kind` is the one that is listened for.

    `answer`: its fields, or {} if there was none in time; None before. Made behind whoever else
    hears relays: what is none of ours is passed on.
    """

    def __init__(self, board, uplink, answer_kind):
        self._urandom = board.urandom
        self._key = seal.derive(board.settings["device_key"], messages.RELAY_LABEL)
        self._uplink = uplink
        self._kind = answer_kind
        self._nonce = b""  # of what is asked; none is open if empty
        self._said = b""
        self._say_ms = self._until_ms = 0
        self.answer = None
        self._others = uplink.on_relay
        uplink.on_relay = self.hear

    @property
    def is_open(self):
        """Whether an answer is waited for."""
        return len(self._nonce) > 0

    def ask(self, kind, fields, now_ms, until_ms):
        """Begin to ask; step() goes on with it until `until_ms`."""
        self._nonce = fields["nonce"] = self._urandom(_NONCE_BYTES)
        payload = messages.encode_relayed(kind, fields, desk_messages.SHAPES)
        self._said = seal.seal(self._key, payload, messages.RELAY_UP)
        self._say_ms, self._until_ms = now_ms, until_ms
        self.answer = None

    def step(self, now_ms):
        """Ask, if it is time to; when to be called again (ms)."""
        if not self._nonce:
            return now_ms + _RESTING_MS
        if now_ms >= self._until_ms:
            self._nonce = b""
            self.answer = {}
            return now_ms
        if now_ms >= self._say_ms:
            is_said = self._uplink.say(messages.RELAY, {"sealed": self._said})
            self._say_ms = now_ms + (_AGAIN_MS if is_said else _BUSY_MS)
        return min(self._say_ms, self._until_ms)

    def hear(self, sealed, now_ms):
        """Take what a RELAY brought; the uplink's counter that says why not, or ""."""
        if len(sealed) <= messages.UNHEARD_BYTES:
            if not self._nonce or sealed != self._said[-messages.UNHEARD_BYTES :]:
                return self._others(sealed, now_ms) if self._others else ""
            self._until_ms = now_ms  # the ledger is away
            return ""
        try:
            payload = seal.unseal(self._key, sealed, messages.RELAY_DOWN)
        except WireError:
            return "forged"
        try:
            said = messages.decode_relayed(payload, (self._kind,), desk_messages.SHAPES)
        except WireError:
            return self._others(sealed, now_ms) if self._others else "malformed"
        if not self._nonce or said["nonce"] != self._nonce:
            return "repeated"
        self._nonce = b""
        self.answer = said
        return ""
