"""Each value has an origin, the environment stands above the file, and a mistake has its line."""

import pytest
from typer.testing import CliRunner

from edge_agent.config import ConfigError, load, load_from, read, spelled_out
from tests.edge_agent.peers import Ledger
from tools.cli import app

TEXT = """\
site = "north"
data = "data"
ledger_public_key = "ledger.pub"

[readers]
host = "127.0.0.1"
port = 1883

[upstream]
host = "10.0.0.1"
port = 1884

[[lines]]
url = "/dev/a"
readers = [5]
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    path = tmp_path / "agent.toml"
    path.write_text(TEXT)
    return str(path)


def test_the_environment_stands_above_the_file(file):
    environment = {
        "ONECARD_AGENT_SITE": "south",
        "ONECARD_AGENT_UPSTREAM_PORT": "8884",
        "ONECARD_AGENT_READERS_STRANGERS": "true",
        "ONECARD_AGENT_STORE_BUDGET_MB": "100",
        "ONECARD_AGENT_READERS_HOST": '"::1"',
        "PATH": "/bin",
    }
    config = load(file, environment)
    assert (config.site, config.upstream.port, config.strangers) == ("south", 8884, True)
    assert (config.budget_bytes, config.readers.host) == (100 << 20, "::1")


def test_a_variable_that_names_nothing_is_refused(file):
    with pytest.raises(ConfigError, match="ONECARD_AGENT_READER_HOST: no such setting"):
        load(file, {"ONECARD_AGENT_READER_HOST": "x"})


def test_a_mistake_says_where_it_stands(file):
    for wrong, line in (
        (TEXT.replace("port = 1884", "port = 0"), 11),
        (TEXT.replace('site = "north"', 'site = "North"'), 1),
        (TEXT.replace("port = 1883", 'prot = 1883\nport = "1883"'), 7),
        (TEXT.replace("port = 1884\n", ""), 9),
        (TEXT.replace("readers = [5]", "readers = [0]"), 15),
        (TEXT + "[store]\nretention_days = 400\n", 17),
    ):
        with open(file, "w", encoding="utf-8") as target:
            target.write(wrong)
        with pytest.raises(ConfigError, match=f"agent.toml:{line}: "):
            load(file, {"PATH": ""})
    with open(file, "w", encoding="utf-8") as target:
        target.write(TEXT)
    with pytest.raises(ConfigError, match=r"^environment ONECARD_AGENT_UPSTREAM_PORT: "):
        load(file, {"ONECARD_AGENT_UPSTREAM_PORT": "none"})


def test_what_is_printed_has_every_origin_and_can_be_read_again(file, tmp_path):
    source = read(file, {"ONECARD_AGENT_UPSTREAM_HOST": "centre"})
    config = load_from(source, file)
    text = spelled_out(source, config)
    assert f'site = "north"  # {file}:1\n' in text
    assert 'host = "centre"  # environment ONECARD_AGENT_UPSTREAM_HOST\n' in text
    assert "budget_mb = 2048  # default\n" in text
    assert f"[[lines]]  # {file}:13\n" in text
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert load(str(again), {}) == config


def test_run_prints_the_same_and_begins_nothing(file, tmp_path):
    printed, checked = (
        CliRunner().invoke(app, ["agent", *words, file])
        for words in (["run", "--print-config"], ["check"])
    )
    assert printed.exit_code == 0
    assert f'site = "north"  # {file}:1\n' in printed.output
    assert printed.output == checked.output
    assert not (tmp_path / "data").exists()
