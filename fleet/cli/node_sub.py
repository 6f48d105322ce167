"""`kapok node sub`: meters and sensors behind a gateway, as assets of their own."""

from typing import Any

import rich_click as click

from fleet.cli import node_pass
from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table


@click.group()
def sub() -> None:
    """Sub-devices of a gateway: list, name, swap, and what a search of its line found.

    Which ones a gateway polls, its configuration says: the key `devices`.

    Example: kapok node sub list 1gntj14d2p
    """


sub.add_command(node_pass.pass_)


def _as_json(found: Any) -> dict[str, Any]:
    return {**found._asdict(), "from": iso(found.from_us), "to": iso(found.to_us) or None}


def _said(found: Any) -> str:
    return f"sub-device {found.number}: {found.name} (id:{found.asset_id}), {found.kind}"


@sub.command("list")
@click.argument("node_id")
@click.option("--history", is_flag=True, help="Meters that were replaced, too.")
@json_option
@one_line_errors
def list_(node_id: str, history: bool, as_json: bool) -> None:
    """List the sub-devices behind a gateway.

    Example: kapok node sub list 1gntj14d2p --json
    """
    from fleet.registry.sub_devices import list_subs

    with database() as db, db.read() as session:
        found = list_subs(session, node_id, history=history)
    if as_json:
        say_json([_as_json(one) for one in found])
        return
    headings = ["number", "asset", "kind", "name", "address", "from", "to"]
    rows = [
        [str(one.number), str(one.asset_id), one.kind, one.name, one.address, iso(one.from_us),
         iso(one.to_us)]
        for one in found
    ]  # fmt: skip
    say_table(f"sub-devices of {node_id}", headings, rows)


@sub.command("set")
@click.argument("node_id")
@click.argument("number", type=int)
@click.option("--asset", default="", help="Name of what it measures.")
@click.option("--kind", default="", help="Such as electricity-meter; --help of set names all.")
@click.option("--address", default="", help="The meter's address, as on its plate.")
@json_option
@one_line_errors
def set_(node_id: str, number: int, asset: str, kind: str, address: str, as_json: bool) -> None:
    """Say what a sub-device is. One that reports before has an asset of the kind sub-device.

    Kinds: electricity-meter, power-meter, water-meter, heat-meter, sub-gas-meter,
    environment-station, sub-device.

    Example: kapok node sub set 1gntj14d2p 2 --asset "Shop 12" --kind electricity-meter
    """
    from fleet.registry.sub_devices import name_sub

    with database() as db, db.begin() as session:
        found = name_sub(session, node_id, number, asset, kind, address)
    if as_json:
        say_json(_as_json(found))
    else:
        click.echo(_said(found))


@sub.command()
@click.argument("node_id")
@click.argument("number", type=int)
@click.option("--register-old", default="", help="Of the meter that goes, as its dial shows it.")
@click.option("--register-new", default="", help="Of the meter that comes.")
@click.option("--address", default="", help="Of the meter that comes, as on its plate.")
@json_option
@one_line_errors
def swap(
    node_id: str, number: int, register_old: str, register_new: str, address: str, as_json: bool
) -> None:
    """Another meter takes a sub-device's place, now: its asset's series goes on.

    Example: kapok node sub swap 1gntj14d2p 2 --register-old 1234.5 --register-new 0
    """
    from fleet.registry.sub_devices import swap_sub

    with database() as db, db.begin() as session:
        found = swap_sub(session, node_id, number, register_old, register_new, address)
    if as_json:
        say_json(_as_json(found))
    else:
        click.echo(f"{_said(found)}; register offset {found.register_offset}")


@sub.command("found")
@click.argument("node_id")
@json_option
@one_line_errors
def found_(node_id: str, as_json: bool) -> None:
    """What a gateway's searches of its line found. The command `scan` begins one.

    Example: kapok node sub found 1gntj14d2p
    """
    from fleet.registry.found_devices import list_found

    with database() as db, db.read() as session:
        rows = list_found(session, node_id)
    if as_json:
        say_json([{**one._asdict(), "seen": iso(one.seen_us)} for one in rows])
        return
    say_table(
        f"found by {node_id}",
        ["protocol", "address", "type", "baud", "seen"],
        [
            [one.protocol, one.address, f"{one.meter_type:02x}" if one.meter_type else "",
             str(one.baud), iso(one.seen_us)]
            for one in rows
        ],
    )  # fmt: skip
