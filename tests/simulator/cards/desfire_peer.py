"""A reader for the DESFire model, written apart from the model and from protocols.card.

AES comes from `cryptography`; CMAC is built here on AES alone, so that the model's is checked.
"""

import random

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from simulator.cards.desfire import Desfire

UID = bytes.fromhex("04a1b2c3d4e5f6")
AID = bytes.fromhex("01caf0")
PLAIN, MAC, FULL = 0, 1, 3
ZERO_KEY = bytes(16)
KEYS = [bytes((0x10 * n + n,)) * 16 for n in range(1, 6)]  # of the application, key 0 first
OK = 0x00
RND_A = bytes(range(0x20, 0x30))


def le(value, size, signed=False):
    return value.to_bytes(size, "little", signed=signed)


def aes_cbc(key, iv, data, decrypting=False):
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
    worker = cipher.decryptor() if decrypting else cipher.encryptor()
    return worker.update(data)


def cmac(key, message):
    """RFC 4493, step by step."""
    subkey = int.from_bytes(aes_cbc(key, bytes(16), bytes(16)), "big")
    whole = bool(message) and len(message) % 16 == 0
    for _ in range(1 if whole else 2):
        subkey = (subkey << 1 & (1 << 128) - 1) ^ (0x87 if subkey >> 127 else 0)
    if not whole:
        message += b"\x80" + bytes(15 - len(message) % 16)
    last = int.from_bytes(message[-16:], "big") ^ subkey
    return aes_cbc(key, bytes(16), message[:-16] + last.to_bytes(16, "big"))[-16:]


def short(mac):
    return bytes(mac[i] for i in range(16) if i % 2)


def pad(data):
    return data + b"\x80" + bytes(15 - len(data) % 16)


class Denied(Exception):
    """The card answered with a status that is not success."""

    def __init__(self, status):
        super().__init__(f"{status:02x}")
        self.status = status


class Peer:
    """A perfect radio to `card` and an EV2 session on it; `now` goes by what commands cost."""

    def __init__(self, card):
        self.card = card
        self.session = None
        self.now = 0
        self.busy_us = 0
        self.wake()

    def wake(self):
        self.card.power_up()
        self.card.begin()
        self.session = None

    def raw(self, native):
        """(status, data) of the answer to a native command."""
        answer, self.busy_us = self.card.apply(native, self.now)
        self.now += self.busy_us
        return answer[0], answer[1:]

    def exchange(self, native):
        """The data of the whole answer, frames put together; Denied for anything but success."""
        status, data = self.raw(native)
        while status == 0xAF and native[0] not in (0x71, 0x77):
            status, more = self.raw(b"\xaf")
            data += more
        if status not in (OK, 0xAF):
            self.session = None
            raise Denied(status)
        return data

    def login(self, key_no, key=None, again=False, rnd_a=RND_A):
        key = KEYS[key_no] if key is None else key
        command = bytes((0x77, key_no)) if again else bytes((0x71, key_no, 0))
        rnd_b = aes_cbc(key, bytes(16), self.exchange(command), True)
        token = aes_cbc(key, bytes(16), rnd_a + rnd_b[1:] + rnd_b[:1])
        opened = aes_cbc(key, bytes(16), self.exchange(b"\xaf" + token), True)
        head = b"" if again else opened[:4]
        assert opened[len(head) : len(head) + 16] == rnd_a[1:] + rnd_a[:1]
        mixed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[:6], strict=True))
        tail = b"\x00\x01\x00\x80" + rnd_a[:2] + mixed + rnd_b[6:] + rnd_a[8:]
        ti, counter = (self.session[2], self.session[3]) if again else (head, 0)
        self.session = [cmac(key, b"\xa5\x5a" + tail), cmac(key, b"\x5a\xa5" + tail), ti, counter]
        return opened

    def iv(self, label):
        enc, _, ti, counter = self.session
        return aes_cbc(enc, bytes(16), label + ti + le(counter, 2) + bytes(8))

    def mac(self, first, body):
        _, mac, ti, counter = self.session
        return short(cmac(mac, bytes((first,)) + le(counter, 2) + ti + body))

    def build(self, code, header=b"", data=b"", mode=MAC):
        """The bytes of one command under the session, if there is one."""
        if self.session is None or mode == PLAIN:
            return bytes((code,)) + header + data
        if mode == FULL and data:
            data = aes_cbc(self.session[0], self.iv(b"\xa5\x5a"), pad(data))
        return bytes((code,)) + header + data + self.mac(code, header + data)

    def ask(self, code, header=b"", data=b"", mode=MAC):
        """One command, one believed answer."""
        answer = self.exchange(self.build(code, header, data, mode))
        if self.session is None:
            return answer
        self.session[3] += 1
        if mode == PLAIN:
            return answer
        body, mac = answer[:-8], answer[-8:]
        assert mac == self.mac(0x00, body)
        if mode == FULL and body:
            body = aes_cbc(self.session[0], self.iv(b"\x5a\xa5"), body, True).rstrip(b"\x00")
            assert body[-1] == 0x80
            body = body[:-1]
        return body

    def denied(self, status, code, header=b"", data=b"", mode=MAC):
        """The command must be refused with `status`, which also ends the session."""
        try:
            self.ask(code, header, data, mode)
        except Denied as denial:
            assert denial.status == status, f"{denial.status:02x} and not {status:02x}"
        else:
            raise AssertionError(f"{code:02x} was not refused")
        assert not self.card.is_authenticated

    # ------------------------------------------------------------ what tests often do

    def select(self, aid=AID):
        self.exchange(b"\x5a" + aid)
        self.session = None

    def open(self, key_no, key=None):
        """The application under `key_no`."""
        self.select()
        self.login(key_no, key)
        return self

    def change_key(self, key_no, old, new, version=0):
        mixed = bytes(a ^ b for a, b in zip(old, new, strict=True))
        check = le(crc32(new), 4)
        self.ask(0xC4, bytes((key_no,)), mixed + bytes((version,)) + check, FULL)

    def value(self, file_no=3, mode=FULL):
        return int.from_bytes(self.ask(0x6C, bytes((file_no,)), mode=mode), "little", signed=True)

    def move(self, code, amount, file_no=3, mode=FULL):
        return self.ask(code, bytes((file_no,)), le(amount, 4, signed=True), mode)

    def write(self, file_no, data, offset=0, mode=FULL, code=0x8D):
        return self.ask(code, span(file_no, offset, len(data)), data, mode)

    def read(self, file_no, offset=0, length=0, mode=FULL, code=0xAD):
        return self.ask(code, span(file_no, offset, length), mode=mode)


def crc32(data):
    """IEEE 802.3, bit by bit, without the final complement."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc


def span(file_no, offset, length):
    return bytes((file_no,)) + le(offset, 3) + le(length, 3)


def rights(read, write, both, change):
    return le(read << 12 | write << 8 | both << 4 | change, 2)


def blank(seed=1, **options):
    """A card from the works."""
    return Peer(Desfire(UID, random.Random(seed), **options))


def with_application(seed=1, settings=0x0F, keys=5):
    """A card with one application under KEYS, its master key proved."""
    peer = blank(seed)
    peer.ask(0xCA, AID + bytes((settings, 0x80 | keys)))
    peer.select()
    peer.login(0, ZERO_KEY)
    for key_no in range(1, keys):
        peer.change_key(key_no, ZERO_KEY, KEYS[key_no], version=key_no)
    peer.exchange(peer.build(0xC4, b"\x00", KEYS[0] + b"\x07", FULL))
    peer.login(0)
    return peer


# Files of the purse, by number: 1 standard, 2 backup, 3 value, 4 linear, 5 cyclic. Key 1 reads,
# key 2 writes, key 3 does both, key 0 changes the settings.
RIGHTS = rights(1, 2, 3, 0)


def with_files(seed=1, mode=FULL, access=RIGHTS, **options):
    """`with_application` and one file of each kind, under the master key."""
    peer = with_application(seed, **options)
    head = bytes((mode,)) + access
    peer.ask(0xCD, b"\x01" + head + le(64, 3))
    peer.ask(0xCB, b"\x02" + head + le(64, 3))
    limits = le(0, 4) + le(10_000, 4) + le(500, 4)
    peer.ask(0xCC, b"\x03" + head + limits + b"\x01")
    peer.ask(0xC1, b"\x04" + head + le(8, 3) + le(3, 3))
    peer.ask(0xC0, b"\x05" + head + le(8, 3) + le(4, 3))
    return peer
