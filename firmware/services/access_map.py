"""Who may open this door, as the ledger says it: an access map on flash, beside the card map.

It is kept as a card map is (card_map.py): a warrant under a key of its own, pages, two banks, and
one kept value that a cut leaves old or new; nothing older counts. It has no changes: what is
new is a whole map, of which a tap reads one byte. docs/adr/0026-access-maps.md.
"""

from firmware.services.card_map import CardMap
from protocols.rules import access
from protocols.wire import seal

_KEPT_KEY = 4  # of Recorder.keep
# Of the partition "cards": two banks, each of a map and of a sector for changes that never come.
ACCESS_SECTORS = 6
_OFFER_STEPS = 2  # one asks for the page, the next puts it to use


class Part:
    """Sectors of a flash from `first` on, as a flash."""

    def __init__(self, flash, first, sectors):
        self.sector_bytes = flash.sector_bytes
        self.size_bytes = sectors * flash.sector_bytes
        self._flash = flash
        self._first = first
        self._at = first * flash.sector_bytes

    def read(self, address, buffer):
        """Fill `buffer` from `address` on."""
        self._flash.read(self._at + address, buffer)

    def program(self, address, data):
        """Clear the bits that are 0 in `data`."""
        self._flash.program(self._at + address, data)

    def erase(self, sector):
        """Set every bit of a sector."""
        self._flash.erase(self._first + sector)


class CardsPart:
    """What a CardMap needs of a door's board: what the access map leaves of the partition."""

    def __init__(self, board):
        self.settings, flash = board.settings, board.card_flash
        sectors = flash.size_bytes // flash.sector_bytes - ACCESS_SECTORS if flash else 0
        self.card_flash = Part(flash, ACCESS_SECTORS, sectors) if flash else None


class AccessMap:
    """The access map of a door: board, recorder and uplink of a card map that keeps it.

    What `uplink` brings of the card map goes on to whoever has listened before.
    """

    def __init__(self, board, recorder, uplink):
        self._board = board
        self._recorder = recorder
        self._uplink = uplink
        self._cards = uplink.on_cards
        flash = board.card_flash
        self.card_flash = Part(flash, 0, ACCESS_SECTORS) if flash else None
        key = seal.derive(board.settings["device_key"], access.LABEL)
        self.settings = {"device_key": key}
        self.counters = uplink.counters
        self.on_cards = None
        self._map = CardMap(self, self, self)
        self._told = self._offered = None
        if flash:
            uplink.on_cards = self.hear

    @property
    def online(self):
        """As the uplink's; and while a map is at hand."""
        return self._offered is not None or self._uplink.online

    def step(self, now_ms):
        """Ask for what is missing; when to call again. When idle only: it may erase."""
        return self._map.step(now_ms)

    def hear(self, said, now_ms):
        """Take a CARDS of the agent, of either map; see CardMap.hear."""
        page = said["page"] - access.PAGES_AT
        if page < 0:
            return self._cards(said, now_ms)
        said["page"] = page
        word = self._map.hear(said, now_ms)
        if not page and not word:
            # A newer one: of what is under way the agent may have no more pages.
            self._map.drop_wanted()
            self._map.hear(said, now_ms)
        return word

    def offer(self, warrant, data, now_ms):
        """Take a map of one page that is at hand, with its warrant, as one that an agent tells of.

        It is in use then, if it is newer. Erases.
        """
        if self.card_flash and not self.hear(
            {"epoch": 0, "page": access.PAGES_AT, "data": warrant}, now_ms
        ):
            self._offered = data
            for _ in range(_OFFER_STEPS):
                self._map.step(now_ms)
            self._offered = None

    def held(self):
        """(epoch, when the ledger called it the newest) of the map in use; (0, 0) without one."""
        place = self._map.map_in_use()
        return (place[2], self._map.made_s()) if place else (0, 0)

    def is_new(self):
        """Whether there is another map than `rights` has told of."""
        return self._map.map_in_use() != self._told

    def rights(self):
        """The access.Access of the newest map, or of what was stored when the door was set up.

        WireError where that is nothing one can read.
        """
        place = self._told = self._map.map_in_use()
        if place is None:
            return access.whole(self._board.access)
        self._board.access = b""  # a copy would be another four kilobytes
        start, flash = place[0], self.card_flash

        def read(at, count):
            buffer = bytearray(count)
            flash.read(start + at, buffer)
            return bytes(buffer)

        return access.Access(read, place[1])

    # -- what its card map asks of recorder and uplink ------------------------------------------

    def kept(self, _key):
        """Where it stands."""
        return self._recorder.kept(_KEPT_KEY)

    def keep(self, _key, data):
        """Keep where it stands."""
        self._recorder.keep(_KEPT_KEY, data)

    def say(self, message_type, fields):
        """Ask the agent, or look into what is at hand."""
        if self._offered is not None:
            return self._map.hear({"epoch": fields["epoch"], "page": 1, "data": self._offered}, 0)
        fields["page"] += access.PAGES_AT
        return self._uplink.say(message_type, fields)
