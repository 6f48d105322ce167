"""`kapok install` and `kapok swap`: a scanned label becomes an installation."""

from pathlib import Path

import rich_click as click

from fleet.cli import field_acts
from fleet.cli.common import json_option, one_line_errors


@click.command()
@click.option("--scan", default="", help="The text of the node's label.")
@click.option("--asset", default="", help="What it measures: a name, or id:17.")
@click.option("--lat", default="", help="Latitude, decimal degrees of WGS-84.")
@click.option("--lon", default="", help="Longitude, decimal degrees of WGS-84.")
@click.option("--address", default="", help="Street address.")
@click.option(
    "--photo",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="Photo of the place; its path and SHA-256 are noted.",
)
@click.option("--area", default="", help="Area code of the place; default: the node's.")
@click.option("--move", is_flag=True, help="The node may be installed elsewhere: it leaves there.")
@field_acts.person_option
@field_acts.queue_option
@click.option(
    "--replay",
    "replayed",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="Take in the acts of a file; each is done once, however often this is repeated.",
)
@json_option
@one_line_errors
def install(
    scan: str,
    asset: str,
    lat: str,
    lon: str,
    address: str,
    photo: Path | None,
    area: str,
    move: bool,
    person: str,
    queue: Path | None,
    replayed: Path | None,
    as_json: bool,
) -> None:
    """Link a node, an asset and a place, by the text of the node's label.

    An asset of that name in the area is taken, or else made. All or nothing.

    Example: kapok install --scan 'kapok:1gntj14d2p;c=a2fd' --asset 'Meter 4711' --lat 23.1291 --lon 113.2644
    """  # noqa: E501
    from fleet.registry import acts, places
    from fleet.registry.labels import parse
    from fleet.registry.operations import check_text, now_us

    if replayed is not None:
        if scan or asset or queue:
            raise click.UsageError("--replay FILE stands alone")
        field_acts.replay(replayed, as_json)
        return
    if not scan or not asset:
        raise click.UsageError("--scan TEXT and --asset NAME, or --replay FILE")
    if bool(lat) != bool(lon):
        raise click.UsageError("--lat and --lon go together")
    where = places.position(lat, lon) if lat else None
    hints = [hint for hint in (places.hint(*where),) if hint] if where else []
    latitude, longitude = where or (None, None)
    path, sha256 = field_acts.photo(photo)
    act = acts.Install(
        acts.new_id(), now_us(), field_acts.who(person), parse(scan),
        check_text(asset, "the asset's name"), area, latitude, longitude, path, sha256,
        check_text(address, "the address") if address else "", move,
    )  # fmt: skip
    field_acts.do_or_queue(act, queue, as_json, hints)


@click.command()
@click.option("--old", required=True, help="The text of the label of the node that goes.")
@click.option("--new", required=True, help="The text of the label of the node that comes.")
@click.option("--register-old", default="", help="What the old dial shows, such as 1234.567 m3.")
@click.option("--register-new", default="", help="What the new dial shows, such as 0.012 m3.")
@field_acts.person_option
@field_acts.queue_option
@json_option
@one_line_errors
def swap(
    old: str,
    new: str,
    register_old: str,
    register_new: str,
    person: str,
    queue: Path | None,
    as_json: bool,
) -> None:
    """Put a node in another's place; the asset's series goes on where the old register stood.

    Drain the old node's journal (kapok journal drain) before or after: its records find their asset by
    their time. Revoke the old node when it is drained: kapok node revoke.

    Example: kapok swap --old 'kapok:1gntj14d2p;c=a2fd' --new 'kapok:1gntj14d2q;c=b2dc' --register-old 1234.567 --register-new 0
    """  # noqa: E501
    from fleet.registry import acts, registers
    from fleet.registry.labels import parse
    from fleet.registry.operations import now_us

    for text in (register_old, register_new):  # before it waits in a file, not after
        if text:
            registers.scaled(text, "gas-meter")
    act = acts.Swap(
        acts.new_id(), now_us(), field_acts.who(person), parse(old), parse(new),
        register_old, register_new,
    )  # fmt: skip
    field_acts.do_or_queue(act, queue, as_json, [])
