"""`kapok migrate survey`: measurements come in, and each site's coverage follows."""

from collections import Counter
from pathlib import Path

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table
from fleet.cli.migrate_plan import rules_option


@click.command()
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="[LOG]...",
)  # fmt: skip
@click.option("--area", required=True, help="Area code; coverage is computed for its sites.")
@click.option(
    "--source", type=click.Choice(["log", "survey"]), default="log", show_default=True,
    help="Logs of modems in the field, or readings of survey nodes.",
)  # fmt: skip
@rules_option
@json_option
@one_line_errors
def survey(
    paths: tuple[Path, ...], area: str, source: str, rules_file: Path | None, as_json: bool
) -> None:
    """Take in measurements (CSV, XLSX) and say what coverage each site has, and how sure that is.

    A line has bearer, at, rsrp or ecl, and a terminal, an asset or a position; rsrp none is no
    service. What the area's own nodes and survey nodes reported comes in by itself. Exit code 1
    when a line was refused; the others are in.

    Example: kapok migrate survey modem-logs.csv --area 440106
    """
    from fleet.migration import rules, samples, survey, survey_list, survey_nodes
    from fleet.migration.sheets import Sheet

    limits = rules.load(rules_file).coverage
    outcomes: Counter[str] = Counter()
    refused: list[dict[str, object]] = []
    with database() as db:
        for path in paths:
            sheet = Sheet(path, "samples", samples.NEEDED)
            for one in samples.take(db, sheet, source):
                outcomes[one.outcome] += 1
                if one.fault:
                    refused.append({"file": sheet.name, "line": one.line, "fault": one.fault})
        with db.begin() as session:
            outcomes["nodes"] = samples.of_nodes(session, area, limits["days"])
            outcomes["surveys"] = survey_nodes.take(session, area, limits["days"])
            survey.compute(session, area, limits)
        with db.read() as session:
            found = survey_list.counts(session, area)
    if as_json:
        said = {name: outcomes[name] for name in ("new", "known", "refused", "nodes", "surveys")}
        say_json({**said, "faults": refused, "coverage": [one._asdict() for one in found]})
    else:
        for fault in refused[:50]:
            click.echo(f"{fault['file']}, line {fault['line']}: {fault['fault']}")
        rows = [[*map(str, one)] for one in found]
        say_table(f"coverage of area {area}", survey_list.HEADINGS, rows)
        click.echo(
            f"{outcomes['new']} new measurements, {outcomes['known']} known already,"
            f" {outcomes['nodes']} of the area's nodes, {outcomes['surveys']} of survey nodes,"
            f" {len(refused)} refused"
        )
    if refused:
        raise click.ClickException(f"{len(refused)} line(s) were refused: see above")
