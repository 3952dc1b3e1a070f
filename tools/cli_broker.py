"""`onecard broker`: the configuration of a production broker."""

from pathlib import Path
from typing import Annotated

import typer

from tools.cli_options import refuse

broker = typer.Typer(help="Brokers for buildings and the card centre.", no_args_is_help=True)


@broker.command("config")
def broker_config(
    out: Annotated[Path, typer.Option(help="The folder for mosquitto.conf and acl.")],
    tls: Annotated[Path, typer.Option(help="What `ca issue --broker` made, and crl.pem.")],
    site: Annotated[str, typer.Option(help="For the building of this site.")] = "",
    centre: Annotated[bool, typer.Option("--centre", help="For the card centre.")] = False,
    strangers: Annotated[
        bool, typer.Option("--strangers", help="As in agent.toml: hear who was moved here.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8883,
    address: Annotated[str, typer.Option(help="Where to listen.")] = "0.0.0.0",
) -> None:
    """Write the configuration of Mosquitto: certificates only, each its own topics, bounds."""
    from tools.identity.broker import BrokerError, Listener, building_rights, centre_rights, write

    if bool(site) == centre or (strangers and centre):
        refuse("either --site, perhaps with --strangers, or --centre")
    try:
        rights = centre_rights() if centre else building_rights(site, strangers=strangers)
        write(out, Listener(port, address, tls), rights)
    except (BrokerError, OSError) as error:
        refuse(error)
    typer.echo(
        f"{out}: mosquitto.conf, acl, onecard.conf for systemd; "
        f"{tls}: ca.pem, crl.pem, certificate.pem, key.pem"
    )


@broker.command("cluster")
def broker_cluster(
    out: Annotated[Path, typer.Option(help="The folder for nats.conf.")],
    tls: Annotated[Path, typer.Option(help="What `ca issue --broker` made for this node.")],
    site: Annotated[list[str], typer.Option(help="A site whose agent may connect; all of them.")],
    node: Annotated[str, typer.Option(help="The node's name; no two have one.")],
    store: Annotated[Path, typer.Option(help="Its disk.")] = Path("/var/lib/nats"),
    route: Annotated[
        list[str] | None,
        typer.Option(help="Where nodes find each other, host:port: this one's first."),
    ] = None,
    secret: Annotated[
        Path | None, typer.Option(help="The file with the word that all nodes have in common.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8883,
    address: Annotated[str, typer.Option(help="Where to listen.")] = "0.0.0.0",
) -> None:
    """Write the configuration of a node of the card centre's cluster (nats-server)."""
    from adapters.failover import BadAddress, parse
    from tools.identity.broker import BrokerError
    from tools.identity.cluster import Node, write

    try:
        routes = [parse(text) for text in route or []]
        write(out, Node(node, address, port, tls, store, routes, secret), site)
    except (BadAddress, BrokerError, OSError) as error:
        refuse(error)
    typer.echo(f"{out}: nats.conf; {tls}: ca.pem, certificate.pem, key.pem")
