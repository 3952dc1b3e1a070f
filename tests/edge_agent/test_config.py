"""The configuration: each mistake is refused with the file, the key and the reason."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.config import Broker, ConfigError, LineConfig, load, read, spelled_out

GOOD = {
    "site": '"north"',
    "data": '"data"',
    "ledger_public_key": '"ledger.pub"',
    "readers": '{host = "127.0.0.1", port = 1883}',
    "upstream": '{host = "10.0.0.1", port = 1884}',
}
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()


def _write(folder, **changes):
    (folder / "ledger.pub").write_text(KEY.public_bytes_raw().hex())
    values = {key: value for key, value in (GOOD | changes).items() if value is not None}
    path = folder / "agent.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
    return str(path)


HOME = '{host = "10.0.0.7", port = 1, %s}'
WRONG = [
    ({"site": '"North"'}, "site: only a-z"),
    ({"site": '"ledger"'}, "site: only a-z"),
    ({"site": "5"}, "site: a text is needed"),
    ({"site": None}, "site: a text is needed"),
    ({"data": '""'}, "data: a text is needed"),
    ({"colour": '"red"'}, "colour: unknown"),
    ({"readers": None}, r"\[readers\]: missing"),
    ({"readers": '"127.0.0.1:1883"'}, r"\[readers\]: missing"),
    ({"readers": '{host = "x", port = 0}'}, r"readers.port: a number from 1"),
    ({"readers": '{host = "x", port = true}'}, r"readers.port: a number from 1"),
    ({"readers": '{host = "x", port = 1, strangers = 1}'}, "readers.strangers: true or false"),
    ({"upstream": '{host = "x", port = 1, strangers = true}'}, "upstream.strangers: unknown"),
    ({"upstream": '{host = "x", port = "1883"}'}, r"upstream.port: a number from 1"),
    ({"upstream": '{host = "x", port = 1, tls = true}'}, "upstream.tls: unknown"),
    ({"upstream": '{host = "x", port = 1, fallbacks = "y:1"}'}, "upstream.fallbacks: a list"),
    ({"upstream": '{host = "x", port = 1, fallbacks = ["y"]}'}, "upstream.fallbacks: each is"),
    ({"upstream": '{host = "x", port = 1, fallbacks = ["x:1"]}'}, "upstream.fallbacks: .* twice"),
    ({"upstream": '{host = "x", port = 1, subscription_qos = 2}'}, "upstream.subscription_qos: a"),
    ({"readers": '{host = "x", port = 1, fallbacks = ["y:1"]}'}, "readers.fallbacks: unknown"),
    ({"upstream": "{port = 1}"}, "upstream.host: a text is needed"),
    ({"ledger_public_key": '"missing.pub"'}, "ledger_public_key: .*missing.pub: No such .*: 64 "),
    ({"site": '"north'}, "line 1"),
    ({"view": "9466"}, r"\[view\]: a section"),
    ({"view": "{}"}, "view.port: a number from 1 to 65535"),
    ({"view": "{port = 9466, host = '0.0.0.0'}"}, "view.host: unknown"),
    ({"enrolment": "true"}, r"\[enrolment\]: a section"),
    ({"enrolment": "{required = 1}"}, "enrolment.required: true or false"),
    ({"enrolment": "{open = true}"}, "enrolment.open: unknown"),
    ({"home_assistant": "5"}, r"\[home_assistant\]: missing"),
    ({"home_assistant": "{port = 1}"}, "home_assistant.host: a text is needed"),
    ({"home_assistant": HOME % "enabled = 1"}, "home_assistant.enabled: true or false"),
    ({"home_assistant": HOME % "lock = true"}, "home_assistant.lock: unknown"),
    ({"home_assistant": HOME % "prefix = 'a/#'"}, "home_assistant.prefix: a-z"),
    ({"home_assistant": HOME % "prefix = 'onecard/v1'"}, "home_assistant.prefix: .*not ours"),
    ({"home_assistant": HOME % "prefix = 5"}, "home_assistant.prefix: a text is needed"),
    ({"home_assistant": HOME % "user = 'x'"}, "home_assistant.user, password_file: both"),
    (
        {"home_assistant": HOME % "user = 'x', password_file = 'gone'"},
        "home_assistant.password_file: .*gone: No such file",
    ),
    (
        {"home_assistant": HOME % "user = 'x', password_file = 'ledger.pub'"},
        "home_assistant.password_file: .*others may read it",
    ),
    ({"store": "5"}, r"\[store\]: a section"),
    ({"store": "{budget = 5}"}, "store.budget: unknown"),
    ({"store": "{budget_mb = 0}"}, "store.budget_mb: a number from 1 to"),
    ({"store": "{retention_days = 1.5}"}, "store.retention_days: a number from 0 to 366"),
    ({"store": "{retention_days = true}"}, "store.retention_days: a number from 0 to 366"),
    ({"lines": '"/dev/ttyUSB0"'}, r"lines: each line is a section"),
    ({"lines": '["/dev/ttyUSB0"]'}, r"lines\[1\]: each line is a section"),
    ({"lines": "[{readers = [1]}]"}, r"lines\[1\].url: a text is needed"),
    ({"lines": '[{url = "ttyUSB0", readers = [1]}]'}, r"lines\[1\].url: a device as /dev/ttyUSB0"),
    ({"lines": '[{url = "socket://", readers = [1]}]'}, r"lines\[1\].url: a device"),
    ({"lines": '[{url = "spy:///dev/tty", readers = [1]}]'}, r"lines\[1\].url: a device"),
    ({"lines": '[{url = "/dev/a"}]'}, r"lines\[1\].readers: a list of 1 to 32"),
    ({"lines": '[{url = "/dev/a", readers = []}]'}, r"lines\[1\].readers: a list of 1 to 32"),
    ({"lines": '[{url = "/dev/a", readers = [0]}]'}, r"lines\[1\].readers: 0 is no device"),
    ({"lines": '[{url = "/dev/a", readers = [true]}]'}, r"lines\[1\].readers: True is no"),
    ({"lines": '[{url = "/dev/a", readers = [5, 5]}]'}, r"lines\[1\]: 5 stands in lines\[1\]"),
    (
        {"lines": '[{url = "/dev/a", readers = [5]}, {url = "/dev/b", readers = [5]}]'},
        r"lines\[2\]: 5 stands in lines\[1\] already",
    ),
    (
        {"lines": '[{url = "/dev/a", readers = [5]}, {url = "/dev/a", readers = [6]}]'},
        r"lines\[2\]: /dev/a stands in lines\[1\] already",
    ),
    (
        {"lines": '[{url = "/dev/a", baud = 9600, readers = [5]}]'},
        r"lines\[1\].baud: one of 19200",
    ),
    (
        {"lines": '[{url = "/dev/a", parity = "even", readers = [5]}]'},
        r"lines\[1\].parity: unknown",
    ),
]


@pytest.mark.parametrize(("changes", "text"), WRONG)
def test_a_mistake_is_named(tmp_path, changes, text):
    with pytest.raises(ConfigError, match=rf"agent\.toml(:\d+)?: .*{text}"):
        load(_write(tmp_path, **changes))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(str(tmp_path / "nowhere.toml"))


@pytest.mark.parametrize("content", ["", "ab" * 31, "zz" * 32, "-----BEGIN PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused(tmp_path, content):
    path = _write(tmp_path)
    (tmp_path / "ledger.pub").write_text(content)
    with pytest.raises(ConfigError, match="ledger_public_key: "):
        load(path)


def test_a_key_of_another_kind_is_refused(tmp_path):
    path = _write(tmp_path)
    other = generate_private_key(SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "ledger.pub").write_bytes(pem)
    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        load(path)


@pytest.mark.parametrize("form", ["hex", "pem"])
def test_a_good_file(tmp_path, form):
    path = _write(tmp_path)
    if form == "pem":
        pem = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "ledger.pub").write_bytes(pem)
    config = load(path)
    assert config.site == "north"
    assert config.data == tmp_path / "data"
    assert config.ledger_public_key == KEY.public_bytes_raw()
    assert config.readers == Broker("127.0.0.1", 1883)
    assert not config.strangers
    assert config.upstream == Broker("10.0.0.1", 1884)
    assert config.lines == ()


def test_serial_lines(tmp_path):
    lines = (
        '[{url = "/dev/a", readers = [5, 6]}, {url = "socket://h:1", baud = 19200, readers = [7]}]'
    )
    assert load(_write(tmp_path, lines=lines)).lines == (
        LineConfig("/dev/a", 115_200, (5, 6)),
        LineConfig("socket://h:1", 19_200, (7,)),
    )


def test_a_broker_of_its_own_hears_strangers(tmp_path):
    readers = '{host = "127.0.0.1", port = 1883, strangers = true}'
    config = load(_write(tmp_path, readers=readers))
    assert config.strangers and config.readers == Broker("127.0.0.1", 1883)


def test_further_nodes_of_the_centres_cluster(tmp_path):
    path = _write(tmp_path)
    assert load(path).upstream.addresses == (("10.0.0.1", 1884),)
    told = {"ONECARD_AGENT_UPSTREAM_FALLBACKS": '["10.0.0.2:1884", "[fd00::3]:8883"]'}
    config = load(path, told)
    assert config.upstream.addresses[1:] == (("10.0.0.2", 1884), ("fd00::3", 8883))
    shown = spelled_out(read(path, told), config)
    assert 'fallbacks = ["10.0.0.2:1884", "[fd00::3]:8883"]  # environment' in shown


def test_what_records_may_use_of_the_disk_and_for_how_long_they_stay(tmp_path):
    config = load(_write(tmp_path))
    assert (config.budget_bytes, config.retention_ms) == (2048 << 20, 7 * 86_400_000)
    config = load(_write(tmp_path, store="{budget_mb = 5, retention_days = 30}"))
    assert (config.budget_bytes, config.retention_ms) == (5 << 20, 30 * 86_400_000)
