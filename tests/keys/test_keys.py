"""`onecard keys`: what two persons open, what follows from it, and what a failure leaves."""

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

from ledger.config import import_register, load_credit_key, load_signing_key
from ledger.receipts import public_key
from ledger.store import LedgerStore
from tools.card.keyfile import load_keys
from tools.cli import app
from tools.identity import files
from tools.keys import derive, root, site_kit
from tools.keys.export import export
from tools.keys.root import Cost, RootError
from tools.keys.vault import FILE, KeysError, Vault

NOW_S = 1_790_000_000
CHEAP = Cost(1, 64, 1)
SAID = {
    "wang": "correct horse battery",
    "li": "staple of the other",
    "zhao": "and a third of them",
}
TWO = {name: SAID[name] for name in ("wang", "li")}
SITE = "canteen-1"


@pytest.fixture
def folder(tmp_path):
    Vault.create(tmp_path / "keys", SAID, CHEAP)
    return tmp_path / "keys"


@pytest.fixture
def vault(folder):
    """Opened, with a site, cards, a signer of releases and the ledger's key."""
    with Vault.held(folder) as vault:
        vault.open(TWO)
        for kind, name in (("site", SITE), ("card", ""), ("update", "wang"), ("ledger", "")):
            vault.create_key(kind, [name], NOW_S)
        yield vault


def opened(folder, said=None):
    with Vault.held(folder) as vault:
        vault.open(TWO if said is None else said)
        return vault


def kit_of(vault, tmp_path, name="kit", part=site_kit.PAYS):
    export(vault, "site", SITE, 0, tmp_path / name, part)
    return site_kit.read(tmp_path / name)


# --- the root ----------------------------------------------------------------------------------


def test_any_two_persons_open_the_same_root_and_no_passphrase_alone_does(folder):
    for pair in (("wang", "li"), ("li", "zhao"), ("zhao", "wang")):
        opened(folder, {name: SAID[name] for name in pair})
    for said in ({}, {"wang": SAID["wang"]}, SAID):
        with pytest.raises(KeysError, match="two persons"):
            opened(folder, said)


def test_a_wrong_passphrase_and_an_unknown_person_are_named_and_not_repeated(folder):
    with pytest.raises(KeysError, match="li: wrong passphrase") as caught:
        opened(folder, {**TWO, "li": SAID["wang"]})
    assert SAID["wang"] not in str(caught.value) + repr(caught.value.__cause__)
    with pytest.raises(KeysError, match="chen: not one of li, wang, zhao"):
        opened(folder, {"wang": SAID["wang"], "chen": SAID["li"]})


def test_with_what_one_person_has_the_root_does_not_open(folder):
    """The half of one person, taken apart with the library itself, opens no pair."""
    sealed = json.loads((folder / FILE).read_text())["root"]
    own = root._own_key(sealed["persons"], "wang", SAID["wang"], CHEAP)
    for pair in sealed["pairs"]:
        data = root.b64decode(pair["sealed"])
        for key in (own, root._joint(dict.fromkeys(pair["persons"], own), tuple(pair["persons"]))):
            with pytest.raises(root.InvalidTag):
                AESGCM(key).decrypt(data[:12], data[12:], b"onecard roots")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"wang": SAID["wang"]}, "2 to 5 persons, not 1"),
        ({f"p{n}": f"passphrase number {n}" for n in range(6)}, "not 6"),
        ({"wang": SAID["wang"], "li": SAID["wang"]}, "the same passphrase"),
    ],
)
def test_who_may_not_be_given_a_root(tmp_path, said, why):
    with pytest.raises(KeysError, match=why):
        Vault.create(tmp_path / "keys", said, CHEAP)
    assert not (tmp_path / "keys" / FILE).exists()


def test_a_cost_that_would_take_the_machine_is_damage(folder):
    sealed = json.loads((folder / FILE).read_text())["root"]
    sealed["argon2id"]["memory_kib"] = 1 << 30
    with pytest.raises(RootError, match="damaged"):
        root.unseal(sealed, TWO, b"onecard roots")


def test_another_register_under_the_same_seal_is_noticed(vault, folder):
    content = json.loads((folder / FILE).read_text())
    content["register"]["keys"][0]["generation"] = 2
    (folder / FILE).write_text(json.dumps(content))
    with pytest.raises(KeysError, match="changed by somebody"):
        opened_again(folder)


def opened_again(folder):
    vault = Vault(folder)
    vault.open(TWO)
    return vault


def test_who_has_left_opens_nothing_any_more_and_no_key_changes(vault, folder):
    before = vault.site(SITE).key
    vault.seal_for({"zhao": SAID["zhao"], "chen": "somebody quite new"}, CHEAP)
    again = Vault(folder)
    with pytest.raises(KeysError, match="wang: not one of chen, zhao"):
        again.open(TWO)
    again.open({"zhao": SAID["zhao"], "chen": "somebody quite new"})
    assert again.site(SITE).key == before


def test_a_new_root_makes_new_keys_and_the_old_ones_stay_until_they_are_retired(vault, folder):
    old = vault.site(SITE).key
    assert vault.rotate_root(TWO, CHEAP) == 2
    assert vault.site(SITE).key == old
    for kind, name in (("site", SITE), ("card", ""), ("update", "wang"), ("ledger", "")):
        vault.rotate_key(kind, [name], NOW_S)
    now = vault.site(SITE)
    assert now.previous == old and now.key != old
    for kind, name in (("site", SITE), ("card", ""), ("update", "wang"), ("ledger", "")):
        vault.retire(kind, name, 1, NOW_S)
    vault.rotate_root(TWO, CHEAP)
    assert sorted(vault._roots) == [2, 3]  # nothing follows from the first any more
    assert opened_again(folder).site(SITE).key == now.key


# --- what follows from it ------------------------------------------------------------------------


def test_keys_are_hkdf_of_their_path_and_differ_from_each_other(vault):
    key = vault.site(SITE).key
    path = b"\x84\x67onecard\x66device\x19\x03\xe9\x01"  # CBOR of ["onecard", "device", 1001, 1]
    extracted = derive_prk(key)
    assert derive.device_key(key, 1001, 1) == HKDFExpand(SHA256(), 32, path).derive(extracted)
    found = [derive.device_key(key, n, g) for n in (1, 2, 1001) for g in (1, 2)]
    found += [
        key,
        vault.seed("update", "wang"),
        vault.seed("ledger", ""),
        *vault.card()[1].values(),
    ]
    assert len(set(found)) == len(found)


def derive_prk(key):
    import hmac

    return hmac.digest(bytes(32), key, "sha256")


def test_a_folder_of_yesterday_makes_the_same_keys_again(vault, folder, tmp_path):
    yesterday = (folder / FILE).read_bytes()
    vault.rotate_key("card", [""], NOW_S)
    vault.rotate_devices(SITE, [1001])
    version, masters = vault.card()
    device = kit_of(vault, tmp_path).device_keys(1001)
    (folder / FILE).write_bytes(yesterday)
    restored = opened_again(folder)
    restored.rotate_key("card", [""], NOW_S + 86400)
    restored.rotate_devices(SITE, [1001])
    assert (version, masters) == restored.card()
    assert kit_of(restored, tmp_path, "again").device_keys(1001) == device


def test_a_rotation_of_site_or_reader_names_the_key_before_it(vault, tmp_path):
    first = kit_of(vault, tmp_path, "a").device_keys(1001)
    assert set(first) == {"device_key"}
    vault.rotate_devices(SITE, [1001])
    second = kit_of(vault, tmp_path, "b").device_keys(1001)
    assert second["previous_device_key"] == first["device_key"] != second["device_key"]
    vault.rotate_key("site", [SITE], NOW_S)
    kit = kit_of(vault, tmp_path, "c")
    third, other = kit.device_keys(1001), kit.device_keys(1002)
    assert third["previous_device_key"] == second["device_key"]
    assert other["previous_device_key"] != other["device_key"]
    vault.rotate_devices(SITE, [1001])
    fourth = kit_of(vault, tmp_path, "d").device_keys(1001)
    assert fourth["previous_device_key"] == third["device_key"]
    vault.retire("site", SITE, 1, NOW_S)
    assert set(kit_of(vault, tmp_path, "e").device_keys(1002)) == {"device_key"}


def test_a_kit_of_before_gives_no_key_that_no_register_has(vault, tmp_path):
    """Of a reader that was rotated alone since; the others have their key of that generation."""
    before = kit_of(vault, tmp_path, "a").device_keys(1002)
    vault.rotate_devices(SITE, [1003])
    vault.rotate_key("site", [SITE], NOW_S)
    vault.rotate_devices(SITE, [1001])
    export(vault, "site", SITE, 1, tmp_path / "b.kit", site_kit.PAYS)
    kit = site_kit.read(tmp_path / "b.kit")
    assert kit.device_keys(1002) == before
    assert set(kit.device_keys(1003)) == {"device_key", "previous_device_key"}
    refused = "canteen-1/1001: its key was rotated under generation 2"
    with pytest.raises(KeysError, match=refused):
        kit.device_keys(1001)
    with pytest.raises(KeysError, match=refused):
        site_kit.register(kit, [1001, 1002], {"merchant_no": 71})
    assert kit_of(vault, tmp_path, "c").device_keys(1001)


def test_versions_of_card_keys_are_asked_for_by_number(vault, tmp_path):
    old = vault.card()[1]
    vault.rotate_key("card", [""], NOW_S)
    export(vault, "card", "", 1, tmp_path / "one.toml", "pays")
    export(vault, "card", "", 0, tmp_path / "two.toml", "pays")
    one, two = load_keys(tmp_path / "one.toml"), load_keys(tmp_path / "two.toml")
    assert (one.key_version, two.key_version) == (1, 2)
    assert one.purse_key == old["purse"] != two.purse_key and two.desfire_masters()
    card = kit_of(vault, tmp_path).card
    assert card["previous_purse_key"] == old["purse"] and "read_key" not in card
    assert "read_key" in kit_of(vault, tmp_path, "doors", site_kit.READS).card
    with pytest.raises(KeysError, match="no generation 3; there is 1, 2"):
        vault.card(3)
    vault.retire("card", "", 1, NOW_S)
    with pytest.raises(KeysError, match="generation 1: was retired"):
        vault.card(1)
    assert "previous_purse_key" not in kit_of(vault, tmp_path, "later").card
    with pytest.raises(KeysError, match="the one in use"):
        vault.retire("card", "", 2, NOW_S)


def test_no_kit_has_what_puts_money_on_a_card(vault, tmp_path):
    masters = vault.card()[1]
    for part in site_kit.CARD_PARTS:
        export(vault, "site", SITE, 0, tmp_path / part, part)
        text = (tmp_path / part).read_text()
        for purpose in ("credit", "master", "transaction"):
            assert masters[purpose].hex() not in text


def test_what_is_handed_out_is_what_ledger_and_releases_take(vault, tmp_path):
    export(vault, "credit", "", 0, tmp_path / "credit.key", "")
    assert load_credit_key(tmp_path / "credit.key") == vault.card()[1]["credit"]
    export(vault, "ledger", "", 0, tmp_path / "signing.key", "")
    seed = load_signing_key(tmp_path / "signing.key")
    assert (tmp_path / "signing.pub").read_text().strip() == public_key(seed).hex()
    export(vault, "update", "wang", 0, tmp_path / "wang.pem", "")
    key = load_pem_private_key((tmp_path / "wang.pem").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    assert key.private_bytes_raw() == vault.seed("update", "wang")


def test_the_register_takes_a_kits_readers_and_their_rotation(vault, tmp_path):
    vault.rotate_devices(SITE, [1002])
    kit = kit_of(vault, tmp_path)
    merchant = '[[merchant]]\nmerchant_no = 71\nname = "noodles"\n'
    readers = site_kit.register(kit, [1001, 1002], {"merchant_no": 71}).decode()
    (tmp_path / "register.toml").write_text(merchant + readers)
    (tmp_path / "register.toml").chmod(0o600)
    books = LedgerStore.open(":memory:")
    import_register(books, tmp_path / "register.toml")
    second = kit.device_keys(1002)
    assert books.speaking_keys(1001, SITE) == [kit.device_keys(1001)["device_key"]]
    assert books.speaking_keys(1002, SITE) == [second["device_key"], second["previous_device_key"]]
    books.close()


def test_a_key_is_not_handed_out_under_the_name_of_its_public_half(vault, tmp_path):
    """The public one lay there then, and the word was that nothing had been handed out."""
    with pytest.raises(KeysError, match="public half"):
        export(vault, "update", "wang", 0, tmp_path / "wang.pub", "")
    assert not (tmp_path / "wang.pub").exists()


def test_a_departments_name_stays_one_value_of_the_register(vault, tmp_path):
    """Whatever stands in it; a quotation mark had ended it, and what follows was read as keys."""
    kit = kit_of(vault, tmp_path)
    named = 'General "Affairs"\\\nkey = "00"'
    facts = {"merchant_no": 71, "department": named}
    (row,) = tomllib.loads(site_kit.register(kit, [1001], facts).decode())["device"]
    assert row["department"] == named and row["key"] == kit.device_keys(1001)["device_key"].hex()
    written = site_kit.register(kit, [7], {"department": "总务处"})
    (row,) = tomllib.loads(written.decode())["device"]
    assert row["department"] == "总务处"


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (["1003-1001", "7"], "FIRST-LAST"),
        (["1-4294967295"], "at most"),
        (["1-99999999999999999999"], "4294967295"),
        (["1001-1003", "1002"], "twice"),
        (["0"], "4294967295"),
        (["9" * 5_000], "4294967295"),
    ],
)
def test_readers_that_cannot_be_meant_get_no_register(vault, tmp_path, numbers, why):
    """A slip of the key had taken all of the machine's memory, or left readers out in silence."""
    kit_of(vault, tmp_path)
    words = [word for number in numbers for word in ("--device", number)]
    out = "--merchant", 71, "--out", tmp_path / "register.toml"
    done = onecard("keys", "register", tmp_path / "kit", *words, *out)
    assert done.exit_code == 2 and why in done.stderr, done.output
    assert not (tmp_path / "register.toml").exists()


# --- what a failure leaves -----------------------------------------------------------------------


class Killed(BaseException):
    """SIGKILL: nothing of ours runs behind it."""


def cut_points(monkeypatch, act, folder):
    """Run `act` again and again, killed before each of its system calls in turn; how many."""
    calls = ("open", "fchmod", "fsync", "replace", "link")
    for cut in range(200):
        count, dead = iter(range(1000)), []

        def at(real, cut=cut, count=count, dead=dead):
            def call(*words, **options):
                if next(count) == cut:
                    dead.append(cut)
                    raise Killed
                return real(*words, **options)

            return call

        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(files.os, name, at(getattr(os, name)))
            # Whoever is killed does not tidy up.
            patch.setattr(type(folder), "unlink", tidy_until_dead(dead))
            try:
                act()
                return cut
            except Killed:
                pass
        yield_to = opened_again(folder)
        assert [entry.generation for entry in yield_to.entries if entry.kind == "card"] in (
            [1],
            [1, 2],
        )
        act.reset()
    raise AssertionError("it never ends")


def tidy_until_dead(dead):
    unlink = type(Path()).unlink

    def call(path, missing_ok=False):
        if not dead:
            unlink(path, missing_ok=missing_ok)

    return call


def test_killed_anywhere_the_folder_is_the_old_or_the_new_one(vault, folder, monkeypatch):
    before = (folder / FILE).read_bytes()

    class Rotate:
        def __call__(self):
            opened_again(folder).rotate_key("card", [""], NOW_S)

        def reset(self):
            (folder / FILE).write_bytes(before)

    assert cut_points(monkeypatch, Rotate(), folder) >= 5
    assert sorted(path.name for path in folder.iterdir()) == [FILE]
    assert opened_again(folder).card()[0] == 2


def test_killed_while_it_is_handed_out_no_key_lies_about(vault, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    key = vault.site(SITE).key.hex()

    class HandOut:
        def __call__(self):
            export(vault, "site", SITE, 0, out / "kit", "pays")

        def reset(self):
            for path in out.iterdir():  # under its own name it is whole, or it is not there
                assert path.name == "kit" and key in path.read_text()
                path.unlink()

    points = cut_points(monkeypatch, HandOut(), vault._path.parent)
    assert points >= 4 and site_kit.read(out / "kit").site == SITE


@pytest.mark.parametrize("number", [28, 5, 30])
def test_a_full_or_broken_disk_loses_nothing_and_leaves_no_temp_file(
    vault, folder, tmp_path, monkeypatch, number
):
    before = (folder / FILE).read_bytes()

    def full(_handle):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(KeysError, match="nothing was changed"):
            vault.rotate_key("card", [""], NOW_S)
        with pytest.raises(KeysError, match="nothing was handed out"):
            export(opened_again(folder), "update", "wang", 0, tmp_path / "wang.pem", "")
    assert (folder / FILE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys"]
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_a_folder_or_file_that_others_can_read_is_refused(folder, vault, tmp_path):
    os.chmod(folder / FILE, 0o640)
    with pytest.raises(KeysError, match=r"others may read it \(mode 0640\): chmod 600"):
        Vault(folder)
    os.chmod(folder / FILE, 0o600)
    export(vault, "site", SITE, 0, tmp_path / "kit", "pays")
    assert stat.S_IMODE((tmp_path / "kit").stat().st_mode) == 0o600
    os.chmod(tmp_path / "kit", 0o644)
    with pytest.raises(KeysError, match="others may read it"):
        site_kit.read(tmp_path / "kit")


def test_an_open_folder_is_refused(folder):
    os.chmod(folder, 0o755)
    with pytest.raises(KeysError, match="chmod 700"), Vault.held(folder):
        pass


def test_two_at_a_time_are_refused(folder):
    with Vault.held(folder), pytest.raises(KeysError, match="somebody else"), Vault.held(folder):
        pass


def test_nothing_is_written_over(vault, folder, tmp_path):
    (tmp_path / "kit").write_text("mine")
    with pytest.raises(KeysError, match="is there already"):
        export(vault, "site", SITE, 0, tmp_path / "kit", "pays")
    assert (tmp_path / "kit").read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "",
        'site = "canteen-1"',
        'site = "a"\ngeneration = 1\nkey = "00"\n[devices]\n[card]\n',
        "\xff",
    ],
)
def test_a_torn_kit_is_refused_and_not_repeated(tmp_path, text):
    path = tmp_path / "kit"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeysError, match=r"torn|wrong form") as caught:
        site_kit.read(path)
    assert "00" not in str(caught.value).replace(str(path), "")


@pytest.mark.parametrize("at", range(0, 900, 60))
def test_a_damaged_folder_is_an_error_and_never_another_key(vault, folder, at):
    data = bytearray((folder / FILE).read_bytes())
    data[at % len(data)] ^= 1
    (folder / FILE).write_bytes(data)
    try:
        again = opened_again(folder)
    except KeysError:
        return
    # A blank between two values is nobody's business.
    assert again.site(SITE).key == vault.site(SITE).key


# --- the command -------------------------------------------------------------------------------


def onecard(*words, said=()):
    return CliRunner().invoke(app, [str(word) for word in words], input="\n".join([*said, ""]))


def test_the_whole_life_on_the_command_line_prints_no_secret(folder, tmp_path):
    said = list(TWO.values())
    by = ("--by", "wang", "--by", "li")
    output = ""
    for words, lines in (
        (("init", tmp_path / "others", "--person", "wang", "--person", "li"), said),
        (("create", folder, "site", SITE, "gate-2", *by), said),
        (("create", folder, "card", *by, "--first", 3), said),
        (("rotate", folder, "device", f"{SITE}/1001", *by), said),
        (("export", folder, "site", SITE, *by, "--out", tmp_path / "kit"), said),
        (
            (
                "register",
                tmp_path / "kit",
                "--device",
                "1001-1003",
                "--merchant",
                71,
                "--out",
                tmp_path / "register.toml",
            ),
            (),
        ),
        (("rotate", folder, "root", *by), [*said, *said]),
        (
            ("persons", folder, *by, "--person", "li", "--person", "zhao"),
            [*said, SAID["li"], SAID["zhao"]],
        ),
        (("show", folder), ()),
    ):
        done = onecard("keys", *words, said=lines)
        assert done.exit_code == 0, (words, done.output)
        output += done.output
    kit = site_kit.read(tmp_path / "kit")
    secrets = [kit.keys.key, kit.device_keys(1001)["device_key"], *kit.card.values()]
    assert kit.card_version == 3 and len(secrets) == 4
    assert not [key for key in secrets if key.hex() in output]
    assert not [passphrase for passphrase in SAID.values() if passphrase in output]
    assert "root 2: any two of li, zhao" in output and "card, generation 3" in output


BY, BOTH = ("--by", "wang", "--by", "li"), list(TWO.values())


@pytest.mark.parametrize(
    ("words", "said", "why"),
    [
        (("create", "site", "--by", "wang", "--by", "wang"), [SAID["wang"]] * 2, "two persons"),
        (("create", "site", "--by", "wang"), [SAID["wang"]], "two persons"),
        (("create", "site", *BY), BOTH, "give a name"),
        (
            ("create", "card", "x", "--by", "wang", "--by", "li"),
            list(TWO.values()),
            "without a name",
        ),
        (("create", "site", "No", *BY), BOTH, "a-z"),
        (
            ("rotate", "site", "other", "--by", "wang", "--by", "li"),
            list(TWO.values()),
            "there is none",
        ),
        (("create", "site", "a", *BY), ["no", "no"], "wrong passphrase"),
        (
            ("rotate", "device", "a-1", "--by", "wang", "--by", "li"),
            list(TWO.values()),
            "SITE/NUMBER",
        ),
    ],
)
def test_wrong_use_is_refused_with_the_reason(folder, words, said, why):
    done = onecard("keys", words[0], folder, *words[1:], said=said)
    assert done.exit_code == 2 and why in done.stderr
    assert not any(line in done.output for line in SAID.values())


def test_weak_passphrases_are_refused(tmp_path):
    for weak in ("short", "aaaaaaaaaaaaaa", "my name is wang 1"):
        done = onecard(
            "keys",
            "init",
            tmp_path / "k",
            "--person",
            "wang",
            "--person",
            "li",
            said=[weak, SAID["li"]],
        )
        assert done.exit_code == 2 and weak not in done.output
        assert not (tmp_path / "k" / FILE).exists()
