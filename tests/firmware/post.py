"""The way of a letter: the books, an agent's disk, a door, a card in somebody's hand, a lock.

All of them real; only the wires are left out, so what one says is handed to the next here.
"""

from edge_agent.card_history import CardHistory
from edge_agent.doors import DoorSide
from edge_agent.letters import LetterSide
from firmware.services.journal import Journal
from ledger.access_news import ASK_MS_MIN, AccessNews
from ledger.letters import Letters
from ledger.receipts import Signer
from ledger.store import LedgerStore
from protocols.rules import access
from protocols.rules import door as door_rules
from protocols.wire import access_news, letter_news, messages, seal
from simulator.host.card_port import front_end
from simulator.host.home import HostHome
from tests.firmware import entrance, lodge
from tests.firmware.counter import CARD_NO, DEVICE_KEY, NOON_S, SITE
from tests.firmware.entrance import ALWAYS, Entrance
from tests.firmware.lodge import Lodge

DOOR, LOCK = entrance.DEVICE, lodge.DEVICE
WARDEN = "Wang Fang"
CARD_SECTORS = 16
_PATIENCE = 20


class Line:
    """The door's uplink, for as long as there is a network."""

    online = True

    def __init__(self):
        self.counters = {"sessions": 1}
        self.asked = []

    def say(self, message_type, fields):
        data = messages.encode_message(message_type, {**fields, "device": DOOR})
        self.asked.append(messages.decode_message(data, (messages.CARDS,)))
        return True


class Post:
    """One campus with one door and one lock; the lock knows nobody but by letters.

    `front_end` of both: at card depth; None: at that of registers.
    """

    def __init__(self, seed=0, front_end=front_end):
        self.now_s, self._now_ms = NOON_S, 0
        self.store = store = LedgerStore.open(":memory:")
        store.register_merchant(1, "nobody")
        for device in (DOOR, LOCK):
            store.register_device(device, DEVICE_KEY, 1, SITE)
        store.issue_cards([(CARD_NO + n, 0) for n in range(10)])
        store.access.add_door(LOCK, "dorm", 3000, 0, is_lock=True)
        store.access.appoint("appoint", SITE, "dorm", WARDEN, NOON_S)
        signer, clock = Signer(bytes(32)), lambda: self.now_s
        self._news = AccessNews(store.access, signer, clock)
        self._letters = Letters(store.lock_mail, store.access, store.cards, signer, clock)
        self._history = CardHistory(":memory:")
        self._doors = DoorSide(self._history, self._tell, lambda _name: None)
        self._mail = LetterSide(self._history, self._tell, lambda _name: None)
        self.door = Entrance(seed, card_sectors=CARD_SECTORS, boot=False)
        if front_end:
            self.door.front_end = front_end
        self.door.boot()
        self.door.secured()
        self.lodge = Lodge(
            seed, card_sectors=CARD_SECTORS, home=lambda each: HostHome("lock", each, front_end)
        )
        # Everybody may enter the building.
        may = access.encode([(CARD_NO, (1,) * 10)], [ALWAYS], (), 5000, 0)
        self.door.device._access = access.whole(may)
        self.line = Line()
        self._told = []
        self.plug()

    # -- the books and the agent ----------------------------------------------------------------

    def grant(self, card_no=CARD_NO, group=1):
        self.now_s += 1
        return self.store.access.grant(LOCK, card_no, 1, group, WARDEN, self.now_s)

    def inform(self):
        """The agent asks the ledger and keeps what it is told."""
        self.now_s += 1
        self._now_ms += ASK_MS_MIN
        for data in self._news.hear(SITE, access_news.encode_ask(()), self._now_ms):
            self._doors.keep(seal.sign1_split(data)[0])
        for data in self._letters.news(SITE):
            payload = seal.sign1_split(data)[0]
            letter_news.decode(payload)
            self._mail.keep(payload)

    def _tell(self, device, epoch, page, data):
        self._told.append({"device": device, "epoch": epoch, "page": page, "data": data})

    def book(self):
        """Everything in the door's journal reaches the ledger."""
        recorder = self.door.device._recorder
        records = [recorder._journal.record(n) for n in range(1, recorder.head_seq() + 1)]
        self.store.book([records])

    def booked(self):
        """The sequences of the lock's booked records."""
        sql = "SELECT seq FROM record WHERE device = ? ORDER BY seq"
        return [seq for (seq,) in self.store.database.rows(sql, (LOCK,))]

    # -- the door -------------------------------------------------------------------------------

    def plug(self):
        """The door has a network."""
        self.door.device._carrier._uplink = self.line
        self.door.each_ms = self._answer

    def unplug(self):
        self.door.each_ms = None
        self.line.asked = []

    def settle(self):
        """What the ledger has is told to the agent."""
        self.book()
        self.inform()

    def _answer(self, door):
        while self.line.asked:
            asked = self.line.asked.pop(0)
            self._mail.asked(DOOR, asked["epoch"])
            while self._told:
                said = self._told.pop(0)
                if said["device"] == DOOR:
                    door.device._uplink.on_cards(said, door.ticks_us() // 1000)

    def enter(self, card, hold_ms=1200):
        """Somebody enters the building."""
        self._told.clear()
        self.door.tap(card, hold_ms)
        self.door.run_ms(300)
        if self.door.lock.push():
            self.door.run_ms(300)
            self.door.lock.shut()
        for _ in range(_PATIENCE):
            self.door.run_ms(500)
            if self.door.state == door_rules.SECURED:
                return
        raise AssertionError("the door is not secured")

    def carried(self):
        """The letters of locks that the door has taken."""
        return self.door.records(messages.MAIL)

    # -- the lock -------------------------------------------------------------------------------

    def open(self, card, hold_ms=1200):
        """Somebody touches the lock and holds a card there; whether it opens."""
        is_open = self.lodge.tap(card, hold_ms)
        self.lodge.until_asleep()
        return is_open

    def receipted(self):
        """How far the lock's journal is booked, by its flash."""
        journal = Journal(self.lodge.flash)
        journal.recover()
        return journal.receipted

    def held(self):
        """(epoch, made_s) of the access map that the lock has in use."""
        if self.lodge.device is None:
            self.lodge.touch()
        held = self.lodge.device._access_map.held()
        self.lodge.until_asleep()
        return held
