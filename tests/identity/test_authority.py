"""The authority: what it signs, what it refuses, and what is left when the power goes."""

import fcntl
import json
import os
import stat

import pytest
from cryptography import x509
from typer.testing import CliRunner

from tests.identity.realm import now_s
from tools.cli import app
from tools.identity import files, names
from tools.identity.authority import AUTHORITY_DAYS, DAY_S, Authority, AuthorityError
from tools.identity.broker import BrokerError, Listener, building_rights, centre_rights, write

NOW_S = 1_790_000_000
READER = names.client("canteen-1/1001")


@pytest.fixture
def folder(tmp_path):
    Authority.create(tmp_path / "ca", "test", NOW_S)
    return tmp_path / "ca"


def onecard(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def certificate_in(out):
    return x509.load_pem_x509_certificate((out / "certificate.pem").read_bytes())


def issue(folder, name, out, now=NOW_S, **options):
    with Authority.opened(folder) as authority:
        return authority.issue(name, out, now, **options)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("canteen-1/1001", names.READER),
        ("a/4294967295", names.READER),
        ("canteen-1/agent", names.AGENT),
        ("ledger", names.LEDGER),
    ],
)
def test_names_of_clients(text, kind):
    assert names.client(text) == names.Name(text, kind)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "canteen-1", "canteen-1/", "/1001", "canteen-1/0", "canteen-1/01"),
        *("Canteen/1", "canteen_1/1", "canteen-1/+", "#", "+/1001", "ledger/agent", "a/b/1"),
        *("canteen-1/4294967296", "a-site-of-many-chars/1", "canteen-1/agent/x", "x/agent "),
        *("canteen-1/1001\n", "canteen-1/\u0661", "onecard/v1/a/1"),
    ],
)
def test_other_names_are_no_clients(text):
    with pytest.raises(names.BadName):
        names.client(text)


def test_names_of_brokers():
    for text in ("10.0.0.5", "::1", "mqtt.campus.example", "localhost", "a"):
        assert names.broker(text).kind == names.BROKER
    for text in ("", "Host", "-a", "a-", "a..b", "a b", "*.campus", "x" * 64 + ".y", "a/1", "#"):
        with pytest.raises(names.BadName):
            names.broker(text)


# --- what is signed ----------------------------------------------------------------------------


def test_a_reader_gets_a_certificate_for_one_purpose(folder, tmp_path):
    entry = issue(folder, READER, tmp_path / "out")
    made = certificate_in(tmp_path / "out")
    made.verify_directly_issued_by(
        x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    )
    assert [name.value for name in made.subject] == ["canteen-1/1001"]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_after_utc.timestamp() == NOW_S + 1825 * DAY_S == entry.not_after_s
    assert f"{made.serial_number:x}" == entry.serial


def test_a_broker_has_all_its_names(folder, tmp_path):
    issue(folder, names.broker("mqtt.example"), tmp_path / "out", hosts=["10.0.0.5", "::1"])
    made = certificate_in(tmp_path / "out")
    wanted = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in wanted] == ["mqtt.example", "10.0.0.5", "::1"]
    assert not (tmp_path / "out" / "tls_key").exists()


def test_secrets_are_for_their_owner_only(folder, tmp_path):
    before = os.umask(0)
    try:
        issue(folder, READER, tmp_path / "out")
    finally:
        os.umask(before)
    for path in (folder / "ca-1.key", tmp_path / "out" / "key.pem", tmp_path / "out" / "tls_key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    (folder / "ca-1.key").chmod(0o640)
    with pytest.raises(AuthorityError, match=r"others may read it \(mode 0640\)"):
        issue(folder, names.client("canteen-1/1002"), tmp_path / "more")


def test_no_certificate_outlives_its_authority(folder, tmp_path):
    late_s = NOW_S + (AUTHORITY_DAYS - 100) * DAY_S
    entry = issue(folder, READER, tmp_path / "a", now=late_s)
    assert entry.not_after_s == NOW_S + AUTHORITY_DAYS * DAY_S
    with pytest.raises(AuthorityError, match="has expired"):
        issue(folder, READER, tmp_path / "b", now=NOW_S + (AUTHORITY_DAYS + 1) * DAY_S)


def test_one_name_has_one_good_certificate_until_it_is_renewed(folder, tmp_path):
    first = issue(folder, READER, tmp_path / "1")
    with pytest.raises(AuthorityError, match="still good"):
        issue(folder, READER, tmp_path / "2")
    with Authority.opened(folder) as authority:
        second = authority.renew(READER, tmp_path / "3", NOW_S)
        assert [e.serial for e in authority.revoke(READER, NOW_S, but_newest=True)] == [
            first.serial
        ]
        assert authority.revoke(READER, NOW_S, but_newest=True) == []
        assert [e.serial for e in authority.revoke(READER, NOW_S)] == [second.serial]
        with pytest.raises(AuthorityError, match="was revoked"):
            authority.renew(READER, tmp_path / "4", NOW_S)
    issue(folder, READER, tmp_path / "5")
    revoked = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    assert {f"{entry.serial_number:x}" for entry in revoked} == {first.serial, second.serial}


def test_an_expired_one_may_be_issued_anew(folder, tmp_path):
    issue(folder, READER, tmp_path / "1", days=1)
    issue(folder, READER, tmp_path / "2", now=NOW_S + 2 * DAY_S)


def test_a_folder_with_something_in_it_is_left_alone(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "key.pem").write_text("mine")
    with pytest.raises(AuthorityError, match="not empty"):
        issue(folder, READER, out)
    assert (out / "key.pem").read_text() == "mine"
    with Authority.opened(folder) as authority:
        assert authority.entries == []


# --- power cuts and others at work -------------------------------------------------------------


class Cut(BaseException):
    """The power is gone."""


def _cut_at(monkeypatch, number):
    """The power goes before file operation `number`; how many there were."""
    count = [0]
    real = {"place": files.place, "replace": os.replace}

    def counted(call):
        def act(*arguments):
            if count[0] == number:
                raise Cut
            count[0] += 1
            return call(*arguments)

        return act

    monkeypatch.setattr(files, "place", counted(real["place"]))
    monkeypatch.setattr(files.os, "replace", counted(real["replace"]))
    return count


@pytest.mark.parametrize("verb", ["create", "issue", "revoke", "next"])
def test_after_a_cut_at_any_file_the_next_run_ends_it(tmp_path, monkeypatch, verb):
    """No certificate leaves that the register does not know, and no half of a file is read."""
    for number in range(40):
        folder, out = tmp_path / f"{number}" / "ca", tmp_path / f"{number}" / "out"
        if verb != "create":
            Authority.create(folder, "test", NOW_S)
            issue(folder, names.client("ledger"), tmp_path / f"{number}" / "before")

        def act(folder=folder, out=out):
            if verb == "create":
                Authority.create(folder, "test", NOW_S)
            elif verb == "issue":
                issue(folder, READER, out)
            else:
                with Authority.opened(folder) as authority:
                    if verb == "next":
                        authority.next_generation(NOW_S)
                    else:
                        authority.revoke(names.client("ledger"), NOW_S)

        with monkeypatch.context() as patch:
            count = _cut_at(patch, number)
            try:
                act()
                whole = True
            except Cut:
                whole = False
        if whole:
            assert count[0] == number > 1
            return
        if (out / "certificate.pem").exists():
            made = f"{certificate_in(out).serial_number:x}"
            with Authority.opened(folder) as authority:
                assert made in [entry.serial for entry in authority.entries]
        if not (verb == "create" and (folder / "register.json").exists()):
            out = tmp_path / f"{number}" / "again"
            if verb == "issue":
                with Authority.opened(folder) as authority:
                    authority.revoke(READER, NOW_S)
            act(folder, out)
        with Authority.opened(folder) as authority:
            authority.revoke(names.client("ledger"), NOW_S)
            lists = (folder / "crl.pem").read_bytes().count(b"BEGIN X509 CRL")
            assert lists == len(authority._trusted())
        assert (folder / "ca.pem").read_bytes().count(b"BEGIN CERT") == lists
    raise AssertionError("no end")


def test_two_at_once_do_not_write_over_each_other(folder, tmp_path):
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(AuthorityError, match="somebody else"):
        issue(folder, READER, tmp_path / "out")
    os.close(handle)
    issue(folder, READER, tmp_path / "out")


def test_what_is_broken_is_named_and_nothing_is_printed_of_it(folder, tmp_path):
    key = (folder / "ca-1.key").read_text()
    (folder / "ca-1.key").write_text(key[:60])
    with pytest.raises(AuthorityError, match="ca-1") as error:
        issue(folder, READER, tmp_path / "out")
    assert key[30:50] not in str(error.value)
    (folder / "register.json").write_text('{"name": 1')
    with pytest.raises(AuthorityError, match="cannot be read"), Authority.opened(folder):
        pass


# --- as commands -------------------------------------------------------------------------------


def test_a_life_by_commands(tmp_path):
    ca = tmp_path / "ca"
    assert onecard("ca", "init", ca, "--name", "North").exit_code == 0
    done = onecard("ca", "init", ca)
    assert (done.exit_code, "already" in done.output) == (2, True)
    for words in (
        ("issue", ca, "canteen-1/1001", "--out", tmp_path / "r"),
        ("issue", ca, "10.0.0.5", "--broker", "--also", "mqtt.example", "--out", tmp_path / "b"),
        ("renew", ca, "canteen-1/1001", "--out", tmp_path / "r2"),
        ("revoke", ca, "canteen-1/1001", "--but-newest"),
        ("next", ca),
    ):
        done = onecard("ca", *words)
        assert done.exit_code == 0, done.output
        assert "PRIVATE" not in done.output
    rows = json.loads(onecard("ca", "list", ca, "--json").output)
    assert [(row["name"], row["revoked_s"] is None) for row in rows] == [
        *(("canteen-1/1001", False), ("10.0.0.5", True), ("canteen-1/1001", True)),
    ]
    text = onecard("ca", "list", ca).output
    assert text.count("good") == 2 and text.count("revoked") == 1
    assert onecard("ca", "list", ca, "--within", 30).output == ""
    assert onecard("ca", "list", ca, "--within", 800).output.count("good") == 1
    for words in (
        ("issue", ca, "canteen-1/+", "--out", tmp_path / "x"),
        ("issue", ca, "ledger", "--also", "host", "--out", tmp_path / "x"),
        ("renew", ca, "ledger", "--out", tmp_path / "x"),
        ("issue", ca, "ledger", "--days", 4000, "--out", tmp_path / "x"),
        ("retire", ca, 1),
        ("retire", ca, 2),
        ("list", tmp_path / "nowhere"),
    ):
        done = onecard("ca", *words)
        assert done.exit_code == 2 and done.output.startswith("onecard: "), done.output
    assert not (tmp_path / "x").exists()


def test_an_authority_is_retired_when_nothing_of_it_is_good(folder, tmp_path):
    issue(folder, READER, tmp_path / "1", now=now_s(), days=1)
    with Authority.opened(folder) as authority:
        authority.next_generation(now_s())
        with pytest.raises(AuthorityError, match="1 are still good"):
            authority.retire(1, now_s())
        authority.retire(1, now_s() + 2 * DAY_S)
    assert (folder / "ca.pem").read_bytes().count(b"BEGIN CERT") == 1


def test_the_configuration_of_a_broker_by_command(tmp_path):
    tls = tmp_path / "tls"
    assert (
        onecard("broker", "config", "--site", "a", "--out", tmp_path / "1", "--tls", tls).exit_code
        == 0
    )
    text = (tmp_path / "1" / "mosquitto.conf").read_text()
    for line in ("allow_anonymous false", "require_certificate true", "persistence false"):
        assert line in text.splitlines()
    assert (tmp_path / "1" / "acl").read_text() == building_rights("a")
    assert "HUP" in (tmp_path / "1" / "onecard.conf").read_text()
    done = onecard("broker", "config", "--centre", "--out", tmp_path / "2", "--tls", tls)
    assert done.exit_code == 0
    assert (tmp_path / "2" / "acl").read_text() == centre_rights()
    for words in (
        ("--site", "a", "--centre", "--out", tmp_path / "3"),
        ("--out", tmp_path / "3"),
        ("--centre", "--strangers", "--out", tmp_path / "3"),
        ("--site", "A+", "--out", tmp_path / "3"),
        ("--site", "a", "--out", tmp_path / "1"),
        ("--site", "a", "--address", "eth0", "--out", tmp_path / "3"),
        ("--site", "a", "--out", tmp_path / "with space"),
    ):
        done = onecard("broker", "config", "--tls", tls, *words)
        assert done.exit_code == 2 and done.output.startswith("onecard: "), words
    with pytest.raises(BrokerError):
        write(tmp_path / "4", Listener(0, "127.0.0.1", tls), "")


def test_moved_readers_are_heard_where_that_is_asked_for():
    rights = building_rights("a", strangers=True)
    assert "topic read onecard/v1/+/+/up" in rights and "write onecard/v1/+/+/down" in rights
    assert "+/+/up" not in building_rights("a")
