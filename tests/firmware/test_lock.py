"""A lock on batteries on modelled hardware: people, cells, cold, cuts at any moment (R23.3)."""

import pytest

from protocols.rules import access, cells, lock, reasons
from protocols.wire import messages
from simulator.chips import smart_lock
from simulator.chips.nor_flash import PowerCut
from simulator.host.card_port import front_end
from simulator.host.home import HostHome
from simulator.host.lock_hardware import WAKE_US
from tests.firmware.counter import DEVICE_KEY, worn
from tests.firmware.entrance import ALWAYS
from tests.firmware.lodge import CARD_NO, STRANGER, Lodge, new_card, new_desfire

DECISION_MS = 100  # from a card that can be read to a motor that turns


# -- people ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [new_card, new_desfire])
def test_a_card_opens_it_and_it_locks_and_sleeps(make):
    lodge = Lodge()
    assert lodge.tap(make(CARD_NO))
    lodge.until_asleep()
    assert lodge.bolt.bolt == smart_lock.THROWN
    assert lodge.entries() == [(CARD_NO, reasons.APPROVED)]
    assert lodge.told() == [], "what an ENTRY says is not said twice"
    assert lodge.bolt.strokes == 2


@pytest.mark.parametrize("make", [new_card, new_desfire])
def test_it_decides_within_a_tenth_of_a_second_once_it_is_awake(make):
    """The touch costs the boot; a card that lies there already is looked at once it has booted."""
    lodge, card = Lodge(), make(CARD_NO)
    lodge.hardware.put_card(card)
    begin_us = lodge.clock.now_us
    lodge.bolt.set_input(lock.TOUCHED, True)
    while lodge.bolt.direction != lock.DRAW:
        lodge.run_ms(1)
    # The step goes on with what lies in the card's mailbox.
    took_ms = (lodge.bolt._since_us - begin_us - WAKE_US) // 1000
    print(f"from the boot's end to the motor: {took_ms} ms, the boot {WAKE_US // 1000} ms")
    assert took_ms <= DECISION_MS
    lodge.bolt.set_input(lock.TOUCHED, False)
    assert lodge.run_ms(400).bolt.pull()


def test_a_stranger_and_a_card_of_another_time_stay_out():
    lodge = Lodge()
    assert not lodge.tap(new_card(card_no=STRANGER))
    lodge.until_asleep()
    assert not lodge.tap(new_card(card_no=CARD_NO + 1)), "its hours, by a clock that nobody knows"
    assert lodge.entries() == [(STRANGER, access.NO_ACCESS), (CARD_NO + 1, access.NOT_NOW)]
    assert lodge.bolt.strokes == 0


def test_a_group_with_a_pin_does_not_open_what_has_no_keys():
    """A map that was meant for a door: whoever finds the card has no PIN to give either."""
    lodge = Lodge(boot=False)
    verifier = access.verifier(DEVICE_KEY, 1, b"123456")
    groups = [(CARD_NO, (1, 2))]
    lodge.hardware.nvs["access"] = access.encode(groups, [ALWAYS] * 2, (), 5000, 0, [verifier])
    lodge.boot().until_asleep()
    assert not lodge.tap(new_card(CARD_NO))
    assert lodge.tap(new_card(card_no=CARD_NO + 1))
    told = [(CARD_NO, access.NO_PIN_GIVEN), (CARD_NO + 1, reasons.APPROVED)]
    assert lodge.entries() == told


def test_key_and_inner_handle_are_told_however_short_the_key_is():
    """Warden's key (R23.3b, R24.3): of a wake-up source of its own, so it may be back at once."""
    lodge = Lodge()
    lodge.touch(lock.KEY, hold_ms=20).until_asleep()
    lodge.touch(lock.INSIDE, hold_ms=1200).until_asleep()
    assert [event for event, _ in lodge.told()] == ["key", "inside"]
    assert lodge.bolt.strokes == 0


def test_wrong_tries_are_counted_through_its_sleep():
    """Five in five minutes (GA 374): it sleeps in between, and takes no card for 90 s."""
    lodge = Lodge()
    for _ in range(access.TRIES_MAX):
        assert not lodge.tap(new_card(card_no=STRANGER))
        lodge.until_asleep()
    assert lodge.entries()[-1] == (0, access.LOCKED_OUT)
    assert not lodge.tap(new_card(CARD_NO)), "it is locked out"
    lodge.until_asleep()
    lodge.run_ms(access.LOCKED_OUT_MS)
    assert lodge.tap(new_card(CARD_NO, seed=5))


def test_a_handle_that_sticks_does_not_keep_it_awake():
    """What is pressed for ever wakes it once; the other inputs still do.

    The key has no wake-up source of its own then: it is told if that lasts longer than a boot.
    """
    lodge = Lodge()
    lodge.bolt.stick(lock.TOUCHED, 1)
    lodge.until_asleep()
    before = lodge.pack.drawn
    lodge.run_ms(3_600_000)
    assert (lodge.pack.drawn - before) // (3600 * 10**6) < 100, "microamperes, on average"
    lodge.touch(lock.KEY, WAKE_US // 1000 + 100).until_asleep()
    assert lodge.told() == [("key", "locked")]


def test_a_handle_that_is_let_go_in_its_sleep_is_heard_again():
    """Found by `onecard sim residence` (seed 12): nobody was let in until its timer woke it."""
    lodge = Lodge()
    lodge.touch(hold_ms=30_000)
    assert lodge.until_asleep().tap(new_card(CARD_NO))
    lodge.until_asleep()
    assert lodge.told() == [], "who lets a handle go has turned no key"


@pytest.mark.parametrize(
    ("bit", "event"), [(lock.KEY, "key"), (lock.INSIDE, "inside"), (lock.LINE, "visited")]
)
def test_whatever_was_held_through_its_sleep_is_told_each_time(bit, event):
    lodge = Lodge()
    for hold_ms in (300_000, 1_200):
        lodge.touch(bit, hold_ms).until_asleep()
    assert [name for name, _ in lodge.told()] == [event, event]


def test_of_two_that_are_held_both_are_heard_again():
    lodge = Lodge()
    lodge.bolt.set_input(lock.INTACT, False)
    lodge.touch(hold_ms=30_000).until_asleep()
    lodge.bolt.set_input(lock.INTACT, True)
    lodge.until_asleep()
    lodge.touch(lock.KEY, hold_ms=20).until_asleep()
    assert [event for event, _ in lodge.told()] == ["tamper", "intact", "key"]
    assert lodge.tap(new_card(CARD_NO))


def test_a_card_that_stays_there_does_not_keep_it_awake():
    lodge = Lodge()
    lodge.touch()
    lodge.hardware.put_card(new_card(CARD_NO))
    lodge.until_asleep()
    assert len(lodge.entries()) == 1


def test_an_open_case_is_told_once_through_its_sleeps():
    lodge = Lodge()
    lodge.bolt.set_input(lock.INTACT, False)
    lodge.until_asleep()
    lodge.touch().until_asleep()
    lodge.touch().until_asleep()
    lodge.bolt.set_input(lock.INTACT, True)
    lodge.touch().until_asleep()
    assert lodge.told() == [("tamper", "locked"), ("intact", "locked")]


# -- the bolt -------------------------------------------------------------------------------------


def test_something_in_the_bolts_way_out():
    """It goes back, and the holder hears that it does not open."""
    lodge = Lodge()
    lodge.bolt.blocked_at = 400
    assert not lodge.tap(new_card(CARD_NO))
    lodge.until_asleep()
    assert lodge.bolt.bolt == smart_lock.THROWN
    assert lodge.told() == [("stall", "throwing")]


def test_a_door_that_is_held_is_locked_as_soon_as_it_is_let_go():
    """Something stands in the bolt's way back: it calls, tries again, and at each waking."""
    lodge = Lodge()
    assert lodge.tap(new_card(CARD_NO))
    lodge.bolt.blocked_at = 600
    lodge.until_asleep()
    assert [event for event, _ in lodge.told()][:2] == ["stall", "retry"]
    assert lodge.told()[-1] == ("stall", "jammed")
    lodge.bolt.blocked_at = None
    lodge.touch().until_asleep()
    assert lodge.told()[-1] == ("adrift", "throwing")
    assert lodge.bolt.bolt == smart_lock.THROWN


@pytest.mark.parametrize("bit", [lock.THROWN, lock.DRAWN])
@pytest.mark.parametrize("level", [0, 1])
def test_an_end_contact_that_sticks_never_stalls_the_motor_for_long(bit, level):
    lodge = Lodge()
    lodge.bolt.stuck[bit] = level
    for _ in range(2):
        lodge.tap(new_card(CARD_NO))
        lodge.until_asleep()
        assert lodge.bolt.direction == lock.REST
        assert lodge.bolt.bolt == smart_lock.THROWN


# -- power that is gone ---------------------------------------------------------------------------


def cut_at(lodge, cut_us, card):
    """Somebody comes, the cells are out `cut_us` later, and then in again."""

    def fail():
        raise PowerCut

    lodge.clock.at(lodge.clock.now_us + cut_us, fail)
    lodge.touch()
    lodge.hardware.put_card(card)
    lodge.run_ms(8000)
    if card.in_field:
        lodge.hardware.take_card(card)
    assert not lodge.is_on
    lodge.boot().until_asleep()
    return lodge


@pytest.mark.parametrize("cut_ms", range(480, 1400, 40))
def test_cells_that_are_pulled_out_at_any_moment(cut_ms):
    """In the boot, the card's dialogue, the stroke, the record: it ends locked, and says so."""
    lodge = cut_at(Lodge(), cut_ms * 1000 + 137, new_card(CARD_NO))
    assert lodge.bolt.bolt == smart_lock.THROWN and lodge.bolt.direction == lock.REST
    assert lodge.tap(new_card(CARD_NO, seed=9))
    assert lodge.until_asleep().bolt.bolt == smart_lock.THROWN


@pytest.mark.parametrize("cut_us", range(5_700_000, 6_300_000, 50_000))
def test_or_while_the_bolt_goes_back(cut_us):
    lodge = cut_at(Lodge(), cut_us, new_card(CARD_NO))
    assert lodge.bolt.bolt == smart_lock.THROWN
    assert lodge.records(messages.BOOT)[-1]["cause"] == 1


def test_every_millisecond_of_a_stroke():
    """Wherever the bolt is when power goes, the next life throws it, and tells that it was not."""
    probe = Lodge()
    probe.touch()
    probe.hardware.put_card(new_card(CARD_NO))
    while probe.bolt.direction != lock.DRAW:
        probe.run_ms(1)
    for bolt in range(0, 1001, 20):
        lodge = Lodge(boot=False)
        lodge.bolt.bolt = bolt
        lodge.boot().until_asleep()
        assert lodge.bolt.bolt == smart_lock.THROWN
        assert lodge.told() == ([] if bolt == 0 else [("adrift", "throwing")])


@pytest.mark.parametrize("operation", range(1, 9))
def test_a_cut_in_each_write_of_an_opening(operation):
    lodge = Lodge()
    first = lodge.hardware.flash_operations

    def before(number):
        if number == first + operation:
            lodge.hardware.before_flash = None
            raise PowerCut

    lodge.hardware.before_flash = before
    for _ in range(4):
        lodge.tap(new_card(CARD_NO))
        lodge.run_ms(9000)
        if not lodge.is_on:
            lodge.boot().until_asleep()
    assert lodge.bolt.bolt == smart_lock.THROWN
    lodge.hardware.before_flash = None
    assert lodge.tap(new_card(CARD_NO, seed=9))
    numbers = [each["seq"] for each in lodge.records(*range(1, 21))]
    assert numbers == list(range(1, len(numbers) + 1))


# -- cells ----------------------------------------------------------------------------------------


def openings_until(lodge, grade, card, step_percent):
    """Open it, take some charge out, and again; (openings, charge in permille) at that grade."""
    opened = 0
    while lodge.pack.charge_mah() > 0:
        if lodge.device is None and lodge.is_asleep:
            lodge.tap(card)
        if lodge.device and lodge.device._cells.grade >= grade:
            return opened, lodge.pack.charge_mah() * 1000 // lodge.pack.capacity_mah
        lodge.until_asleep()
        opened += 1
        lodge.pack.spend(lodge.pack.capacity_mah * step_percent * 36_000, 1_000_000)
    raise AssertionError("it has never said so")


@pytest.mark.parametrize("celsius", [20, 0, -20])
def test_it_warns_long_before_it_refuses_and_refuses_with_enough_left(celsius):
    """Weeks from low to empty; and when it is empty it still throws its bolt many times."""
    lodge, card = Lodge(celsius=celsius), new_card(CARD_NO)
    _, low = openings_until(lodge, cells.LOW, card, 2)
    lodge.until_asleep()
    lodge.hardware.panel.beeps.clear()
    assert lodge.tap(card), "low is not empty"
    lodge.run_ms(2000)
    beeps = len(lodge.hardware.panel.beeps)
    assert beeps > 1, "a card that is taken sounds once, and now it is warned"
    lodge.until_asleep()
    _, empty = openings_until(lodge, cells.EMPTY, card, 2)
    lodge.until_asleep()
    print(f"{celsius} C: low at {low} permille, empty at {empty}")
    assert low - empty >= 50
    assert not lodge.tap(card)
    assert lodge.entries()[-1] == (CARD_NO, reasons.BATTERY_EMPTY)
    lodge.until_asleep()
    for _ in range(30):  # whatever puts the bolt out of its place
        lodge.bolt.bolt = smart_lock.DRAWN
        lodge.touch().until_asleep()
        assert lodge.is_on and lodge.bolt.bolt == smart_lock.THROWN
    assert [event for event, _ in lodge.told() if event == "weaker"] == ["weaker"] * 2


def test_a_lock_whose_store_is_worn_opens_and_warns():
    """What is known of the cells is lost with each sleep then, and found again."""
    lodge, card = Lodge(boot=False), new_card(CARD_NO)
    lodge.hardware.nvs_set = worn
    lodge.boot().until_asleep()
    _, low = openings_until(lodge, cells.LOW, card, 2)
    assert low > 0
    lodge.until_asleep()
    assert lodge.tap(card)
    assert lodge.until_asleep().is_on


def test_cells_that_recover_do_not_make_it_waver():
    """Empty stays empty, however long they rest, until other cells are in."""
    lodge = Lodge(percent=40)
    lodge.pack.replace(9)
    lodge.touch().until_asleep()
    assert not lodge.tap(new_card(CARD_NO))
    lodge.until_asleep()
    lodge.pack.replace(16)
    lodge.run_ms(3_600_000)
    assert not lodge.tap(new_card(CARD_NO))
    lodge.until_asleep().die()
    lodge.pack.replace(18)  # the same ones, out and in again
    lodge.boot().until_asleep()
    assert not lodge.tap(new_card(CARD_NO))
    lodge.until_asleep().die()
    lodge.pack.replace(100)
    lodge.boot().until_asleep()
    assert lodge.tap(new_card(CARD_NO))
    assert [event for event, _ in lodge.told()] == ["weaker", "swapped"]


def test_what_was_empty_for_cold_is_not_empty_when_it_is_warm():
    lodge = Lodge(percent=80, celsius=-20)
    lodge.hardware.clock_chip.celsius = -20
    lodge.pack.replace(52)
    lodge.tap(new_card(CARD_NO))  # the motor tells
    lodge.until_asleep()
    assert not lodge.tap(new_card(CARD_NO))
    lodge.until_asleep()
    lodge.pack.celsius = lodge.hardware.clock_chip.celsius = 18
    lodge.touch().until_asleep()
    assert lodge.tap(new_card(CARD_NO))


def test_a_swap_keeps_time_keys_and_events():
    """Ten minutes without cells: its clock goes on by its own, and nothing on flash is lost."""
    lodge = Lodge()
    lodge.touch()
    now_ms = lodge.hardware.ticks_us() // 1000
    time_s = lodge.hardware.world.utc_s(lodge.clock.now_us)
    lodge.device._clock.observe(time_s, now_ms, now_ms)
    lodge.until_asleep()
    lodge.pack.replace(20)
    lodge.touch(lock.KEY).until_asleep().die()
    lodge.run_ms(600_000)
    lodge.pack.replace(100)
    lodge.boot()
    lodge.run_ms(100)
    low_ms, high_ms = lodge.device._clock.interval_ms(lodge.hardware.ticks_us() // 1000)
    truth_ms = lodge.hardware.world.utc_s(lodge.clock.now_us) * 1000
    assert low_ms <= truth_ms + 1000 and truth_ms <= high_ms and high_ms - low_ms < 10_000
    lodge.until_asleep()
    assert [event for event, _ in lodge.told()] == ["key", "weaker", "swapped"]
    assert lodge.tap(new_card(CARD_NO + 1)), "in its hours: the time is known"


def test_a_clock_chip_that_has_stopped_means_no_time_and_is_set_again():
    lodge = Lodge()
    lodge.hardware.clock_chip.stop()
    lodge.touch()
    lodge.run_ms(700)
    device, hardware = lodge.device, lodge.hardware
    low_ms, high_ms = device._clock.interval_ms(hardware.ticks_us() // 1000)
    assert high_ms - low_ms > 10**12
    time_s = hardware.world.utc_s(lodge.clock.now_us)
    now_ms = hardware.ticks_us() // 1000
    device._clock.observe(time_s, now_ms, now_ms)
    lodge.bolt.set_input(lock.LINE, True)
    lodge.run_ms(500)
    assert abs(device._board.utc_s() - time_s) <= 2
    lodge.bolt.set_input(lock.LINE, False)
    lodge.until_asleep()
    lodge.touch()
    lodge.run_ms(700)
    low_ms, high_ms = lodge.device._clock.interval_ms(hardware.ticks_us() // 1000)
    assert high_ms - low_ms < 10_000


def test_without_a_clock_chip_it_still_opens():
    lodge = Lodge()
    lodge.hardware.has_clock_chip = False
    assert lodge.tap(new_card(CARD_NO))
    lodge.until_asleep()


def test_cells_that_break_down_under_the_motor_do_not_boot_for_ever():
    """So weak that each stroke resets the chip: it tries three times, then waits for a hand."""
    lodge = Lodge(celsius=-25, percent=60)
    lodge.bolt.bolt = 500
    lodge.pack.replace(20)
    boots = 0
    lodge.die()
    for _ in range(10):
        lodge.boot()
        boots += 1
        lodge.run_ms(9000)
        if lodge.is_on:
            break
        assert lodge.bolt.direction == lock.REST
    assert lodge.is_asleep and boots <= cells.BREAKDOWNS_MAX
    assert lodge.told()[-1] == ("spent", "jammed")


def test_it_inspects_itself_once_a_day():
    lodge = Lodge()
    lodge.run_ms(2 * 86_400_000 + 3_600_000)
    looks = lodge.records(messages.INSPECTION)
    assert len(looks) == 3
    assert all(look["battery_mv"] > 5000 for look in looks)


# -- what is written, and handed on ---------------------------------------------------------------


def test_a_full_journal_keeps_nobody_out_and_is_told_later():
    """Nobody has fetched its records for long: it opens, and says that it could not write."""
    lodge = Lodge(sectors=4)
    for _ in range(190):
        assert lodge.tap(new_card(CARD_NO))
        lodge.until_asleep()
    written = len(lodge.entries())
    assert 150 < written < 190, "a boot that ends its sleep takes nothing of the journal"
    recorder = lodge.touch(hold_ms=700).device._recorder
    recorder.receipt(recorder.head_seq())
    lodge.until_asleep()
    assert lodge.tap(new_card(CARD_NO))
    newest = lodge.device._recorder
    told = [newest.fields(newest.head_seq() - back) for back in (1, 0)]
    assert (told[0]["kind"], told[0]["last_reason"]) == (messages.FAULT, reasons.JOURNAL_FULL)
    assert told[1]["kind"] == messages.ENTRY


class Mailbox:
    """Stands where what a card carries is read: it sees what it is given, and when."""

    def __init__(self, lodge):
        self._lodge = lodge
        self.visits = []

    def visit(self, card, identity, now_ms):
        lodge = self._lodge
        self.visits.append((bytes(card.uid), identity.card_no, lodge.bolt.direction, now_ms))


def test_a_card_that_was_read_is_handed_on_behind_the_decision():
    """Whoever may enter does not wait for it; whoever may not has it read all the same."""
    lodge = Lodge()
    card, other = new_card(CARD_NO), new_card(card_no=STRANGER, seed=2)
    for held, direction in ((card, lock.DRAW), (other, lock.REST)):
        lodge.touch(hold_ms=700)
        mailbox = lodge.device.mailbox = Mailbox(lodge)
        lodge.hardware.put_card(held)
        lodge.run_ms(500)
        lodge.hardware.take_card(held)
        lodge.until_asleep()
        ((uid, card_no, moved, _),) = mailbox.visits
        assert (uid, moved) == (held.uid, direction)
        assert card_no == (CARD_NO if held is card else STRANGER)


@pytest.mark.parametrize("bit", [lock.THROWN, lock.KEY, lock.INSIDE, lock.INTACT])
def test_an_input_that_chatters_for_two_minutes_is_a_few_records(bit):
    lodge = Lodge(home=lambda each: HostHome("lock", each, front_end))
    lodge.touch()
    for number in range(1200):
        lodge.bolt.stuck[bit] = number % 4 == 0
        lodge.run_ms(100)
    lodge.bolt.stuck.clear()
    lodge.until_asleep()
    print(bit, lodge.told(), lodge.bolt.strokes, "strokes")
    assert len(lodge.told()) <= 6 and lodge.bolt.strokes <= 1
    assert lodge.tap(new_card(CARD_NO)) and lodge.entries() == [(CARD_NO, reasons.APPROVED)]
