"""`onecard drill`: a simulated site, a real one's books, an agent that is watched, the sheet."""

import json
import re
import shutil
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from ledger.store import LedgerStore
from tools.cli import app
from tools.drill import making, sheet, simulated, watch
from tools.drill.order import Readers, Times

SEED = 80
# What power.toml says, on 2026-11-21.
BEGUN, ENDED = "2026-11-21T14:00", "2026-11-21T16:05"


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    """A site whose mains were off: (folder, what the command said)."""
    folder = tmp_path_factory.mktemp("dark")
    done = CliRunner().invoke(app, ["drill", "power", "canteen-9", "--out", str(folder)])
    print(f"replay: onecard drill power canteen-9 --seed {SEED}")
    return folder, done


def books(folder):
    return folder / "power-kept" / "ledger.sqlite"


def command(*words):
    return CliRunner().invoke(app, ["drill", *map(str, words)])


def test_a_power_drill_of_a_simulated_site(dark):
    folder, done = dark
    assert done.exit_code == 0, done.output
    assert "通知：canteen-9 即将进行停电演练" in done.stdout
    held_s = [
        int(found) for found in re.findall(r"R23.1a PASSED \(on_battery_s (\d+)", done.stdout)
    ]
    assert len(held_s) == 2 and min(held_s) >= 7200
    assert "door: R23.2 PASSED" in done.stdout and "lock: R23.3a PASSED" in done.stdout
    page = (folder / "drill-power-1.html").read_text(encoding="utf-8")
    with closing(LedgerStore.open(str(books(folder)))) as store:
        (one,) = store.merchants.drills.filed()
    assert one.evidence in page and one.evidence in done.stdout
    assert "模拟站点" in page and "power drill at canteen-9, simulated: passed" in done.stdout
    assert "电池供电至少 124 分钟" in page and "全部符合" in page and "2026-11-21 16:05:00" in page


def test_given_again_it_is_not_played_again_and_is_the_same_drill(dark, monkeypatch):
    folder, first = dark
    monkeypatch.setattr(simulated, "run_scenario", None)
    again = command("power", "canteen-9", "--out", folder)
    assert (again.exit_code, again.stdout) == (0, first.stdout)


def test_a_run_that_was_cut_off_is_played_anew(tmp_path, monkeypatch):
    class Died(Exception):
        pass

    def dies(file, depth, keep):
        keep.mkdir()
        raise Died

    monkeypatch.setattr(simulated, "run_scenario", dies)
    for _ in range(2):
        with pytest.raises(Died):
            simulated.play("network", "canteen-9", tmp_path, None)
    assert not (tmp_path / "network-kept").exists()


def test_a_network_drill_of_a_simulated_site(tmp_path):
    done = command("network", "canteen-9", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("R24.1 PASSED") == 2
    assert "door: R24.2 PASSED" in done.stdout and "lock: R24.3 PASSED" in done.stdout


def test_the_books_of_a_site_that_is_real(dark, tmp_path):
    """The same books, as those of a school: the window is said, and who leaves out whom."""
    copy = tmp_path / "ledger.sqlite"
    shutil.copy(books(dark[0]), copy)
    words = ["power", "canteen-9", "--books", copy, "--out", tmp_path]
    window = ["--from", BEGUN, "--to", ENDED]
    done = command(*words, *window, "--person", "wang")
    assert (done.exit_code, "filed otherwise" in done.stderr) == (2, True)
    done = command(*words, "--from", "2026-11-21T14:00:01", "--to", ENDED, "--person", "wang")
    assert done.exit_code == 0 and "drill 2 is filed" in done.stdout
    assert "simulated" not in done.stdout
    assert "模拟" not in (tmp_path / "drill-power-2.html").read_text(encoding="utf-8")
    late = ["--from", BEGUN.replace("14", "15"), "--to", "2026-11-21T16:50"]
    done = command(*words, *late, "--person", "wang")
    assert done.exit_code == 2 and "not told yet" in done.stderr and "SILENT" in done.stdout
    listed = command("list", copy)
    assert listed.exit_code == 0 and listed.stdout.count("proven") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "noon", "--to", ENDED], "is no time such as"),
        (["--from", ENDED, "--to", BEGUN], "begun before it has ended"),
        ([], "say --from and --to"),
        (["--from", BEGUN, "--to", ENDED, "--without", "7"], "no reader 7"),
        (["--from", BEGUN, "--to", ENDED, "--person", "Li Wei"], "a word of a-z"),
    ],
)
def test_what_cannot_be_is_said(dark, tmp_path, words, said):
    done = command("power", "canteen-9", "--books", books(dark[0]), "--out", tmp_path, *words)
    assert done.exit_code == 2 and said in done.stderr, done.output
    assert not list(tmp_path.glob("*.html"))


def test_no_site_of_that_name_is_played(tmp_path):
    done = command("power", 'x"\nevil = 1', "--out", tmp_path)
    assert (done.exit_code, "is no name of a site" in done.stderr) == (2, True)


def test_a_drill_that_the_books_do_not_prove_is_named(dark, tmp_path):
    copy = tmp_path / "ledger.sqlite"
    shutil.copy(books(dark[0]), copy)
    with closing(LedgerStore.open(str(copy))) as store:
        for (name,) in list(
            store.database.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ):
            store.database.rows(f"DROP TRIGGER {name}")
        store.database.rows("UPDATE drill SET report = replace(report, '7498', '9999')")
    done = command("list", copy)
    assert (done.exit_code, "THE BOOKS DO NOT PROVE IT" in done.stdout) == (1, True)


def test_a_window_that_was_noted_is_not_taken_for_a_new_one_in_silence(tmp_path):
    """The folder of last month's drill is the default of this month's."""
    watch._write(watch.Folder(tmp_path, "power", "canteen-9"), watch.Noted(0, 3600))

    def window(begun="", ended=""):
        told = []
        times = Times(begun, ended, "http://127.0.0.1:9", 28_800)
        found = making._window("power", "canteen-9", times, tmp_path, told.append, None)
        return found.to_s, told

    to_s, told = window()
    assert to_s == 3600 and "1970-01-01 08:00:00 to 1970-01-01 09:00:00" in told[0]
    assert "another --out" in told[0]
    assert window(BEGUN, ENDED)[1] == []
    for one in ((BEGUN, ""), ("", ENDED)):
        with pytest.raises(watch.NoWindow, match="both"):
            window(*one)


def test_every_word_of_the_rules_has_its_words():
    from ledger import drill_rules

    verdicts = {drill_rules.PASSED, drill_rules.FAILED, drill_rules.SHORT, drill_rules.UNSEEN}
    verdicts |= {drill_rules.NOT_TRIED, drill_rules.NOT_CUT, drill_rules.SILENT}
    assert set(sheet.WORDS) == verdicts
    rules = {rule for judges in drill_rules._JUDGES.values() for rule in judges}
    assert set(sheet.RULES) == rules


# --- watching -----------------------------------------------------------------------------------


class _Agent(BaseHTTPRequestHandler):
    views = ()

    def do_GET(self):
        view = self.views.pop(0) if len(self.views) > 1 else self.views[0]
        self.send_response(200)
        if isinstance(view, bytes):  # its mains are gone in the middle of its words
            self.send_header("Content-Length", str(2 * len(view) + 9))
        self.end_headers()
        self.wfile.write(view if isinstance(view, bytes) else json.dumps(view).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def agent():
    """A server that gives one view after the other: (url, views)."""
    handler = type("Agent", (_Agent,), {"views": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.views
    server.shutdown()
    thread.join()
    server.server_close()


def view(power, seen_s=1000, utc_s=1000):
    reader = {"device": 1001, "last_seen_s": seen_s, "power_source": power, "battery_mv": 4100}
    return {"utc_s": utc_s, "readers": [reader]}


class _Person:
    """Presses Enter at these looks of all."""

    def __init__(self, *at):
        self._at, self._look = at, 0

    def __call__(self, wait_s):
        self._look += 1
        return self._look in self._at


def test_an_agent_is_watched_from_one_key_to_the_next(agent, tmp_path):
    url, views = agent
    views += [view(0), view(1), view(1), view(1, seen_s=900)]
    told, times = [], iter((50.5, 51, 52, 53, 54, 99.9))
    folder = watch.Folder(tmp_path, "power", "canteen-9")
    window = watch.watch(url, folder, told.append, _Person(2, 6), lambda: next(times))
    assert (window.from_s, window.to_s) == (50, 99)
    seen = [line.partition("reader 1001: ")[2] for line in told if "reader 1001" in line]
    assert seen == [
        "on mains, 4100 mV, heard",
        "on battery, 4100 mV, heard",
        "on battery, 4100 mV, not heard",
    ]
    assert (tmp_path / watch.LOG_NAME).read_text().count("\n") == 4
    # It stands there: nobody is asked again.
    assert watch.watch(url, folder, told.append, None, None) == window


def test_an_agent_that_dies_in_the_middle_of_its_words_ends_no_drill(agent, tmp_path):
    url, views = agent
    none = [b'{"utc_s": 10', [], {"readers": 1, "utc_s": 1}, {"readers": [1], "utc_s": 1}]
    none += [{"readers": []}, {"readers": [{"device": "x"}], "utc_s": 1}]
    views += [*none, {"utc_s": 9, "readers": [{"device": 7, "power_source": None}]}]
    told, folder = [], watch.Folder(tmp_path, "power", "canteen-9")
    watch.watch(url, folder, told.append, _Person(1, len(views) + 1), lambda: 50.0)
    lines = [line.partition(" ")[2] for line in told[2:]]
    assert lines == [
        "the agent does not answer",
        "the agent answers",
        "reader 7: supply unknown, not heard",
    ]


def test_whoever_is_cut_off_goes_on_where_they_were(tmp_path):
    """Killed behind the first key: the beginning stays. The agent is gone, as in an outage."""
    folder = watch.Folder(tmp_path, "power", "canteen-9")

    looks = iter((True,))

    def killed(_wait_s):
        if next(looks, None) is None:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        watch.watch("http://127.0.0.1:9", folder, lambda _: None, killed, lambda: 50.0)
    assert watch.noted(tmp_path, "power", "canteen-9") == watch.Noted(50, None)
    told = []
    window = watch.watch("http://127.0.0.1:9", folder, told.append, _Person(1), lambda: 70.0)
    assert (window.from_s, window.to_s) == (50, 70)
    assert any("the agent does not answer" in line for line in told)
    with pytest.raises(watch.NoWindow, match="take another --out"):
        watch.noted(tmp_path, "network", "canteen-9")
    own = {"kind": "power", "site": "canteen-9", "from_s": "noon", "to_s": None}
    for text in ('{"kind"', json.dumps(own)):
        (tmp_path / watch.FILE_NAME).write_text(text)
        with pytest.raises(watch.NoWindow, match="no file of a drill"):
            watch.noted(tmp_path, "power", "canteen-9")


def test_what_was_watched_is_what_is_judged(dark, agent, tmp_path):
    url, views = agent
    views.append(view(1))
    span = {"from_s": 1_795_240_800, "to_s": 1_795_248_300}
    text = {"kind": "power", "site": "canteen-9", **span}
    (tmp_path / watch.FILE_NAME).write_text(json.dumps(text))
    where = Readers(books(dark[0]), "General Affairs", "drill", ())
    times = Times("", "", url, 28_800)
    judged, _file = making.real("power", "canteen-9", where, times, tmp_path, print, None)
    assert judged.evidence in dark[1].stdout
