"""`kapok readings`."""

from datetime import UTC, datetime, timedelta

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table


class _Time(click.ParamType[int]):
    """ISO 8601, UTC where no zone is named; converts to microseconds since 1970."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{str(value)[:40]!r} is no ISO 8601 time, such as 2026-11-23T08:00", param)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@click.command()
@click.option("--node", default="", help="Only readings that came by this node.")
@click.option("--asset", type=int, help="Only readings of this asset.")
@click.option("--quantity", default="", help="By name or number, such as level.")
@click.option("--since", type=_Time(), help="From this time on (ISO 8601).")
@click.option("--until", type=_Time(), help="Before this time.")
@click.option("--after", default="", help="Continue behind this page: the `after` of --json.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def readings(
    node: str,
    asset: int | None,
    quantity: str,
    since: int | None,
    until: int | None,
    after: str,
    limit: int,
    as_json: bool,
) -> None:
    """Show readings by time, oldest first.

    Example: kapok readings --node 1gntj14d2p --quantity level --since 2026-11-23
    """
    from fleet.api.routes import reading_out
    from fleet.registry.operations import check_node_id
    from fleet.telemetry import operations as telemetry

    code = telemetry.quantity_code(quantity) if quantity else None
    if node:
        check_node_id(node)
    wanted = telemetry.Filter(asset, node, code, since, until)
    with database() as db, db.read() as session:
        found = telemetry.page(session, wanted, telemetry.read_cursor(after), limit)
    rows = [reading_out(row) for row in found]
    more = telemetry.cursor(found[-1]) if len(found) == limit else None
    if as_json:
        listed = [{**row.model_dump(), "time": iso(row.time_us)} for row in rows]
        say_json({"readings": listed, "after": more})
        return
    headings = ["time", "asset", "node", "quantity", "value", "quality", "trust"]
    say_table(
        "readings",
        headings,
        [
            [iso(r.time_us) + (" (clock off)" if r.clock_off else ""), str(r.asset_id), r.node,
             r.quantity, r.text, r.quality, r.trust]
            for r in rows
        ],
    )  # fmt: skip
    if more:
        click.echo(f"more: --after {more}", err=True)
