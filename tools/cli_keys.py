"""`onecard keys`: the root that two persons open, and the keys that follow from it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.cli_options import Json, refuse

if TYPE_CHECKING:
    from tools.keys.vault import Vault

keys = typer.Typer(
    help="Root, site, device, card and update keys: create, rotate, hand out.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(help="The folder of keys, for nobody else's eyes.")]
Names = Annotated[list[str] | None, typer.Argument(help="Which; of devices SITE/NUMBER.")]
By = Annotated[list[str], typer.Option(help="Who opens the root; two of them.")]
Persons = Annotated[
    list[str], typer.Option("--person", help="Who can open the root from now on; 2 to 5.")
]
Out = Annotated[Path, typer.Option(help="A new file for it.")]
Generation = Annotated[int, typer.Option(min=0, help="0: the newest.")]


_READERS_MAX = 100_000


class Made(StrEnum):
    """What can be created."""

    SITE = "site"
    CARD = "card"
    UPDATE = "update"
    LEDGER = "ledger"


class Rotated(StrEnum):
    """What can be rotated."""

    ROOT = "root"
    SITE = "site"
    DEVICE = "device"
    CARD = "card"
    UPDATE = "update"
    LEDGER = "ledger"


class HandedOut(StrEnum):
    """What can be handed out."""

    CARD = "card"
    CREDIT = "credit"
    SITE = "site"
    UPDATE = "update"
    LEDGER = "ledger"


class Part(StrEnum):
    """How much a site's readers hold of the keys of cards."""

    PAYS = "pays"
    READS = "reads"


@keys.command("init")
def keys_init(folder: Folder, person: Persons) -> None:
    """Make a root in FOLDER that any two of the persons open together."""
    from tools.keys.passphrases import choose
    from tools.keys.vault import KeysError, Vault

    try:
        Vault.create(folder, choose(person))
    except KeysError as error:
        refuse(error)
    typer.echo(f"{folder}: any two of {', '.join(sorted(person))} open it")


@keys.command("persons")
def keys_persons(folder: Folder, by: By, person: Persons) -> None:
    """Say who opens the root from now on; whoever is not named does no longer."""
    from tools.keys.passphrases import choose

    with _opened(folder, by) as vault:
        vault.seal_for(choose(person))
        typer.echo(f"{folder}: any two of {', '.join(vault.persons)} have opened it until now")
    typer.echo(f"{folder}: from now on any two of {', '.join(sorted(person))}")


@keys.command("create")
def keys_create(
    folder: Folder,
    kind: Annotated[Made, typer.Argument()],
    by: By,
    names: Names = None,
    first: Annotated[
        int, typer.Option(min=1, help="Its generation, where older ones are not of this folder.")
    ] = 1,
) -> None:
    """Make the first generation of a key; of several sites or signers at once."""
    with _opened(folder, by) as vault:
        vault.create_key(kind.value, names or [""], int(time.time()), first)
        for name in names or [""]:
            typer.echo(_told(vault, kind.value, name))


@keys.command("rotate")
def keys_rotate(
    folder: Folder,
    kind: Annotated[Rotated, typer.Argument()],
    by: By,
    names: Names = None,
    person: Annotated[
        list[str] | None, typer.Option(help="Of the root: who opens the new one.")
    ] = None,
) -> None:
    """Make the next generation of a key; the one before is good until it is retired."""
    from tools.keys.passphrases import choose
    from tools.keys.vault import DEVICE, ROOT

    with _opened(folder, by) as vault:
        if kind == ROOT:
            number = vault.rotate_root(choose(person or by))
            typer.echo(f"root {number}: what is made from now on follows from it")
            typer.echo("back the folder up now: no backup of before has this root")
        elif kind == DEVICE:
            for site, devices in _readers(names or []).items():
                vault.rotate_devices(site, devices)
                typer.echo(f"{site}: {len(devices)} readers; export its kit and its register")
        else:
            vault.rotate_key(kind.value, names or [""], int(time.time()))
            for name in names or [""]:
                typer.echo(_told(vault, kind.value, name))


@keys.command("retire")
def keys_retire(
    folder: Folder,
    kind: Annotated[Made, typer.Argument()],
    by: By,
    generation: Annotated[int, typer.Option(min=1)],
    name: Annotated[str, typer.Argument()] = "",
) -> None:
    """Hand an older generation out no more."""
    with _opened(folder, by) as vault:
        entry = vault.entry(kind.value, name, generation)
        vault.retire(kind.value, name, generation, int(time.time()))
        typer.echo(f"{entry}: retired")


@keys.command("export")
def keys_export(
    folder: Folder,
    kind: Annotated[HandedOut, typer.Argument()],
    by: By,
    out: Out,
    name: Annotated[str, typer.Argument()] = "",
    generation: Generation = 0,
    part: Annotated[
        Part, typer.Option(help="Of a site: for readers that take money, or doors and desks too.")
    ] = Part.PAYS,
) -> None:
    """Write a key to a new file of mode 0600, for whoever needs it."""
    from tools.keys.export import export

    with _opened(folder, by) as vault:
        typer.echo(export(vault, kind.value, name, generation, out, part.value))


@keys.command("register")
def keys_register(
    kit: Annotated[Path, typer.Argument(help="The kit of a site.")],
    device: Annotated[list[str], typer.Option(help="A number, or FIRST-LAST; more than once.")],
    merchant: Annotated[int, typer.Option(min=1, help="Their merchant's number.")],
    out: Out,
    department: Annotated[str, typer.Option(help="Who answers for them (R20).")] = "",
) -> None:
    """Write readers of a kit as the ledger's register takes them, with their keys."""
    from tools.identity import files
    from tools.keys import site_kit
    from tools.keys.vault import KeysError

    facts = {"merchant_no": merchant, **({"department": department} if department else {})}
    try:
        numbers = _numbers(device)
        text = site_kit.register(site_kit.read(kit), numbers, facts)
        files.deliver(out, text, files.SECRET)
    except (KeysError, OSError) as error:
        refuse(error)
    typer.echo(f"{out}: {len(numbers)} readers")


@keys.command("show")
def keys_show(folder: Folder, as_json: Json = False) -> None:
    """List which keys there are, without a passphrase and without a key."""
    import json
    from dataclasses import asdict

    from tools.keys.vault import KeysError, Vault

    try:
        with Vault.held(folder) as vault:
            persons, root, entries = vault.persons, vault.root, vault.entries
    except KeysError as error:
        refuse(error)
    if as_json:
        rows = [asdict(entry) for entry in entries]
        typer.echo(json.dumps({"persons": persons, "root": root, "keys": rows}))
        return
    typer.echo(f"root {root}: any two of {', '.join(persons)}")
    for entry in entries:
        state = f"retired {_day(entry.retired_s)}" if entry.retired_s is not None else "good"
        made = f"of root {entry.root}, since {_day(entry.made_s)}"
        typer.echo(f"{entry!s:36} {entry.check}  {made}: {state}")


@contextmanager
def _opened(folder: Path, by: list[str]) -> Iterator["Vault"]:
    from tools.keys.passphrases import ask
    from tools.keys.vault import KeysError, Vault

    try:
        with Vault.held(folder) as vault:
            vault.open(ask(by))
            yield vault
    except KeysError as error:
        refuse(error)


def _told(vault: "Vault", kind: str, name: str) -> str:
    entry = vault.current(kind, name)
    return f"{entry}: check value {entry.check}"


def _readers(names: list[str]) -> dict[str, list[int]]:
    from tools.keys.vault import KeysError

    found: dict[str, list[int]] = {}
    for name in names:
        site, _, number = name.partition("/")
        if not number.isascii() or not number.isdecimal():
            raise KeysError(f"{name}: a reader is SITE/NUMBER")
        found.setdefault(site, []).append(_number(number))
    if not found:
        raise KeysError("device: which? SITE/NUMBER")
    return found


def _numbers(texts: list[str]) -> list[int]:
    from tools.keys.vault import KeysError

    found: list[int] = []
    for text in texts:
        first, _, last = text.partition("-")
        numbers = [_number(each) for each in (first, last or first)]
        if numbers[0] > numbers[1]:
            raise KeysError(f"{text}: a number, or FIRST-LAST")
        if numbers[1] - numbers[0] >= _READERS_MAX - len(found):
            raise KeysError(f"{text}: a register has at most {_READERS_MAX} readers at once")
        found += range(numbers[0], numbers[1] + 1)
    if len(set(found)) < len(found):
        raise KeysError("a reader is named twice")
    return found


def _number(text: str) -> int:
    from tools.keys.vault import KeysError

    is_number = text.isascii() and text.isdecimal() and len(text) <= 10
    if not is_number or not 1 <= int(text) <= 0xFFFFFFFF:
        raise KeysError(f"{text[:20]}: readers have numbers from 1 to 4294967295, or FIRST-LAST")
    return int(text)


def _day(at_s: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))
