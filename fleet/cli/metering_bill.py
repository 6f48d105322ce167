"""`kapok metering close|export`: bills of an area, closed, exported and kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli import migrate_office
from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
    settings,
)
from fleet.cli.metering_options import Day, check_area
from fleet.cli.migrate_office import person_option

if TYPE_CHECKING:
    from fleet.telemetry.metering.bill_tables import BillExport


@click.command()
@click.option("--area", required=True, help="An area, and all in it.")
@click.option("--through", type=Day(), required=True, help="The last day of the period.")
@person_option
@json_option
@one_line_errors
def close(area: str, through: int, person: str, as_json: bool) -> None:
    """Close the bill of an area through a day, and export it: done once, however often repeated.

    Some days later is better than at once: readings that come until then need no estimate. What
    comes afterwards is a correction in the next export; this one never changes.

    Example: kapok metering close --area 440106 --through 2026-11-30
    """
    from fleet.telemetry.metering import bills

    by = migrate_office.who(person)
    check_area(area)
    with migrate_office.office() as office:
        export_ = bills.close(office, area, through, by)
    if as_json:
        say_json(_shown(export_))
        return
    click.echo(
        f"export {export_.id} of {area}: {export_.row_count} row(s), {export_.estimated} "
        f"estimated, {export_.corrections} correction(s), SHA-256 {export_.digest}"
    )
    click.echo(f"kapok metering export write {export_.id} --out bill.csv")


@click.group()
def export() -> None:
    """Exported bills: list them, write their files, prove that nothing was changed.

    Example: kapok metering export list
    """


@export.command("list")
@json_option
@one_line_errors
def list_(as_json: bool) -> None:
    """List exports, oldest first.

    Example: kapok metering export list --json
    """
    from sqlalchemy import select

    from fleet.telemetry.metering.bill_tables import BillExport

    with database() as db, db.read() as session:
        rows = list(session.scalars(select(BillExport).order_by(BillExport.id)))
    if as_json:
        say_json([_shown(row) for row in rows])
        return
    say_table(
        "exports",
        ["number", "area", "from", "to", "rows", "estimated", "corrections", "by", "SHA-256"],
        [
            [str(row.id), row.scope, iso(row.from_us), iso(row.to_us), _number(row.row_count),
             _number(row.estimated), _number(row.corrections), row.person,
             row.digest or "not finished"]
            for row in rows
        ],
    )  # fmt: skip


@export.command()
@click.argument("number", type=click.IntRange(1))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="The CSV file; beside it goes FILE.sha256.",
)  # fmt: skip
@json_option
@one_line_errors
def write(number: int, out: Path, as_json: bool) -> None:
    """Write an export's file, always the same bytes; refused where they are not those signed.

    Example: kapok metering export write 3 --out bill.csv && sha256sum -c bill.csv.sha256
    """
    from fleet.telemetry.metering import sealing

    with database() as db, db.read() as session:
        row = sealing.write(session, number, out)
    if as_json:
        say_json({**_shown(row), "file": str(out)})
    else:
        click.echo(f"{out}: {row.row_count} row(s), SHA-256 {row.digest}")


@export.command()
@json_option
@one_line_errors
def verify(as_json: bool) -> None:
    """Prove that every export is what was signed, and that its rows are what was billed.

    Example: kapok metering export verify
    """
    from fleet.migration import evidence_key
    from fleet.telemetry.metering import sealing
    from fleet.telemetry.metering.errors import MeteringError

    chosen = settings()
    with database(needs=chosen) as db:
        count, wrong = sealing.verify(db, evidence_key.trusted(chosen))
    if wrong and not as_json:
        raise MeteringError(wrong)
    if as_json:
        say_json({"exports": count, "ok": not wrong, "wrong": wrong or None})
        if wrong:
            raise SystemExit(1)
    else:
        click.echo(f"{count} export(s) are as they were signed")


def _shown(row: "BillExport") -> dict[str, Any]:
    names = (
        "id", "scope", "from_us", "to_us", "row_count", "estimated", "corrections", "digest",
        "person", "made_us",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
