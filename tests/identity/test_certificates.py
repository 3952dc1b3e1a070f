"""That a certificate will end is seen before it does: ours, the authority's, a broker's."""

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.identity import WARN_DAYS, IdentityError, peer_end_s
from adapters.mqtt import MqttPort
from edge_agent.certificates import Certificates
from edge_agent.page import Page
from edge_agent.viewer import Viewer
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger
from tests.identity.realm import AGENT, HOST, SITE, Realm, now_s, running
from tools.agent_top import drawn
from tools.identity.authority import AUTHORITY_DAYS, DAY_S

OURS_DAYS, BROKERS_DAYS = 100, 20


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    realm.issue(AGENT, days=OURS_DAYS)
    realm.broker_tls = realm.issue("localhost", broker=True, hosts=[HOST], days=BROKERS_DAYS)
    return realm


@pytest.fixture
def port(mosquitto, realm):
    """Our link to a broker, up; and the broker."""
    with running(mosquitto, realm) as broker:
        secure = realm.identities[AGENT].context
        port = MqttPort(HOST, broker.port, "x", subscriptions=[], secure=secure)
        deadline_s = time.monotonic() + 20
        while not port.connected:
            assert time.monotonic() < deadline_s, port.last_error
            port.step(time.monotonic_ns() // 1_000_000)
            time.sleep(0.01)
        yield port
        port.close()


def test_page_and_metrics_say_each_end_of_a_real_link(port, realm, tmp_path):
    identity, utc_s = realm.identities[AGENT], now_s()
    page = Page(0, lambda: 0)
    certificates = Certificates([("upstream", identity, port)])
    agent = Building(tmp_path, Ledger(), []).agent
    try:
        Viewer(SITE, agent, {"upstream": port}, [page.show], lambda: utc_s, certificates).step(0)
        metrics = page.answer("/metrics")[2].decode()
        left = {
            (sample.labels["link"], sample.labels["whose"]): sample.value
            for family in text_string_to_metric_families(metrics)
            for sample in family.samples
            if sample.name == "onecard_agent_certificate_left_days"
        }
        wanted = {"agent": OURS_DAYS, "authority": AUTHORITY_DAYS, "broker": BROKERS_DAYS}
        assert left.keys() == {("upstream", whose) for whose in wanted}
        for whose, days in wanted.items():
            assert days - 1 <= left["upstream", whose] <= days
        rows = page.answer("/")[2].decode().split("<tr>")
        (bad,) = [row for row in rows if 'number bad"' in row]
        assert "<td>broker</td>" in bad and BROKERS_DAYS < WARN_DAYS
        lines = [str(part) for part in drawn(page._view).renderables]
        assert any("broker of upstream" in line for line in lines)
    finally:
        page.close()


def test_a_new_file_is_seen_within_a_minute_and_what_cannot_be_read_is_left_out(port, realm):
    identity, utc_s = realm.by_hand(AGENT, end_s=now_s() + 50 * DAY_S), now_s()
    certificates = Certificates([("upstream", identity, port)])

    def left(later_s):
        return {one["whose"]: one["days_left"] for one in certificates.left(utc_s + later_s)}

    assert left(0)["agent"] in (49, 50)
    renewed = realm.identities[AGENT]
    identity.certificate.write_bytes(renewed.certificate.read_bytes())
    assert left(59)["agent"] in (49, 50)
    assert left(60)["agent"] == OURS_DAYS - 1
    identity.certificate.write_text("no certificate")
    assert left(120).keys() == {"broker"}
    # A clock that was put back is no reason to look at nothing.
    identity.certificate.write_bytes(renewed.certificate.read_bytes())
    assert left(-DAY_S)["agent"] in (OURS_DAYS, OURS_DAYS + 1)


def test_a_broker_that_is_not_there_has_no_certificate(realm):
    port = MqttPort(HOST, 1, "x", subscriptions=[], secure=realm.identities[AGENT].context)
    left = Certificates([("readers", realm.identities[AGENT], port)]).left(now_s())
    assert {one["whose"] for one in left} == {"agent", "authority"}
    with pytest.raises(IdentityError):
        peer_end_s(b"no certificate")


def test_an_authority_that_has_not_signed_ours_has_no_end_for_us(realm, tmp_path):
    other = Realm(tmp_path)
    identity = other.issue(AGENT)
    identity.ca.write_bytes(realm.identities[AGENT].ca.read_bytes())
    with pytest.raises(IdentityError, match="has signed it"):
        identity.authority_end_s()
