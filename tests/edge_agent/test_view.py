"""What people see of the agent: true, on this machine only, and nothing personal in it."""

import io
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from edge_agent import decisions
from edge_agent.config import Broker, Config
from edge_agent.diagnosis import diagnose
from edge_agent.page import STALE_MS, Page
from edge_agent.rate import BURST
from edge_agent.space import Space
from edge_agent.view import Filling
from edge_agent.viewer import LOOK_MS, Viewer
from protocols.wire import messages, seal
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger, batch, key_of
from tools.agent_top import NothingToSee, drawn, status

A, B = 1001, 1002
UTC_S = 1_700_000_000
NOWHERE = Broker("127.0.0.1", 1)
MONITORING = Path(__file__).parents[2] / "edge_agent" / "monitoring"
HOUR_MS = 3_600_000


def _record(kind, seq=1, **fields):
    head = {
        "kind": kind,
        "device": A,
        "seq": seq,
        "earliest_s": UTC_S,
        "latest_s": UTC_S + 2,
        "boot_id": 7,
        "mono_ms": 5,
    }
    return seal.seal(key_of(A), messages.encode_record(head | fields), seal.CHAIN_START)


INSPECTED = {
    "network": 1,
    "waiting": 3,
    "battery_mv": 3_900,
    "clock_width_s": 2,
    "reader_faults": 0,
    "free_sectors": 40,
    "map_made_s": UTC_S - 60,
}


def test_what_a_reader_says_of_itself():
    assert diagnose(_record(messages.POWER, source=1, battery_mv=3_700), UTC_S) == {
        "power_source": 1,
        "battery_mv": 3_700,
        "clock_ahead_s": 0,
    }
    said = diagnose(_record(messages.INSPECTION, **INSPECTED), UTC_S - 90)
    assert said["inspected_s"] == UTC_S
    assert (said["waiting"], said["map_made_s"], said["clock_ahead_s"]) == (3, UTC_S - 60, 90)
    # Its own of the day says the same, and that nobody has inspected it.
    by_itself = diagnose(_record(messages.INSPECTION, **INSPECTED, by_clock=1), UTC_S - 90)
    assert by_itself == {key: said[key] for key in said if key != "inspected_s"}
    said = diagnose(_record(messages.FAULT, network=0, last_reason=241), UTC_S + 1)
    assert said == {"fault_reason": 241, "fault_s": UTC_S, "clock_ahead_s": 0}
    said = diagnose(_record(messages.BOOT, cause=1, firmware=7, policy_epoch=2), UTC_S)
    assert (said["boot_cause"], said["boot_s"], said["policy_epoch"]) == (1, UTC_S, 2)
    # Another policy, and no boot.
    said = diagnose(
        _record(messages.BOOT, cause=messages.NO_BOOT, firmware=7, policy_epoch=3), UTC_S
    )
    assert said == {"firmware": 7, "policy_epoch": 3, "clock_ahead_s": 0}


def test_no_record_with_a_card_in_it_is_opened():
    refusal = _record(messages.REFUSAL, card_no=40_001, amount_fen=300, reason=211)
    assert diagnose(refusal, UTC_S) == {}


def test_whatever_bytes_come_it_says_nothing_or_something_true():
    sealed = _record(messages.POWER, source=1, battery_mv=3_700)
    for at in range(len(sealed)):
        spoiled = bytearray(sealed)
        spoiled[at] ^= 0x41
        assert isinstance(diagnose(bytes(spoiled), UTC_S), dict)
        assert isinstance(diagnose(sealed[:at], UTC_S), dict)


def test_hours_left_at_the_rate_of_the_last_hour():
    filling, space = Filling(), Space(1_000_000_000, lambda: 1 << 40)
    found = []
    for minute in range(180):
        space.measure(1_000_000 * min(minute, 120))
        found.append(filling.hours_left(space, minute * 60_000))
    assert found[0] is None
    assert found[60] == (1_000_000_000 - 60_000_000) // 60_000_000
    assert found[-1] is None or found[-1] > found[60]  # it has stood still for an hour


class _Link:
    connected, last_error = False, "<b>no route</b>"


@pytest.fixture
def page():
    clock = [0]
    page = Page(0, lambda: clock[0])
    page.clock = clock
    yield page
    page.close()


def _get(page, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{page.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def shown(page, tmp_path):
    """A building of which one reader has said a lot, and one is not admitted, on its page."""
    building = Building(tmp_path, Ledger([A]), [A, B], enrolment=True)
    approved = {"act": decisions.APPROVED, "device": A, "link": "network"}
    decisions.Decisions(tmp_path / decisions.NAME).append(approved)
    sealed = [
        _record(messages.INSPECTION, 1, **INSPECTED),
        _record(messages.FAULT, 2, network=0, last_reason=241),
        _record(messages.POWER, 3, source=1, battery_mv=3_700),
    ]
    building.readers[A].journal += sealed
    building.upstream.down()
    building.say(A, building.readers[A].hello())
    building.say(A, batch(A, sealed))
    building.say(B, building.readers[B].hello())
    building.step()
    links = {"readers": building.port, "upstream": _Link()}
    viewer = Viewer(SITE, building.agent, links, [page.show], lambda: UTC_S + 200)
    assert viewer.step(building.now_ms) == building.now_ms + LOOK_MS
    return page


def test_the_page_shows_readers_and_escapes_what_others_have_said(shown):
    status, text = _get(shown, "/")
    assert status == 200
    assert "&lt;b&gt;no route" in text and "<b>no route" not in text
    row = re.search(rf"<td>{A}</td>.*?</tr>", text, re.DOTALL)[0]
    assert "battery" in row and "3700 mV" in row and "241, 3 min" in row
    assert "No new reader is taken" in text
    assert re.search(rf'class="bad">{B}</td><td>network</td><td>3 min</td>', text)


def test_a_reader_that_has_told_nothing_but_who_it_is_has_a_row(page, tmp_path):
    building = Building(tmp_path, Ledger([A]), [A])
    building.say(A, building.readers[A].hello())
    building.step()
    Viewer(SITE, building.agent, {}, [page.show], lambda: UTC_S).step(building.now_ms)
    status, text = _get(page, "/")
    assert status == 200
    row = re.search(rf"<td>{A}</td>.*?</tr>", text, re.DOTALL)[0]
    assert row.count("–") == 6


def test_who_floods_is_named_on_the_page_and_in_the_metrics(page, tmp_path):
    building = Building(tmp_path, Ledger([A]), [A, B])
    building.say(B, building.readers[B].hello())
    for _ in range(2 * BURST):
        building.say(A, building.readers[A].hello())
    building.step()
    Viewer(SITE, building.agent, {}, [page.show], lambda: UTC_S).step(building.now_ms)
    _, text = _get(page, "/")
    of_a, of_b = (re.search(rf"<td>{each}</td>.*?</tr>", text, re.DOTALL)[0] for each in (A, B))
    assert "floods, not listened to" in of_a and "floods" not in of_b
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(drawn(json.loads(_get(page, "/status.json")[1])))
    assert console.export_text().count("floods, not listened to") == 1
    _, text = _get(page, "/metrics")
    assert f'onecard_agent_reader_shunned{{device="{A}"}} 1.0' in text
    assert 'onecard_agent_events_total{event="readers_shunned"} 1.0' in text
    assert f'onecard_agent_reader_shunned{{device="{B}"}}' not in text


def test_metrics_are_what_prometheus_reads(shown):
    status, text = _get(shown, "/metrics")
    assert status == 200
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["onecard_agent_link_up", "upstream"] == 0
    assert found["onecard_agent_quarantined_readers",] == 1
    assert found["onecard_agent_reader_waiting_records", str(A)] == 3
    assert found["onecard_agent_reader_battery_millivolts", str(A)] == 3_700
    assert found["onecard_agent_events_total", "records_stored"] == 3


def test_the_only_labels_are_link_event_and_device(shown):
    _, text = _get(shown, "/metrics")
    labels = {
        name
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for name in sample.labels
    }
    assert labels == {"link", "event", "device"}


def test_json_is_the_whole_view(shown):
    _, text = _get(shown, "/status.json")
    view = json.loads(text)
    assert view["site"] == SITE
    assert view["store"]["waiting"] == 3
    assert view["readers"][0]["head"] == 3
    assert view["readers"][0]["link"] == "network"
    assert [each["device"] for each in view["enrolment"]["waiting"]] == [B]


def test_status_prints_it_whole_or_of_one_reader(shown, tmp_path):
    config = Config(SITE, tmp_path, b"", NOWHERE, NOWHERE, view_port=shown.port)
    assert json.loads(status(config, None))["site"] == SITE
    reader = json.loads(status(config, A))
    assert (reader["battery_mv"], reader["not_admitted_on"]) == (3_700, [])
    (waits,) = json.loads(status(config, B))["not_admitted_on"]
    assert (waits["device"], waits["link"]) == (B, "network")
    with pytest.raises(NothingToSee, match="no reader 1003"):
        status(config, 1003)
    with pytest.raises(NothingToSee, match="no \\[view\\]"):
        status(replace(config, view_port=None), A)


def test_health_follows_the_loop(page):
    assert _get(page, "/health")[0] == 200
    page.clock[0] += STALE_MS + 1
    assert _get(page, "/health") == (503, "the loop stands still\n")
    page.show({})
    assert _get(page, "/health")[0] == 200


def test_before_the_first_view_nothing_breaks(page):
    assert "has just begun" in _get(page, "/")[1]
    assert _get(page, "/metrics") == (200, "")
    assert _get(page, "/status.json") == (200, "{}")


def test_another_name_for_this_machine_gets_nothing(shown):
    """A page of somebody else's, whose name was made to point here."""
    for path in ("/", "/metrics", "/status.json"):
        status, text = _get(shown, path, Host=f"evil.example:{shown.port}")
        assert (status, text) == (421, "only for this machine\n")


def test_nothing_can_be_said_to_it(shown):
    for raw in (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01 garbage\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", shown.port), timeout=60) as stream:
            stream.sendall(raw)
            stream.shutdown(socket.SHUT_WR)
            answer = stream.recv(4096)
        assert b"200" not in answer.split(b"\r\n")[0]
    assert _get(shown, "/..%2f..%2fetc/passwd")[0] == 404
    assert _get(shown, "/")[0] == 200


def test_it_listens_on_the_loopback_only(shown):
    assert shown._server.server_address[0] == "127.0.0.1"


def _metric_names(shown):
    _, text = _get(shown, "/metrics")
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    # Only there while the disk fills.
    return names | {"onecard_agent_store_left_hours"}


def test_every_metric_that_rules_and_dashboard_name_is_there(shown):
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    board = json.loads((MONITORING / "dashboard.json").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked = [rule["expr"] for rule in alerts]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for text in asked for name in re.findall(r"onecard_agent_\w+", text)}
    known = _metric_names(shown)
    assert named <= known
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for rule in alerts:
        assert rule["annotations"]["action"] and rule["labels"]["severity"]
    events = {name for text in asked for name in re.findall(r'event="(\w+)"', text)}
    source = "".join(path.read_text() for path in MONITORING.parent.glob("*.py"))
    assert all(f'"{name}"' in source for name in events)


def test_the_daemon_shows_its_page_and_top_shows_the_same(tmp_path, repo_root):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, closed = server.getsockname()[1], 1
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    broker = f'host = "127.0.0.1"\nport = {closed}\n'
    config = tmp_path / "agent.toml"
    config.write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{broker}[upstream]\n{broker}[view]\nport = {port}\n"
    )
    command = [sys.executable, "-m", "tools.cli", "agent"]
    agent = subprocess.Popen([*command, "run", str(config)], cwd=repo_root, stderr=subprocess.PIPE)
    try:
        deadline_s = time.monotonic() + 30
        text = ""
        while "down" not in text.lower():
            assert time.monotonic() < deadline_s, text
            time.sleep(0.2)
            done = subprocess.run(
                [*command, "top", str(config), "--once"],
                cwd=repo_root,
                capture_output=True,
                text=True,
            )
            text = done.stdout
            assert done.returncode == 0 or "no agent answers" in done.stderr
        assert f"onecard agent {SITE}" in text
    finally:
        agent.kill()
        agent.communicate()
