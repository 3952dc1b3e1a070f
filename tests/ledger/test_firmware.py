"""Firmware in the books: only what enough keys have signed, to a share that only grows."""

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.card_history import CardHistory
from edge_agent.firmware import FirmwareSide
from ledger.firmware_news import FirmwareNews
from ledger.receipts import Signer
from ledger.release_file import BadRelease, Release, decode
from protocols.rules import release as rules
from protocols.wire import firmware_news, seal
from protocols.wire.errors import WireError
from protocols.wire.seal import sign1_split
from tests.ledger.readers import CANTEEN, Reader, open_ledger

NOW_S = 1_790_000_000
IMAGE = bytes(range(256)) * 150  # three pages between ledger and agent
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3)]
PUBLIC = [key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in KEYS]
SITE = "campus"


def a_release(*keys, image=IMAGE, version=2, name="main", after=1):
    release = Release(name, version, after, image)
    for key in keys:
        release = release.signed(key)
    return release


@pytest.fixture
def books():
    store = open_ledger(*[Reader(device) for device in range(1001, 1041)])
    yield store
    store.close()


def put(store, release=None, percent=100, needed=2, **told):
    release = release or a_release(*KEYS[:2])
    return store.firmware.set_stage(release, PUBLIC, needed, percent, "wang", NOW_S, **told)


def test_a_release_is_what_its_file_says():
    release = a_release(KEYS[0])
    data = release.encoded()
    assert decode(data) == release and release.signers(PUBLIC) == 1
    for at in range(0, len(data), 97):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            found = decode(bytes(changed))
        except BadRelease:
            continue
        assert found.signers(PUBLIC) == 0
    with pytest.raises(BadRelease):
        decode(data + b"\x00")
    with pytest.raises(BadRelease):
        decode(b"")


def test_enough_of_the_keys_have_to_have_signed(books):
    stranger = Ed25519PrivateKey.generate()
    for keys in ((), (KEYS[0],), (KEYS[0], KEYS[0]), (KEYS[0], stranger)):
        with pytest.raises(BadRelease, match="have to"):
            put(books, a_release(*keys))
    assert books.firmware.stages() == []
    # A signature of another release is none of this one.
    other = a_release(KEYS[0], KEYS[1], image=b"other").signatures
    with pytest.raises(BadRelease, match="have to"):
        put(books, Release("main", 2, 1, IMAGE, other))
    assert put(books) == 1


def test_what_cannot_be_changes_nothing(books):
    for wrong in ({"site": "No Site"}, {"percent": 101}, {"percent": -1}):
        with pytest.raises(BadRelease):
            put(books, **wrong)
    put(books)
    with pytest.raises(BadRelease, match="another such"):
        put(books, a_release(*KEYS[:2], image=b"x"))
    with pytest.raises(BadRelease, match="another such"):
        put(books, a_release(*KEYS[:2], version=3))
    assert len(books.firmware.stages()) == 1


def test_from_which_version_on_is_not_changed_in_silence(books):
    put(books, a_release(*KEYS[:2], version=3, after=2), percent=0)
    with pytest.raises(BadRelease, match="main 3 after 1: there is another such"):
        put(books, a_release(*KEYS[:2], version=3, after=1))
    assert [stage.after for stage in books.firmware.stages()] == [2]


def test_shares_only_grow_and_the_next_version_begins_with_others(books):
    shares = {}
    for percent in (1, 5, 50, 100):
        put(books, percent=percent)
        (stage,) = books.firmware.current()
        shares[percent] = [device for device, _, _ in books.firmware.chosen(stage)]
    assert [len(found) for found in shares.values()] == [1, 2, 20, 40]
    assert shares[1] == shares[5][:1] and shares[5] == shares[50][:2]
    put(books, a_release(*KEYS[:2], version=3, image=b"v3"), percent=5)
    (stage,) = books.firmware.current()
    assert [device for device, _, _ in books.firmware.chosen(stage)] != shares[5]
    put(books, a_release(*KEYS[:2], version=3, image=b"v3"), percent=0)
    assert books.firmware.current() == []


def given(store):
    """(version, how many readers of SITE, how many of "north") of each stage that counts."""
    found = []
    for stage in store.firmware.current():
        sites = [site for _, site, _ in store.firmware.chosen(stage)]
        found.append((stage.version, sites.count(SITE), sites.count("north")))
    return found


def test_a_stage_for_one_site_ends_no_other(books):
    north = [(device, bytes(32), CANTEEN, "north") for device in range(2001, 2011)]
    books.register_devices(north)
    version_3 = a_release(*KEYS[:2], version=3, image=b"v3")
    put(books, percent=50, site=SITE)
    put(books, percent=20, site="north")
    assert given(books) == [(2, 20, 0), (2, 0, 2)]
    put(books, percent=0, site=SITE)
    assert given(books) == [(2, 0, 2)]
    # One for all sites ends those, and a site's own since then comes before it.
    put(books, percent=100)
    assert given(books) == [(2, 40, 10)]
    put(books, version_3, percent=50, site="north")
    assert given(books) == [(2, 40, 0), (3, 0, 5)]
    put(books, version_3, percent=0, site="north")
    assert given(books) == [(2, 40, 0)]
    put(books, percent=0)
    assert given(books) == []


def test_doors_get_none(books):
    books.access.add_door(1001, "dorm", 5000, 0)
    put(books)
    (stage,) = books.firmware.current()
    assert 1001 not in [device for device, _, _ in books.firmware.chosen(stage)]


class Building:
    """An agent's side at a ledger's news, and what its readers were told."""

    def __init__(self, store, history=None):
        self.now_s, self.now_ms = NOW_S, 0
        self.news = FirmwareNews(store.firmware, Signer(bytes(32)), lambda: self.now_s)
        self.told, self.counts, self.waiting = [], [], []
        self.spoil = lambda payload: payload
        self.history = history or CardHistory(":memory:")
        self.side = FirmwareSide(
            self.history,
            lambda *said: self.told.append(said),
            self.waiting.append,
            self.counts.append,
        )

    def ask(self, most=100):
        """What the agent does every few minutes; `most` answers arrive."""
        self.now_ms += 300_000
        self.waiting.append(self.side.question())
        while self.waiting and most:
            for data in self.news.hear(SITE, self.waiting.pop(0), self.now_ms):
                most -= 1
                self.side.keep(self.spoil(sign1_split(data)[0]))
        self.waiting.clear()

    def image(self, device, digest):
        """What a reader gets that asks for every page."""
        found, page = b"", rules.PAGE
        while True:
            self.told.clear()
            page += 1
            self.side.asked(device, page, digest[: rules.NAME_BYTES])
            if not self.told:
                return found
            found += self.told[0][3]


def test_an_agent_fetches_it_and_tells_its_readers(books):
    put(books, percent=5)
    (stage,) = books.firmware.current()
    building = Building(books)
    building.ask()
    chosen = {device: key for device, _, key in books.firmware.chosen(stage)}
    assert {said[0] for said in building.told} == set(chosen)
    for device, version, page, sealed in building.told:
        key = seal.derive(chosen[device], rules.LABEL)
        body = struct.unpack(rules.WARRANT, seal.unseal(key, sealed, rules.LABEL))
        assert (version, page, len(sealed)) == (2, rules.PAGE, rules.WARRANT_BYTES)
        assert body[: rules.DIGEST + 1] == (2, stage.program, 1, len(IMAGE), stage.digest)
    device = next(iter(chosen))
    assert building.image(device, stage.digest) == IMAGE
    # Nobody else is served, and nothing else.
    other = next(number for number in range(1001, 1041) if number not in chosen)
    assert building.image(other, stage.digest) == b""
    assert building.image(device, bytes(32)) == b""
    # Another word only on another day: readers keep it on flash.
    building.told.clear()
    building.ask()
    first = list(building.told)
    building.told.clear()
    building.ask()
    assert building.told == first
    building.now_s += 86_400
    building.told.clear()
    building.ask()
    assert {said[0] for said in building.told} == set(chosen) and building.told != first


def test_a_restarted_agent_goes_on_where_it_was(books, tmp_path):
    put(books)
    path = str(tmp_path / "cards.sqlite")
    history = CardHistory(path)
    Building(books, history).ask(most=2)
    (stage,) = books.firmware.current()
    assert history.image_pages(stage.digest) == 1
    history.close()
    again = Building(books, CardHistory(path))
    again.ask()
    assert len(again.told) == 40
    assert again.news.counters["pages"] == 2
    assert again.image(1001, stage.digest) == IMAGE


def test_a_restarted_agent_has_all_of_its_images(books, tmp_path):
    """The first word behind a restart is about one of them, and is no word about the others."""
    put(books)
    put(books, a_release(*KEYS[:2], name="main_tls", image=b"tls" * 9_000))
    path = str(tmp_path / "cards.sqlite")
    history = CardHistory(path)
    Building(books, history).ask()
    history.close()
    again = Building(books, CardHistory(path))
    again.ask()
    assert again.news.counters["pages"] == 0
    for stage in books.firmware.current():
        assert again.history.image(stage.digest)
    # What nobody is told of any more goes with the next one that is new.
    (main,) = [stage.digest for stage in books.firmware.current() if stage.name == "main"]
    put(books, percent=0)
    put(books, a_release(*KEYS[:2], name="main_tls", image=b"lts" * 9_000, version=3))
    again.ask()
    again.ask()
    put(books, a_release(*KEYS[:2], name="main_tls", image=b"stl" * 9_000, version=4))
    again.ask()
    assert again.history.image_pages(main) == 0


def test_what_is_not_the_image_is_told_to_nobody(books):
    put(books)
    building = Building(books)

    def spoil(payload):
        values = firmware_news.decode(payload)
        if len(values) == 3 and values[1] == 1:
            return firmware_news.encode_page(values[0], 1, values[2][::-1])
        return payload

    building.spoil = spoil
    building.ask()
    assert building.told == [] and "firmware_wrong" in building.counts
    building.spoil = lambda payload: payload
    building.ask()
    assert len(building.told) == 40


def test_a_halt_reaches_an_agent(books):
    put(books)
    (stage,) = books.firmware.current()
    building = Building(books)
    building.ask()
    assert building.image(1001, stage.digest) == IMAGE
    put(books, percent=0)
    building.ask()
    assert building.image(1001, stage.digest) == b""
    assert building.history.image_pages(stage.digest) == 0


def test_of_two_programs_one_may_be_halted(books):
    put(books)
    put(books, a_release(*KEYS[:2], name="main_tls", image=b"tls" * 9_000))
    building = Building(books)
    building.ask()
    assert len(building.told) == 80
    tls = books.firmware.current()[1].digest
    assert building.image(1001, tls) == b"tls" * 9_000
    put(books, a_release(*KEYS[:2], name="main_tls", image=b"tls" * 9_000), percent=0)
    building.ask()
    building.ask()
    assert building.image(1001, tls) == b""
    assert len(building.image(1001, books.firmware.current()[0].digest)) == len(IMAGE)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xa1\x00\x41\x00", b"\xa2\x00\x40\x01\x00", b"\xa0\x00", b"\xbf\xff", b"\xa1\x05\x00"],
)
def test_no_question(books, payload):
    with pytest.raises(WireError):
        Building(books).news.hear(SITE, payload, 0)


@pytest.mark.parametrize(
    "values",
    [
        [2, 5, bytes(32)],
        [bytes(32), 0, bytes(16385)],
        [0, 5, bytes(32), []],
        [2, 0, bytes(32), []],
        [2, 5, bytes(31), []],
        [2, 5, bytes(32), [[0, b"x"]]],
        [2, 5, bytes(32), [[1, b""]]],
        [1],
        {},
    ],
)
def test_no_news(values):
    from protocols.wire import cbor

    with pytest.raises(WireError):
        firmware_news.decode(cbor.encode(values))
