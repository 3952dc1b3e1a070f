"""docs/running.md: its files are files the daemons take."""

import re

from edge_agent import config as agent_config
from ledger.config import import_register, load_config, load_password, load_signing_key
from ledger.receipts import public_key
from ledger.store import LedgerStore


def test_the_files_of_the_document_load(repo_root, tmp_path, monkeypatch):
    text = (repo_root / "docs" / "running.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (database,) = [block for block in blocks if block.startswith("database")]
    blocks.remove(database)
    (http,) = [block for block in blocks if block.startswith("[http]")]
    blocks.remove(http)
    (console,) = [block for block in blocks if block.startswith("[console]")]
    blocks.remove(console)
    ledger, codes, acquirer, register, *agent = blocks
    files = {
        "ledger": ledger + codes + acquirer + http + console,
        "server": database + ledger,
        "register": register,
        "agent": "".join(agent),
    }
    for name, body in files.items():
        (tmp_path / f"{name}.toml").write_text(body, encoding="utf-8")
    (tmp_path / "register.toml").chmod(0o600)
    key = bytes(range(32))
    (tmp_path / "signing.key").write_text(key.hex())
    (tmp_path / "signing.key").chmod(0o600)
    (tmp_path / "ledger.pub").write_text(public_key(key).hex())

    config = load_config(tmp_path / "ledger.toml")
    assert config.codes is not None and config.codes.policy.sale_max_fen == 5000
    assert config.acquirer is not None and config.acquirer.timeout_ms == 2000
    assert config.http is not None and (config.http.port, config.http.key) == (8440, None)
    assert config.console is not None and (config.console.port, config.console.key) == (8441, None)
    assert load_signing_key(config.signing_key_file) == key
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "db.password").write_text("not told\n")
    assert load_config(tmp_path / "server.toml").database_url.startswith("postgresql://ledger@")
    assert load_password(load_config(tmp_path / "server.toml")) == "not told"
    books = LedgerStore.open(":memory:")
    import_register(books, config.register_file)
    import_register(books, config.register_file)
    assert books.holder_balance(20001) == 5000
    books.close()

    loaded = agent_config.load(str(tmp_path / "agent.toml"))
    assert (loaded.site, loaded.readers.port, loaded.upstream.port) == ("canteen-1", 1883, 1884)
    assert loaded.ledger_public_key == public_key(key)
    assert [line.readers for line in loaded.lines] == [(1003, 1004)]
    assert (loaded.budget_bytes, loaded.view_port) == (2048 << 20, 9466)
    assert loaded.enrolment
    assert loaded.home_assistant is not None
    assert loaded.home_assistant.broker.host == "10.0.0.7"


def test_the_files_that_are_made_by_hand_load_and_fit(repo_root, tmp_path):
    """Those of the first section: what the agent is asked for there, it has."""
    text = (repo_root / "docs" / "running.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^cat > (\S+) <<'END'\n(.*?)^END", text, re.MULTILINE | re.DOTALL))
    for name, body in files.items():
        (tmp_path / name).write_text(body, encoding="utf-8")
    (tmp_path / "ledger.pub").write_text(public_key(bytes(range(32))).hex())
    ledger = load_config(tmp_path / "ledger.toml")
    agent = agent_config.load(str(tmp_path / "agent.toml"))
    assert ledger.broker_port == agent.upstream.port != agent.readers.port
    for port in (ledger.broker_port, agent.readers.port):
        assert f"mosquitto -p {port}" in text
    assert "agent top" in text and agent.view_port is not None
    (line,) = agent.lines
    assert f"--link {line.url}" in text and line.readers == (1001,)
