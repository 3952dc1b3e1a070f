"""`onecard ca`: certificates for readers, agents, brokers and the ledger."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import Json, refuse

ca = typer.Typer(
    help="Certificates for readers, agents, brokers and the ledger.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="The authority's folder, for nobody else's eyes.")]
WhoseName = Annotated[str, typer.Argument(help="SITE/NUMBER, SITE/agent, ledger; or a host.")]
Out = Annotated[Path, typer.Option(help="A new folder for key and certificate.")]
IsBroker = Annotated[bool, typer.Option("--broker", help="NAME is the host of a broker.")]
Days = Annotated[int, typer.Option(min=0, help="How long; 0: a reader 1825 days, others 730.")]


@ca.command("init")
def ca_init(
    folder: Folder,
    name: Annotated[str, typer.Option(help="What stands in its certificate.")] = "onecard",
) -> None:
    """Make a new authority in FOLDER."""
    from tools.identity.authority import Authority, AuthorityError

    try:
        Authority.create(folder, name, int(time.time()))
    except (AuthorityError, OSError) as error:
        refuse(error)
    typer.echo(f"{folder / 'ca.pem'}: for everybody; {folder / 'crl.pem'}: for brokers")


@ca.command("issue")
def ca_issue(
    folder: Folder,
    name: WhoseName,
    out: Out,
    is_broker: IsBroker = False,
    also: Annotated[
        list[str] | None, typer.Option(help="With --broker: a further name or address of it.")
    ] = None,
    days: Days = 0,
) -> None:
    """Make a key and a certificate for NAME."""
    _sign(folder, name, out, is_broker, "issue", also or [], days)


@ca.command("renew")
def ca_renew(
    folder: Folder, name: WhoseName, out: Out, is_broker: IsBroker = False, days: Days = 0
) -> None:
    """Make a new key and certificate for NAME; the one before stays good until it is revoked."""
    _sign(folder, name, out, is_broker, "renew", [], days)


def _sign(
    folder: Path, text: str, out: Path, is_broker: bool, verb: str, also: list[str], days: int
) -> None:
    from tools.identity import names
    from tools.identity.authority import Authority, AuthorityError

    try:
        if also and not is_broker:
            raise names.BadName("--also: only a broker has several names")
        name = names.broker(text) if is_broker else names.client(text)
        hosts = [names.broker(host).text for host in also]
        now_s = int(time.time())
        with Authority.opened(folder) as authority:
            if verb == "renew":
                entry = authority.renew(name, out, now_s, days=days)
            else:
                entry = authority.issue(name, out, now_s, days=days, hosts=hosts)
    except (AuthorityError, names.BadName, OSError) as error:
        refuse(error)
    typer.echo(f"{out}: {entry.name}, serial {entry.serial}, until {_day(entry.not_after_s)}")


@ca.command("revoke")
def ca_revoke(
    folder: Folder,
    name: WhoseName,
    is_broker: IsBroker = False,
    but_newest: Annotated[
        bool, typer.Option("--but-newest", help="Only what was replaced by `renew`.")
    ] = False,
) -> None:
    """Revoke the certificates of NAME. Brokers need crl.pem anew, and a restart."""
    from tools.identity import names
    from tools.identity.authority import Authority, AuthorityError

    try:
        whose = names.broker(name) if is_broker else names.client(name)
        with Authority.opened(folder) as authority:
            gone = authority.revoke(whose, int(time.time()), but_newest=but_newest)
    except (AuthorityError, names.BadName, OSError) as error:
        refuse(error)
    for entry in gone:
        typer.echo(f"{entry.name}, serial {entry.serial}: revoked")
    typer.echo(f"{folder / 'crl.pem'}: to every broker, and restart it")


@ca.command("list")
def ca_list(
    folder: Folder,
    within: Annotated[
        int, typer.Option(min=0, help="Only good ones that end within so many days; 0: all.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """List what was issued, and until when it is good."""
    import json
    from dataclasses import asdict

    from tools.identity.authority import DAY_S, Authority, AuthorityError

    now_s = int(time.time())
    try:
        with Authority.opened(folder) as authority:
            entries = authority.entries
    except (AuthorityError, OSError) as error:
        refuse(error)
    if within:
        end_s = now_s + within * DAY_S
        entries = [
            entry for entry in entries if entry.is_good(now_s) and entry.not_after_s < end_s
        ]
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries]))
        return
    for entry in entries:
        state = "revoked" if entry.revoked_s is not None else ""
        state = state or ("good" if entry.is_good(now_s) else "expired")
        until = _day(entry.not_after_s)
        typer.echo(
            f"{entry.name:28} {state:8} until {until}  ca-{entry.generation}  {entry.serial}"
        )


@ca.command("next")
def ca_next(folder: Folder) -> None:
    """Add an authority that follows the one of now. Bring ca.pem to everybody, then renew."""
    from tools.identity.authority import Authority, AuthorityError

    try:
        with Authority.opened(folder) as authority:
            number = authority.next_generation(int(time.time()))
    except (AuthorityError, OSError) as error:
        refuse(error)
    typer.echo(f"{folder}: ca-{number} signs from now on; {folder / 'ca.pem'}: to everybody first")


@ca.command("retire")
def ca_retire(
    folder: Folder, number: Annotated[int, typer.Argument(help="The authority's number.")]
) -> None:
    """Trust authority NUMBER no longer; refused while anything of it is good."""
    from tools.identity.authority import Authority, AuthorityError

    try:
        with Authority.opened(folder) as authority:
            authority.retire(number, int(time.time()))
    except (AuthorityError, OSError) as error:
        refuse(error)
    typer.echo(f"{folder / 'ca.pem'}: without ca-{number}")


def _day(at_s: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))
