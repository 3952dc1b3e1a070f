"""Certificates in agent.toml and ledger.toml: all three files or none, and whose they are."""

import pytest

import edge_agent.config
import ledger.config
from tests.identity.realm import AGENT, Realm, now_s

AGENT_TOML = """\
site = "canteen-1"
data = "data"
ledger_public_key = "ledger.pub"
[readers]
host = "127.0.0.1"
port = 8883
{readers}
[upstream]
host = "127.0.0.1"
port = 8884
{upstream}
"""
LEDGER_TOML = """\
data_dir = "books"
signing_key_file = "signing.key"
[broker]
host = "127.0.0.1"
port = 8884
{broker}
"""


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    for name in (AGENT, "ledger", "canteen-2/agent"):
        realm.issue(name)
    (realm.folder / "ledger.pub").write_text(bytes(range(32)).hex())
    return realm


def three(identity, **other):
    names = {"ca": identity.ca, "certificate": identity.certificate, "key": identity.key, **other}
    folder = identity.ca.parent.parent
    return "\n".join(
        f'{name} = "{path.relative_to(folder) if hasattr(path, "relative_to") else path}"'
        for name, path in names.items()
        if path is not None
    )


def agent(realm, readers="", upstream=""):
    path = realm.folder / "agent.toml"
    path.write_text(AGENT_TOML.format(readers=readers, upstream=upstream))
    return edge_agent.config.load(str(path))


def the_ledger(realm, broker=""):
    path = realm.folder / "ledger.toml"
    path.write_text(LEDGER_TOML.format(broker=broker))
    return ledger.config.load_config(path)


def test_each_link_has_its_own(realm):
    ours = realm.identities[AGENT]
    config = agent(realm, upstream=three(ours))
    assert config.readers.identity is None
    assert config.upstream.identity == ours
    assert agent(realm, three(ours) + "\nstrangers = true").strangers
    assert the_ledger(realm).identity is None
    assert the_ledger(realm, three(realm.identities["ledger"])).identity.name == "ledger"


def test_what_is_wrong_is_said_with_its_place(realm, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    ours, ledgers = realm.identities[AGENT], realm.identities["ledger"]
    neighbour = realm.identities["canteen-2/agent"]
    for text, said in (
        (three(ours, key=None), "upstream.key: a text is needed"),
        (three(ours, ca="nowhere.pem"), "upstream.*nowhere.pem: No such file"),
        (three(neighbour), "is canteen-2/agent's, not canteen-1/agent's"),
        (three(ours, key=ledgers.key), "not the key of"),
        (three(ours, key="$CREDENTIALS_DIRECTORY/key"), "handed over no credentials"),
        ("tls = true", "upstream.tls: unknown"),
    ):
        with pytest.raises(edge_agent.config.ConfigError, match=said) as error:
            agent(realm, upstream=text)
        assert "agent.toml" in str(error.value)
    for text, said in (
        (three(ledgers, key=None), "broker.ca: ca, certificate, key belong together"),
        (three(ours), "is canteen-1/agent's, not ledger's"),
        (three(ledgers, key=ours.key), "broker.certificate: .*not the key of"),
        (three(ledgers, key="$CREDENTIALS_DIRECTORY/key"), "handed over no credentials"),
    ):
        with pytest.raises(ledger.config.ConfigError, match=said) as error:
            the_ledger(realm, text)
        assert "ledger.toml" in str(error.value)


def test_one_that_has_expired_stops_no_start(realm):
    """The agent goes on to take what readers bring: what it cannot hand on is kept."""
    ended = realm.by_hand(AGENT, end_s=now_s() - 60)
    assert agent(realm, upstream=three(ended)).upstream.identity.days_left(now_s()) < 0


def test_a_signing_key_that_others_may_read_is_not_used(tmp_path):
    key = tmp_path / "signing.key"
    key.write_text("07" * 32)
    key.chmod(0o644)
    with pytest.raises(ledger.config.ConfigError, match="others may read it") as error:
        ledger.config.load_signing_key(key)
    assert "0707" not in str(error.value)
