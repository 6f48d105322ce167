"""`kapok migrate import`: the inventory, sunsets and models, with a report per line."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table

_SHEETS = ("tacs", "sunsets", "meters")  # that come in whole
_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("import")
@click.argument("path", type=_file, required=False, metavar="[TERMINALS]")
@click.option("--sunsets", type=_file, help="Operator, bearer, area, day: when networks end.")
@click.option("--tacs", type=_file, help="TAC, model, bearers, module: what modems can.")
@click.option("--meters", type=_file, help="Meters behind DTUs: terminal, asset, kind, address.")
@click.option("--dry-run", is_flag=True, help="Say what would come of it; keep nothing.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Every line, as CSV."
)
@click.option("--limit", type=click.IntRange(0, 100_000), default=50, show_default=True,
              help="So many lines with faults are shown.")  # fmt: skip
@json_option
@one_line_errors
def import_(
    path: Path | None,
    sunsets: Path | None,
    tacs: Path | None,
    meters: Path | None,
    dry_run: bool,
    report: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    """Bring in terminals of a CSV or XLSX file, as they are.

    The first line names the columns, in English or Chinese; terminal, asset, kind and area must
    be there. A line with a fault comes in without what is wrong in it; one that is refused does
    not. The same file again changes nothing. Exit code 1 when a line was refused.

    Example: kapok migrate import terminals.xlsx --sunsets sunsets.csv --report report.csv
    """
    from fleet.migration import behind, entries, inventory, networks
    from fleet.migration.sheets import Sheet

    if path is None and sunsets is None and tacs is None and meters is None:
        raise click.UsageError("a file of terminals, --sunsets, --tacs or --meters FILE")
    said: dict[str, Any] = {}
    with database() as db:
        if tacs is not None:
            sheet = Sheet(tacs, "tacs", networks.TAC_COLUMNS)
            said["tacs"] = _whole(db, sheet, networks.take_tacs, dry_run)
        if sunsets is not None:
            sheet = Sheet(sunsets, "sunsets", networks.SUNSET_COLUMNS)
            said["sunsets"] = _whole(db, sheet, networks.take_sunsets, dry_run)
        if path is not None:
            sheet = Sheet(path, "terminals", entries.NEEDED)
            run = inventory.rehearse if dry_run else inventory.bring_in
            said["terminals"] = _lines(run(db, sheet), report, limit)
        if meters is not None:  # behind terminals that may have come with them
            said["meters"] = _whole(
                db, Sheet(meters, "meters", behind.NEEDED), behind.take, dry_run
            )
    said["dry_run"] = dry_run
    _say(said, as_json)


def _whole(db: Any, sheet: Any, take: Any, dry_run: bool) -> dict[str, Any]:
    """A sheet in one transaction."""
    with db.begin() as session:
        taken = list(take(session, sheet))
        if dry_run:
            session.rollback()
    refused = [one._asdict() for one in taken if one.outcome == "refused"]
    return {"lines": len(taken), "refused": refused}


def _lines(told: Any, report: Path | None, limit: int) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    file = report.open("w", encoding="utf-8-sig", newline="") if report else None
    try:
        rows = csv.writer(file) if file else None
        if rows:
            rows.writerow(["line", "terminal", "outcome", "code", "detail"])
        for one in told:
            outcomes[one.outcome] += 1
            codes.update(code for code, _ in one.faults)
            for code, detail in one.faults or (("", ""),) if rows else ():
                rows.writerow([one.line, _inert(one.number), one.outcome, code, _inert(detail)])  # type: ignore[union-attr]
            if one.faults and len(shown) < limit:
                faults = [{"code": code, "detail": detail} for code, detail in one.faults]
                shown.append({**one._asdict(), "faults": faults})
    finally:
        if file:
            file.close()
    return {
        "lines": outcomes.total(),
        **{name: outcomes[name] for name in ("added", "changed", "same", "refused")},
        "faults": dict(sorted(codes.items())),
        "shown": shown,
    }  # fmt: skip


def _inert(text: str) -> str:
    # A spreadsheet would execute what begins so.
    return f"'{text}" if text[:1] in "=+-@" else text


def _say(said: dict[str, Any], as_json: bool) -> None:
    refused = sum(len(said[name]["refused"]) for name in _SHEETS if name in said)
    refused += said.get("terminals", {}).get("refused", 0)
    if as_json:
        say_json(said)
    else:
        for name in _SHEETS:
            for one in said.get(name, {}).get("refused", []):
                click.echo(f"{name}, line {one['line']}: {one['fault']}")
            if name in said:
                click.echo(f"{said[name]['lines']} {name}")
        _say_terminals(said.get("terminals"))
        if said["dry_run"]:
            click.echo("dry run: nothing was kept")
    if refused:
        raise click.ClickException(f"{refused} line(s) were refused: see above, or --report FILE")


def _say_terminals(found: dict[str, Any] | None) -> None:
    if found is None:
        return
    rows = [
        [str(one["line"]), one["number"], one["outcome"], each["code"], each["detail"]]
        for one in found["shown"]
        for each in one["faults"]
    ]
    if rows:
        say_table("what is wrong", ["line", "terminal", "outcome", "fault", "detail"], rows)
    parts = ", ".join(
        f"{found[name]} {name}"
        for name in ("added", "changed", "same", "refused")
        if found.get(name)
    )
    click.echo(f"{found['lines']} lines: {parts or 'nothing'}")
    for code, count in found["faults"].items():
        click.echo(f"  {count} {code}")
