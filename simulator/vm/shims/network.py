"""`network` of the ESP32 port: one link, whichever of the two it is."""

from bridge import call, post
from micropython import const

_LINK_UP = const(15)
_RADIO = const(42)

PHY_LAN8720 = 1


class LAN:
    def __init__(
        self, id=None, *, phy_addr, phy_type, mdc=None, mdio=None, power=None, ref_clk=None
    ):
        self._active = False

    def active(self, on):
        self._active = bool(on)

    def isconnected(self):
        return self._active and call(_LINK_UP) == 1


class WLAN(LAN):
    IF_STA = 0
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2

    def __init__(self, id=0):
        self._active = False

    def active(self, on):
        if not on and self._active:
            post(_RADIO, 0)
        self._active = bool(on)

    def config(self, *, pm):
        if not self._active:
            raise OSError("Wifi Not Started")
        post(_RADIO, 1 if pm == self.PM_POWERSAVE else 2)

    def connect(self, ssid=None, key=None):
        if not self._active:
            raise OSError("Wifi Not Started")
