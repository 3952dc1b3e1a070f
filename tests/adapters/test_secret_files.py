"""Secrets from files: whose they are, where they lie, and that no error tells what is in them."""

import pytest

from adapters import secret_files
from adapters.secret_files import CREDENTIALS, SecretFileError, locate

WORD = "correct horse"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text(WORD)
    path.chmod(0o600)
    return path


def test_only_its_owner_may_read_it(secret):
    for mode in (0o400, 0o600, 0o700):
        secret.chmod(mode)
        assert secret_files.read(secret) == WORD.encode()
    for mode in (0o640, 0o604, 0o620, 0o601, 0o666):
        secret.chmod(mode)
        with pytest.raises(SecretFileError, match=f"mode {mode:04o}.: chmod 600") as error:
            secret_files.read(secret)
        assert WORD not in str(error.value)


def test_what_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(SecretFileError, match=str(path)):
            secret_files.read(path)


def test_names_are_relative_or_of_systemd(tmp_path, monkeypatch, secret):
    monkeypatch.delenv(CREDENTIALS, raising=False)
    assert locate(tmp_path, "tls/key.pem") == tmp_path / "tls" / "key.pem"
    assert str(locate(tmp_path, "/etc/key")) == "/etc/key"
    with pytest.raises(SecretFileError, match="handed over no credentials"):
        locate(tmp_path, "$CREDENTIALS_DIRECTORY/key")
    monkeypatch.setenv(CREDENTIALS, str(tmp_path))
    assert locate(tmp_path / "x", "$CREDENTIALS_DIRECTORY/secret") == secret
    # systemd's folder is closed to others; what is in it shows a group's right to read.
    secret.chmod(0o440)
    assert secret_files.read(secret) == WORD.encode()
