"""`kapok metering show|consumption`: a meter's days, and what was used."""

from typing import Any

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.cli.metering_options import Day, area_option, check_area


@click.command()
@click.argument("asset_id", type=click.IntRange(1))
@click.option("--since", type=Day(), help="From this day on; default: the last 31.")
@click.option("--until", type=Day(), help="To this day, included; default: yesterday.")
@click.option("--all", "every", is_flag=True, help="What was replaced, too.")
@json_option
@one_line_errors
def show(asset_id: int, since: int | None, until: int | None, every: bool, as_json: bool) -> None:
    """Show a meter's days: the index at the end of each, read or estimated, how and why.

    Example: kapok metering show 17 --since 2026-11-01 --all
    """
    from fleet.registry.operations import now_us
    from fleet.telemetry.metering import days, listing

    last = days.ended(now_us()) if until is None else until
    first = last - 30 if since is None else since
    with database() as db, db.read() as session:
        rows = listing.of_asset(session, asset_id, first, last, every)
    if as_json:
        say_json(rows)
        return
    say_table(
        f"asset id:{asset_id}",
        ["day", "index", "used", "quality", "method", "reason", "reading of", "revision"],
        [
            [row["day"], row["index"], row["used"] or "", row["quality"], row["method"],
             row["reason"], iso(row["read_us"]), str(row["revision"])]
            for row in rows
        ],
    )  # fmt: skip


@click.command()
@area_option
@click.option("--asset", "asset_id", type=click.IntRange(1), help="One asset.")
@click.option("--since", type=Day(), required=True, help="The first day.")
@click.option("--until", type=Day(), required=True, help="The last day, included.")
@click.option(
    "--of", "of", type=click.Choice(["assets", "area", "city", "district", "street"]),
    default="assets", show_default=True, help="For each asset, or summed up by area.",
)  # fmt: skip
@click.option(
    "--by", "by", type=click.Choice(["whole", "month", "day"]), default="whole",
    show_default=True, help="For the whole time, or parts of it.",
)  # fmt: skip
@json_option
@one_line_errors
def consumption(
    area: str, asset_id: int | None, since: int, until: int, of: str, by: str, as_json: bool
) -> None:
    """Show what was used, by asset or area, in a time or in each day or month of it.

    Example: kapok metering consumption --area 440106 --of street --since 2026-11-01 --until
    2026-11-30
    """
    from fleet.telemetry.metering import days, listing

    if until < since:
        raise click.UsageError("--until lies before --since")
    if asset_id is not None and (of != "assets" or area):
        raise click.UsageError("--asset stands alone")
    check_area(area)
    rows: list[dict[str, Any]] = []
    with database() as db, db.read() as session:
        for first, behind in days.pieces(since, until + 1, by):
            if of == "assets":
                rows += listing.used_by_assets(session, first, behind, area, asset_id)
            else:
                rows += listing.used_by_areas(session, first, behind, area, of)
    if as_json:
        say_json(rows)
        return
    headings = list(rows[0]) if rows else ["used"]
    say_table("consumption", headings, [[str(row[name]) for name in headings] for row in rows])
