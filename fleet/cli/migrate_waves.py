"""`kapok migrate waves`: when each terminal's turn is."""

from dataclasses import replace
from typing import Any

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table

_WHOLE = click.IntRange(0)


def wave_options(command: Any) -> Any:
    """Options by which waves are made; what is not given stays as the programme has it."""
    for name, kind, text in (
        ("pause", None, "Dates on which nobody works: 2027-02-01..2027-02-15. Repeat it."),
        ("freeze", None, "Days of the month on which nothing billed is touched: 28-3. Repeat it."),
        ("wave-days", _WHOLE, "Days of a wave behind the canary; 7."),
        ("watch", _WHOLE, "Days in which the canary is watched, before more; 14."),
        ("canary-least", _WHOLE, "Terminals of the canary at least; 10."),
        ("canary", _WHOLE, "Permille of the terminals that go first; 10."),
        ("remote", _WHOLE, "Terminals a day that need no visit; 500."),
        ("travel", _WHOLE, "Minutes from street to street; 30."),
        ("work", str, "When crews work, local time; mon-fri 08:30-17:30."),
        ("start", str, "The first day, such as 2026-12-01; default: tomorrow."),
    ):
        several = {"multiple": True} if kind is None else {"type": kind}
        command = click.option(f"--{name}", help=text, **several)(command)
    return command


def settings_from(kept: Any, said: dict[str, Any]) -> Any:
    """Wave settings of a programme with what the options say; MigrationError."""
    from fleet.migration import wave_settings
    from fleet.migration.entries import day_of
    from fleet.migration.errors import MigrationError
    from fleet.registry.operations import now_us

    changes = {key: value for key, value in said.items() if value not in (None, ())}
    if "pause" in changes:
        changes["pauses"] = changes.pop("pause")
    if "start" in changes:
        day = day_of(changes["start"])
        if day is None:
            raise MigrationError(f"start {changes['start'][:24]!r}: such as 2026-12-01")
        changes["start"] = day
    elif not kept.start:
        changes["start"] = now_us() // 86_400_000_000 + 1
    return wave_settings.check(replace(kept, **changes))


@click.command()
@click.argument("name")
@click.option("--crews", type=_WHOLE, help="Technicians' crews; 2.")
@wave_options
@json_option
@one_line_errors
def waves(name: str, as_json: bool, **said: Any) -> None:
    """Make a programme's waves: the canary, then those whose network ends first, street by street.

    What is under way keeps its wave. Options that are not given stay as they were.

    Example: kapok migrate waves gas-tianhe --crews 4 --start 2026-12-01 --freeze 28-3
    """
    from fleet.migration import planner, scheduling, summary, wave_list, wave_settings

    with database() as db, db.begin() as session:
        programme = planner.get(session, name)
        settings = settings_from(wave_settings.of_programme(programme.settings), said)
        made = scheduling.schedule(session, programme, settings)
        found = wave_list.waves(session, programme)
        total = summary.of(session, programme)
    if as_json:
        say_json(
            {"programme": name, **made._asdict(), "settings": wave_settings.dumps(settings),
             **total.as_json(), "list": [one.as_json() for one in found]}
        )  # fmt: skip
        return
    say_table(f"waves of {name}", wave_list.HEADINGS, [one.row() for one in found])
    for why, count in made.unplaced.items():
        click.echo(f"{count} without a day: {why}")
    if made.late:
        click.echo(f"{made.late} come after the end of their network: more crews, or a bridge")
    click.echo(total.line())
