"""Secure messaging of DESFire EV2 with AES, the side that is not the card: bytes in, bytes out.

The same code speaks for a reader, for the ledger through a reader, and for the desk that makes
cards. Commands and answers are native ones: command code or status first, no wrapping.

    Login     two commands and their answers prove the key to both sides and make a Session
    Session   gives each command its MAC, hides data where the file says so, and believes no
              answer without a MAC

Facts: AN12343 rev. 1.1, sections 5 to 9; checked against its worked examples and AN12196's.
AES comes from the caller: `ciphers` has aes(key) -> encrypt(block) and aes_cbc(key, iv, data,
decrypting) -> bytes of the same length, as every board has.
"""

import struct

from protocols.card.diversify import Cmac

# CommMode: what protects the data of a command and of its answer.
MAC = 1
FULL_COMMAND = 2  # the data that goes to the card is hidden as well
FULL_ANSWER = 3  # the data that comes back is

AUTHENTICATE_FIRST = 0x71
AUTHENTICATE_NON_FIRST = 0x77
_ADDITIONAL_FRAME = 0xAF

OK = 0x00
MORE = 0xAF
NO_CHANGES = 0x0C
NO_SUCH_KEY = 0x40
PERMISSION_DENIED = 0x9D
APPLICATION_NOT_FOUND = 0xA0
AUTHENTICATION_ERROR = 0xAE
FILE_NOT_FOUND = 0xF0

_BLOCK = 16
_NO_IV = bytes(_BLOCK)
_MAC_BYTES = 8
_TI_BYTES = 4
_COUNTER_MAX = 0xFFFF
# Labels of the vectors that session keys and IVs are made from.
_FOR_ENC, _FOR_MAC = b"\xa5\x5a", b"\x5a\xa5"
_DERIVE = b"\x00\x01\x00\x80"


class CardStatus(Exception):
    """The card refused a command; `status` is its code. A session is over with that."""

    def __init__(self, status):
        super().__init__("status {:#04x}".format(status))
        self.status = status


class NotGenuine(Exception):
    """An answer without the right MAC or form: damage or deceit, and never to be believed."""


def pad(data):
    """`data` with 80 00.. to whole blocks, a whole one more where it was whole."""
    return bytes(data) + b"\x80" + bytes(-(len(data) + 1) % _BLOCK)


def unpad(data):
    """What `pad` was given; NotGenuine for anything it cannot have made."""
    data = bytes(data)
    end = len(data.rstrip(b"\x00")) - 1
    if end < 0 or data[end] != 0x80 or len(data) - end > _BLOCK:
        raise NotGenuine("padding")
    return data[:end]


def short_mac(mac):
    """Every second byte of the 16, beginning with the second one."""
    return bytes((mac[1], mac[3], mac[5], mac[7], mac[9], mac[11], mac[13], mac[15]))


def body_of(answer):
    """The data behind the status of an answer (bytes); CardStatus when it refuses."""
    if not answer:
        raise NotGenuine("empty answer")
    if answer[0] not in (OK, MORE):
        raise CardStatus(answer[0])
    return bytes(answer[1:])


def session_keys(ciphers, key, rnd_a, rnd_b):
    """(encryption key, MAC key), 16 bytes each, of a session that proved `key`."""
    mixed = int.from_bytes(rnd_a[2:8], "big") ^ int.from_bytes(rnd_b[:6], "big")
    tail = rnd_a[:2] + mixed.to_bytes(6, "big") + rnd_b[6:] + rnd_a[8:]
    cmac = Cmac(ciphers.aes(key))
    return cmac.digest(_FOR_ENC + _DERIVE + tail), cmac.digest(_FOR_MAC + _DERIVE + tail)


class Login:
    """Proves that both sides know key `key_no` (`key`, 16 bytes); `rnd_a` is 16 fresh bytes.

    Send `begin()`, give its answer to `prove`, send what that returns, and give the answer to
    `session`. With a `session` still open (`after`), the card keeps its transaction and its TI.
    CardStatus with AUTHENTICATION_ERROR when the card does not accept our proof (the key is
    another one); NotGenuine when we do not accept its.
    """

    def __init__(self, ciphers, key, key_no, rnd_a, after=None):
        self._ciphers = ciphers
        self._key = key
        self._key_no = key_no
        self._rnd_a = rnd_a
        self._rnd_b = b""
        self._after = after

    def begin(self):
        """The first command."""
        if self._after is not None:
            return bytes((AUTHENTICATE_NON_FIRST, self._key_no))
        return bytes((AUTHENTICATE_FIRST, self._key_no, 0))

    def prove(self, answer):
        """The second command, from the answer to the first."""
        if not answer or answer[0] == OK:
            raise NotGenuine("login without a challenge")
        challenge = body_of(answer)
        if len(challenge) != _BLOCK:
            raise NotGenuine("challenge")
        rnd_b = self._ciphers.aes_cbc(self._key, _NO_IV, challenge, True)
        self._rnd_b = rnd_b
        proof = self._rnd_a + rnd_b[1:] + rnd_b[:1]
        sealed = self._ciphers.aes_cbc(self._key, _NO_IV, proof, False)
        return bytes((_ADDITIONAL_FRAME,)) + sealed

    def session(self, answer):
        """The Session, from the answer to the second command."""
        sealed = body_of(answer)
        if answer[0] != OK or len(sealed) != (_BLOCK if self._after else 2 * _BLOCK):
            raise NotGenuine("login")
        opened = self._ciphers.aes_cbc(self._key, _NO_IV, sealed, True)
        ti, counter = opened[:_TI_BYTES], 0
        if self._after is not None:
            ti, counter = self._after.ti, self._after.counter
        else:
            opened = opened[_TI_BYTES : _TI_BYTES + _BLOCK]
        if opened != self._rnd_a[1:] + self._rnd_a[:1]:
            raise NotGenuine("proof")
        keys = session_keys(self._ciphers, self._key, self._rnd_a, self._rnd_b)
        return Session(self._ciphers, keys[0], keys[1], ti, counter)


class Session:
    """One authenticated conversation. `ti` names it (4 bytes), `counter` counts its commands.

    Every command is answered before the next is made. After CardStatus or NotGenuine the session
    is of no use any more: the card has left it.
    """

    def __init__(self, ciphers, enc_key, mac_key, ti, counter=0):
        self._ciphers = ciphers
        self._enc_key = enc_key
        self._enc = ciphers.aes(enc_key)
        self._mac = Cmac(ciphers.aes(mac_key))
        self.ti = ti
        self.counter = counter

    def command(self, code, header=b"", data=b"", mode=MAC):
        """The bytes of command `code`; `header` stays readable, `data` is hidden if FULL_COMMAND.

        ValueError when the session has used up its counter.
        """
        if self.counter >= _COUNTER_MAX:
            raise ValueError("the session is used up")
        if mode == FULL_COMMAND and data:
            iv = self._iv(_FOR_ENC)
            data = self._ciphers.aes_cbc(self._enc_key, iv, pad(data), False)
        body = header + data
        mac = self._mac_over(code, body)
        self.counter += 1
        return bytes((code,)) + body + mac

    def answer(self, answer, mode=MAC):
        """The data of an answer, as the card meant it; CardStatus, NotGenuine."""
        if not answer or answer[0] != OK:
            body_of(answer)  # raises, but for MORE
            raise NotGenuine("MAC")
        end = len(answer) - _MAC_BYTES
        body = bytes(answer[1:end])
        if end < 1 or self._mac_over(OK, body) != answer[end:]:
            raise NotGenuine("MAC")
        if mode != FULL_ANSWER or not body:
            return body
        if len(body) % _BLOCK:
            raise NotGenuine("length")
        iv = self._iv(_FOR_MAC)
        return unpad(self._ciphers.aes_cbc(self._enc_key, iv, body, True))

    def _mac_over(self, first, body):
        message = struct.pack("<BH4s", first, self.counter, self.ti) + body
        return short_mac(self._mac.digest(message))

    def _iv(self, label):
        return self._enc(label + self.ti + struct.pack("<H", self.counter) + bytes(8))
