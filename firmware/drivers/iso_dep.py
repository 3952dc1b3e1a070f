"""ISO/IEC 14443-4: commands of any length to a card, and its answers, block by block.

Rules of this file:

- A command goes out once. Only the block protocol repeats a part of it, after the card has said
  that it did not get that part; what the card did get it is asked for, never told again.
- Nothing a card says makes an exchange endless: damaged answers in a row, requests for more time,
  frames and time are counted, and at the end of each count stands CardGone.
- When an exchange breaks off, nobody knows which block number is next: the conversation is over.
  So it is when anybody has woken the card since (see Pcd.session). Activate it anew.
- The reader gives no CID and takes none, nor NAD.

Clause numbers are those of ISO/IEC 14443-4:2018; times are in carrier cycles of 13.56 MHz there.
"""

from firmware.drivers.iso14443 import PROTOCOL_US, CardGone
from firmware.drivers.mfrc522 import SILENCE

_RATS = 0xE0
_FSDI_CID = 0x50  # we take frames of 64 bytes, the card is number 0
_PPSS = 0xD0
_PPS1_FOLLOWS = 0x11
_PPS1_212 = 0x05  # in both directions
_OFFERS_212 = 0x11  # TA: bit 0 from us, bit 4 to us
_RATES_RFU = 0x08  # TA: then 106 only

# Block headers; bit 0 is the block number.
_I_BLOCK, _I_MASK, _CHAINING = 0x02, 0xEE, 0x10
_R_ACK, _R_NAK, _R_MASK = 0xA2, 0xB2, 0xFE
_S_WTX = 0xF2
_WTXM_MASK, _WTXM_MAX = 0x3F, 59

_HAS_TA, _HAS_TB, _HAS_TC = 0x10, 0x20, 0x40
_FSCI_DEFAULT = 2
_FWI_DEFAULT = 4
_RFU = 15
# By FSCI; what may be longer is not, so that a frame with its CRC fits the chip and our buffers.
_FRAME_BYTES = (16, 24, 32, 40, 48, 64)
_FRAME_BYTES_MAX = 64
_OVERHEAD_BYTES = 3  # header and CRC
_ATS_BYTES = 6  # of DESFire; a longer one costs a transaction more

_UNIT_US = 303  # 4096 cycles, rounded up: FWT and SFGT are this << FWI or SFGI
_SFGI_MAX = 9  # 155 ms; cards that are meant for people ask for 1 ms
_DELTA_FWT_US = 3625  # 49152 cycles that a card may be late, and the reader must not be

_ACTIVATION_TRIES = 2
# A card whose ATS came damaged may want its start-up time before it hears anything again; which
# that is would have stood in the ATS, and it is shorter than this for all that we know.
_START_UP_US = 5000
# Clause 7.5: damaged or missing answers in a row before a card counts as gone.
_RETRIES_MAX = 2
# In one exchange. No card that we know comes near any of them.
_EXTENSIONS_MAX = 16
_FRAMES_MAX = 96
_COMMAND_BLOCKS_MAX = 32
_EXCHANGE_US_MAX = 5_000_000  # the longest FWT there is

# What a block from the card means.
_DAMAGED, _PART, _GO_ON, _NOT_HEARD, _MORE_TIME = 0, 1, 2, 3, 4


class IsoDep:
    """`card` (Card), just selected by `pcd` (Pcd), led into ISO-DEP by `activate`.

    After that: `historical` (bytes of the ATS), `rate` (0 = 106 kbit/s, 1 = 212). Every method
    raises CardGone when nothing understandable comes any more, and BusFault when the chip fails.
    `until_us`, by the chip's ticks, ends the whole conversation (0: each exchange has a limit of
    its own): whatever time the card asks for, what waits for it then goes on.
    """

    def __init__(self, pcd, card, until_us=0):
        self._pcd = pcd
        self._chip = pcd.chip
        self._card = card
        self._session = -1  # of pcd, in which the card was activated
        self._is_sound = False  # both sides know which block comes next
        self._number = 0
        self._room = 0  # for bytes of a command in one block
        self._fwt_us = 0
        self._rates = 0
        self._frames = 0
        self._deadline_us = 0
        self._until_us = until_us
        self._heard = SILENCE
        self.historical = b""
        self.rate = 0

    def activate(self):
        """RATS, and PPS if board and card can do 212 kbit/s; a failure is tried again at 106."""
        self._is_sound = False
        pcd = self._pcd
        if pcd.is_in_protocol:
            pcd.select(self._card)
        rate_max = self._chip.rate_max
        for attempt in range(_ACTIVATION_TRIES):
            if attempt:
                self._chip.sleep_us(_START_UP_US)
                pcd.select(self._card)
                rate_max = 0
            if self._request_answer_to_select() and self._agree_on_rate(rate_max):
                self._number = 0
                self._session = pcd.session
                self._is_sound = True
                return
        raise CardGone("no usable answer to select")

    def exchange(self, command, expected=2, begin_us=None):
        """The card's answer (bytes) to `command` (bytes).

        `expected`: bytes the answer is likely to have; more cost a transaction for each block.
        `begin_us` is for who has just looked at the clock.
        CardGone says nothing about whether the card has carried the command out. ValueError for a
        command of more than 32 blocks.
        """
        pcd = self._pcd
        if not self._is_sound or self._session != pcd.session:
            raise CardGone("not in ISO-DEP")
        if len(command) > _COMMAND_BLOCKS_MAX * self._room:
            raise ValueError("command too long")
        self._is_sound = False
        self._frames = 0
        if begin_us is None:
            begin_us = self._chip.ticks_us()
        self._deadline_us = self._until_us or begin_us + _EXCHANGE_US_MAX
        answer = self._converse(command, expected)
        self._is_sound = True
        return answer

    def deselect(self):
        """End the conversation, if it is not over: the card sleeps until it is woken."""
        self._is_sound = False
        if self._session == self._pcd.session:
            self._pcd.leave_protocol()

    # -- activation -------------------------------------------------------------------------

    def _request_answer_to_select(self):
        """True, and the card's terms known, when a well-formed ATS came."""
        chip = self._chip
        chip.set_crc(True, True)
        chip.tx[0] = _RATS
        chip.tx[1] = _FSDI_CID
        # Before it is sent: whether the card has heard it, an answer need not tell.
        self._pcd.is_in_protocol = True
        heard = chip.transceive(2, _ATS_BYTES, PROTOCOL_US)
        if self._is_whole(heard) and self._read_terms(heard >> 3):
            return True
        self._note_damage(heard)
        return False

    def _read_terms(self, count):
        """Take the ATS of `count` bytes in the chip's `rx`; False when it is malformed."""
        rx = self._chip.rx
        if rx[0] != count:
            return False
        shape = rx[1] if count > 1 else _FSCI_DEFAULT
        rates, times = 0, _FWI_DEFAULT << 4
        at = 2
        if shape & _HAS_TA:
            rates = rx[at]
            at += 1
        if shape & _HAS_TB:
            times = rx[at]
            at += 1
        if shape & _HAS_TC:
            at += 1
        if 1 < count < at:
            return False
        size = shape & 15
        frame_bytes = _FRAME_BYTES[size] if size < len(_FRAME_BYTES) else _FRAME_BYTES_MAX
        self._room = frame_bytes - _OVERHEAD_BYTES
        self._rates = 0 if rates & _RATES_RFU else rates
        self._fwt_us = _UNIT_US << (_FWI_DEFAULT if times >> 4 == _RFU else times >> 4)
        self.historical = bytes(rx[at:count])
        guard = times & 15
        if _SFGI_MAX < guard < _RFU:
            return False  # it would hold the reader for up to 5 s
        if 0 < guard < _RFU:
            if self._until_us and self._chip.ticks_us() + (_UNIT_US << guard) > self._until_us:
                return False
            self._chip.sleep_us(_UNIT_US << guard)
        return True

    def _agree_on_rate(self, rate_max):
        """True when both sides speak at one rate, 212 kbit/s if `rate_max` and the card let us."""
        chip = self._chip
        self.rate = 0
        if not rate_max or self._rates & _OFFERS_212 != _OFFERS_212:
            return True
        tx = chip.tx
        tx[0] = _PPSS
        tx[1] = _PPS1_FOLLOWS
        tx[2] = _PPS1_212
        heard = chip.transceive(3, 1, PROTOCOL_US)
        if heard != 8 or chip.errors or chip.rx[0] != _PPSS:
            self._note_damage(heard)
            return False
        chip.set_rate(1)
        self.rate = 1
        return True

    # -- blocks -----------------------------------------------------------------------------

    def _converse(self, command, expected):
        """Clause 7.5, the reader's side: all blocks of a command, all blocks of its answer."""
        is_last = self._room >= len(command)
        length = self._put_part(command, 0)
        kind = self._swap(length, expected if is_last else 0, self._fwt_us)
        if kind == _PART and is_last and not self._chip.rx[0] & _CHAINING:
            self._number ^= 1
            return self._part()
        return self._go_on(kind, command, expected)

    def _go_on(self, kind, command, expected):
        """The same from the card's first block on, whatever `kind` it is."""
        answer = b""
        at = failures = extensions = 0
        is_taking = was_asked = False  # the card sends in parts; our last block was R(NAK)
        while True:
            timeout_us, has_asked = self._fwt_us, False
            is_last = is_taking or at + self._room >= len(command)
            if kind == _PART and is_last:
                self._number ^= 1
                failures = 0
                answer += self._part()
                if not self._chip.rx[0] & _CHAINING:
                    return answer
                is_taking = True
                length = self._put(_R_ACK)
            elif kind == _GO_ON and not is_last:
                self._number ^= 1
                failures = 0
                at += self._room
                is_last = at + self._room >= len(command)
                length = self._put_part(command, at)
            elif kind == _NOT_HEARD and was_asked:
                length = self._put_part(command, at)
            elif kind == _MORE_TIME and extensions < _EXTENSIONS_MAX:
                extensions += 1
                timeout_us, length = self._grant()
            else:
                failures += 1
                if failures > _RETRIES_MAX:
                    raise CardGone("no understandable block")
                has_asked = not is_taking
                length = self._put(_R_ACK if is_taking else _R_NAK)
            kind = self._swap(length, expected - len(answer) if is_last else 0, timeout_us)
            was_asked = has_asked

    def _swap(self, length, expected, timeout_us):
        """Send tx[:length] and tell what the block that comes back means; CardGone at a limit."""
        chip = self._chip
        timeout_us += _DELTA_FWT_US
        if self._frames or self._until_us:  # the first one has all the time, if nobody waits
            left_us = self._deadline_us - chip.ticks_us()
            if left_us <= 0 or self._frames >= _FRAMES_MAX:
                raise CardGone("no end of the exchange")
            timeout_us = min(timeout_us, left_us)
        self._frames += 1
        awaited = expected + 1 if expected > 0 else 1
        if awaited > _FRAME_BYTES_MAX - 2:
            awaited = _FRAME_BYTES_MAX - 2
        heard = chip.transceive(length, awaited, timeout_us)
        self._heard = heard
        kind = self._kind(chip.rx, heard) if heard > 0 and not chip.errors else _DAMAGED
        if kind == _DAMAGED:
            self._note_damage(heard)
        return kind

    def _kind(self, rx, heard):
        """What an answer of so many bits means, which the chip has no complaint about."""
        header = rx[0]
        is_ours = header & 1 == self._number
        if header & _I_MASK == _I_BLOCK and is_ours and not heard & 7:
            return _PART
        if header & _R_MASK == _R_ACK and heard == 8:
            return _GO_ON if is_ours else _NOT_HEARD
        if header == _S_WTX and heard == 16 and 0 < rx[1] & _WTXM_MASK <= _WTXM_MAX:
            return _MORE_TIME
        return _DAMAGED

    def _part(self):
        return bytes(self._chip.rx[1 : self._heard >> 3])

    def _put_part(self, command, at):
        header, end = _I_BLOCK | self._number, at + self._room
        if at or end < len(command):
            if end < len(command):
                header |= _CHAINING
            command = command[at:end]
        length = 1 + len(command)
        tx = self._chip.tx
        tx[0] = header
        tx[1:length] = command
        return length

    def _put(self, header):
        self._chip.tx[0] = header | self._number
        return 1

    def _grant(self):
        """Put the answer to the card's S(WTX); (its new waiting time, length of the block).

        The standard's limit, the longest FWT, is that of the whole exchange here.
        """
        multiplier = self._chip.rx[1] & _WTXM_MASK
        self._chip.tx[0] = _S_WTX
        self._chip.tx[1] = multiplier
        return self._fwt_us * multiplier, 2

    def _is_whole(self, heard):
        return heard > 0 and not heard & 7 and not self._chip.errors

    def _note_damage(self, heard):
        if heard != SILENCE:
            self._pcd.garbled += 1
