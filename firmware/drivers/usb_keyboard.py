"""A USB keyboard that types numbers into the program of a desk (HID 1.11, boot keyboard).

Over `machine.USBDevice`, so on a chip with native USB only; no ESP32 has it, an ESP32-S2 or -S3
does. Rules of this file:
- Enter is the last key: what breaks off before it has entered nothing. What may stand in the field
  then is taken back, with as many Backspaces, before the next number; after a boot that is as long
  as any, for nobody knows what the power has cut;
- digits are those of the keypad, which are the same in every layout, while the host says by its
  LED report that NumLock is on. If it does not, NumLock is pressed and the answer waited for; if
  that goes off while a number is typed, it ends without Enter;
- a host that takes no report is asleep, or gone. Then the keyboard leaves the bus, or what waits
  would be typed whenever the host comes back. The first report is one of no key at all.

Letters are those of a US keyboard: on a French one A types Q.
"""

REPORT_BYTES = 8
TEXT_MAX = 16  # characters of a number, without Enter
ENDPOINT = 0x81
_TAKE_MS = 200  # for a report: a host that is awake polls every 8 ms
_LED_MS = 500  # for the host to say that NumLock is on
_POLL_MS, _RESTING_MS = 8, 60000
_AWAY_MS = 100  # off the bus, for the host to see it
_NUM_LOCK_TRIES = 2  # what was on and not told goes off first
_NUM_LOCK, _CAPS_LOCK, _UNTOLD = 1, 2, -1
_SHIFT = 2
_A, _BACKSPACE, _NUM_LOCK_KEY, _ENTER, _KEYPAD_1, _KEYPAD_0 = 4, 42, 83, 88, 89, 98
# Keyboard: eight modifiers, a byte, five LEDs to be told, six keys of up to 65h.
REPORT_DESCRIPTOR = (
    b"\x05\x01\x09\x06\xa1\x01"
    b"\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\x95\x08\x81\x02"
    b"\x75\x08\x95\x01\x81\x01"
    b"\x05\x08\x19\x01\x29\x05\x75\x01\x95\x05\x91\x02\x75\x03\x95\x01\x91\x01"
    b"\x05\x07\x19\x00\x29\x65\x15\x00\x25\x65\x75\x08\x95\x06\x81\x00\xc0"
)
# One configuration, with a supply of its own; one interface (HID, boot, keyboard), its HID
# descriptor, and one endpoint for interrupts, 8 bytes every 8 ms.
_HID_AT, _HID_END = 18, 27
CONFIGURATION = (
    b"\x09\x02\x22\x00\x01\x01\x00\xc0\x00"
    b"\x09\x04\x00\x00\x01\x03\x01\x01\x00"
    b"\x09\x21\x11\x01\x00\x01\x22" + bytes((len(REPORT_DESCRIPTOR), 0)) + b"\x07\x05"
    b"\x81\x03\x08\x00\x08"
)
# Stages of a control transfer, and requests as type << 8 | number.
_SETUP, _ACK = 1, 3
_GET_DESCRIPTOR, _SET_REPORT = 0x8106, 0x2109
_OTHERS = {
    0x210A: True,  # SET_IDLE
    0x210B: True,  # SET_PROTOCOL: both protocols have the same report
    0xA101: bytes(REPORT_BYTES),  # GET_REPORT
    0xA102: b"\x00",  # GET_IDLE
    0xA103: b"\x01",  # GET_PROTOCOL
}


class UsbKeyboard:
    """`usb` is a machine.USBDevice, whose own drivers are off from now on.

    `told` after `tell`: None while it is being typed, True when Enter was taken, else False.
    """

    def __init__(self, usb):
        self._usb = usb
        self._is_open = False  # the host has configured us
        self._is_sending = False  # a report waits to be taken
        self._report = bytearray(REPORT_BYTES)  # that one
        self._is_down = True  # a key may be; so a report of none comes first
        self._leds = _UNTOLD
        self._told_leds = bytearray(1)
        self._text, self._at = "", 0  # what is typed, and the next key of it
        self._erase = 0  # Backspaces to come
        self._half = TEXT_MAX  # characters that may stand in the field, at most
        self._tries = 0  # of NumLock
        self._until_ms = 0  # for the host's next sign of life
        self._back_ms = 0  # when to come back to the bus; 0: we are on it
        self.told = True
        # Maker and product are MicroPython's; the class is said by the interface.
        device = bytes(usb.BUILTIN_NONE.desc_dev)
        usb.active(False)
        usb.builtin_driver = usb.BUILTIN_NONE
        usb.config(
            device[:4] + bytes(3) + device[7:],
            CONFIGURATION,
            None,
            self._on_open,
            self._on_reset,
            self._on_control,
            self._on_sent,
        )
        usb.active(True)

    def tell(self, text, now_ms):
        """Begin to type `text` (TEXT_MAX of 0-9, A-Z) and Enter; step() goes on with it."""
        self.told = None
        self._text, self._at = text, 0
        self._erase = self._half
        self._is_down = True
        self._tries = 0
        self._until_ms = now_ms + _TAKE_MS

    def step(self, now_ms):
        """The next report, if it is its turn; when to be called again (ms)."""
        if self._back_ms and now_ms >= self._back_ms:
            self._back_ms = 0
            self._usb.active(True)
        if self.told is None:
            if now_ms >= self._until_ms:
                self._give_up(now_ms)
            elif self._is_open and not self._is_sending:
                self._go_on(now_ms)
        if self.told is None:
            return now_ms + _POLL_MS
        return self._back_ms or now_ms + _RESTING_MS

    def _go_on(self, now_ms):
        if self._is_down:
            self._is_down = False
            self._send(0, 0, now_ms)
        elif self._at > len(self._text):
            self._half = 0
            self.told = True
        elif self._leds < 0 or not self._leds & _NUM_LOCK:
            self._switch_num_lock(now_ms)
        elif self._erase:
            self._erase -= 1
            self._press(0, _BACKSPACE, now_ms)
        elif self._at < len(self._text):
            if not self._at:
                self._half = 0
            self._half += 1
            self._press(*self._key(self._text[self._at]), now_ms)
            self._at += 1
        else:
            self._at += 1
            self._press(0, _ENTER, now_ms)

    def _key(self, character):
        """(modifiers, usage) of a character."""
        if character == "0":
            return 0, _KEYPAD_0
        if character < "A":
            return 0, _KEYPAD_1 + ord(character) - ord("1")
        return 0 if self._leds & _CAPS_LOCK else _SHIFT, _A + ord(character) - ord("A")

    def _switch_num_lock(self, now_ms):
        """Press it, once for each time that the host says it is off, and not within a number."""
        is_begun = self._at or self._erase < self._half
        if self._tries and self._leds < 0:
            return  # it has not answered yet
        if is_begun or self._tries == _NUM_LOCK_TRIES:
            self._give_up(now_ms)
        else:
            self._tries += 1
            self._leds = _UNTOLD
            self._press(0, _NUM_LOCK_KEY, now_ms)
            self._until_ms = now_ms + _LED_MS

    def _press(self, modifiers, usage, now_ms):
        self._is_down = True
        self._send(modifiers, usage, now_ms)

    def _send(self, modifiers, usage, now_ms):
        self._report[0], self._report[2] = modifiers, usage
        try:
            self._is_sending = self._usb.submit_xfer(ENDPOINT, self._report)
        except OSError:
            pass  # one that the host has never taken is still there
        if self._is_sending:
            self._until_ms = max(self._until_ms, now_ms + _TAKE_MS)
        else:
            self._give_up(now_ms)

    def _give_up(self, now_ms):
        self.told = False
        if self._is_sending:
            self._usb.active(False)
            self._on_reset()
            self._back_ms = now_ms + _AWAY_MS

    # -- what the host does; the port calls these between two steps -----------------------------

    def _on_open(self, _descriptor):
        self._is_open = True

    def _on_reset(self):
        """Whatever was under way is over, and the host knows of no key that is down."""
        self._is_open = self._is_sending = False
        self._leds = _UNTOLD
        if self.told is None and self._at:
            self.told = False

    def _on_sent(self, _endpoint, error, _size):
        self._is_sending = False
        if error and self.told is None:
            self.told = False

    def _on_control(self, stage, request):
        """What to answer: True, False (no), or bytes to be sent or filled."""
        asked = request[0] << 8 | request[1]
        if stage != _SETUP:
            if stage == _ACK and asked == _SET_REPORT:
                self._leds = self._told_leds[0]
            return True
        if asked == _SET_REPORT:
            return self._told_leds
        if asked == _GET_DESCRIPTOR:
            descriptors = {0x21: CONFIGURATION[_HID_AT:_HID_END], 0x22: REPORT_DESCRIPTOR}
            return descriptors.get(request[3], False)
        return _OTHERS.get(asked, False)
