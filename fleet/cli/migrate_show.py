"""`kapok migrate show`: programmes, items with their reasons, waves, cells, faults."""

from typing import Any

import rich_click as click

from fleet.cli.common import (
    data_folder,
    database,
    json_option,
    one_line_errors,
    say_json,
    say_table,
)


@click.command()
@click.argument("name", required=False)
@click.option("--faults", is_flag=True, help="What is wrong in the inventory, of all areas.")
@click.option("--items", is_flag=True, help="Each terminal: bearer, path and why.")
@click.option("--wave", type=click.IntRange(1), help="Items of this wave.")
@click.option("--bearer", default="", help="Items of this bearer, such as NB-IoT.")
@click.option("--terminal", default="", help="One terminal, and how each rule was answered.")
@click.option("--apn", default="", help="With --terminal: what its plug-in would send, with this.")
@click.option("--cells", is_flag=True, help="Load of the NB-IoT cells.")
@click.option("--after", type=click.IntRange(0), default=0, help="Items behind this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def show(
    name: str | None,
    faults: bool,
    items: bool,
    wave: int | None,
    bearer: str,
    terminal: str,
    apn: str,
    cells: bool,
    after: int,
    limit: int,
    as_json: bool,
) -> None:
    """Show all programmes, or one: cost and waves, its items, one terminal, or its cells.

    Example: kapok migrate show gas-tianhe --items --bearer NB-IoT
    """
    from fleet.migration import cells as loads
    from fleet.migration import fault_list, planner, scheduling, summary, wave_list

    with database() as db, db.read() as session:
        if faults:
            _faults(fault_list.faults(session, limit), as_json)
            return
        if name is None:
            _programmes(wave_list.programmes(session), as_json)
            return
        programme = planner.get(session, name)
        if terminal:
            subject, steps = scheduling.steps(session, programme, terminal)
            item = wave_list.items(session, programme, number=terminal)
            _terminal(terminal, steps, item, _sends(subject, item, apn), as_json)
        elif cells:
            found = scheduling.loads(session, programme)
            if as_json:
                say_json([one._asdict() for one in found])
            else:
                rows = [one.row() for one in found[:limit]]
                say_table(f"cells of {name}", loads.HEADINGS, rows)
        elif items or wave is not None or bearer:
            _items(wave_list.items(session, programme, after, limit, wave, bearer), as_json)
        else:
            total = summary.of(session, programme)
            waves = wave_list.waves(session, programme)
            _programme(name, programme.scope, total, waves, as_json)


def _faults(found: list[Any], as_json: bool) -> None:
    if as_json:
        say_json([one._asdict() for one in found])
    else:
        rows = [[one.terminal, one.area, one.code, one.detail, one.source] for one in found]
        say_table("faults", ["terminal", "area", "fault", "detail", "source"], rows)


def _programmes(found: list[tuple[str, str, int]], as_json: bool) -> None:
    if as_json:
        say_json([{"name": name, "area": area, "items": count} for name, area, count in found])
    else:
        rows = [[name, area, str(count)] for name, area, count in found]
        say_table("programmes", ["name", "area", "terminals"], rows)


def _programme(name: str, scope: str, total: Any, waves: list[Any], as_json: bool) -> None:
    from fleet.migration import summary, wave_list

    if as_json:
        listed = [one.as_json() for one in waves]
        say_json({"programme": name, "area": scope, **total.as_json(), "list": listed})
        return
    say_table(f"programme {name}, area {scope}", summary.HEADINGS, total.rows())
    if waves:
        say_table("waves", wave_list.HEADINGS, [one.row() for one in waves])
    click.echo(total.line())


def _items(found: list[Any], as_json: bool) -> None:
    if as_json:
        say_json([one.as_json() for one in found])
        return
    for one in found:
        day = f"  {one.as_json()['due_day']}" if one.due_day is not None else ""
        wave = "-" if one.wave is None else str(one.wave)
        faults = f"  [{', '.join(one.faults)}]" if one.faults else ""
        click.echo(
            f"{one.terminal}  {one.asset}  {one.path}  wave {wave}{day}  {one.state}{faults}"
        )
        click.echo(f"    {one.because}")


def _sends(subject: Any, found: list[Any], apn: str) -> tuple[list[Any], list[Any]]:
    """What is to be sent by its plug-in, and what takes it back, where configuration is its path
    and an APN is given; of other values the names.
    """
    from fleet.migration import plugins

    name = subject.model.configured_by if subject is not None and subject.model else ""
    if not apn or not name or not any(one.path == "configuration" for one in found):
        return [], []
    known = plugins.load(data_folder())
    if name not in known:
        raise click.ClickException(f"plug-in {name} is unknown: of {', '.join(known)}")
    target, values = found[0].bearer, {"apn": apn}
    return plugins.outline(known[name], target, values)


def _terminal(
    number: str, steps: list[Any], found: list[Any], sends: tuple[list[Any], list[Any]],
    as_json: bool,
) -> None:  # fmt: skip
    if not steps and not found:
        raise click.ClickException(f"terminal {number[:40]!r} is no part of this programme")
    if as_json:
        items = [one.as_json() for one in found]
        to, back = ([one._asdict() for one in several] for several in sends)
        say_json({"terminal": number, "items": items, "rules": [one._asdict() for one in steps],
                  "sends": to, "back": back})  # fmt: skip
        return
    _items(found, as_json=False)
    for one in steps:
        click.echo(f"  {'yes' if one.holds else 'no '}  {one.name} -> {one.bearer}: {one.when}")
    for word, several in zip(("", "back, "), sends, strict=True):
        for one in several:
            click.echo(f"  {word}{one.by}: {one.send}  -> {one.expects}")
