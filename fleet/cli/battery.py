"""`kapok battery`: how long a node's battery lasts, and which phase costs it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json

if TYPE_CHECKING:
    from fleet.battery.life import Life
    from fleet.battery.onboard import OnBoard

_WORK = ("sense", "work")  # phases that rest on an estimate of the chip's speed


@click.command()
@click.argument("node_type")
@click.option("--ecl", type=click.IntRange(0, 2), default=1, show_default=True, help="Coverage.")
@click.option("--report", default="daily", show_default=True, help="hourly, daily, 6h, weekly.")
@click.option("--sample", default="", help="As --report; by default the node type's.")
@click.option("--door", type=click.Choice(["coap", "mqtt"]), default="coap", show_default=True)
@click.option("--battery", "cell", default="", help="Of hw/batteries; by default the node type's.")
@click.option("--edrx", "edrx_s", type=float, default=0.0, help="To be reached every so many s.")
@click.option("--pulses", type=click.IntRange(0, 100_000), default=0, help="A day.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="FILE.svg or .png.")
@json_option
@one_line_errors
def battery(
    node_type: str,
    ecl: int,
    report: str,
    sample: str,
    door: str,
    cell: str,
    edrx_s: float,
    pulses: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compute the life of a battery from the figures of hw/ and the measured wakes of the
    firmware (make measure), with the assumption behind each number.

    Example: kapok battery gas-meter --ecl 1 --report daily --plot life.svg
    """
    from fleet.battery import life
    from fleet.battery.plot import save

    def of(by: str, level: int) -> "Life":
        return life.of(
            node_type, report, level, sample=sample, door=by, battery=cell, edrx_s=edrx_s,
            pulses=pulses,
        )  # fmt: skip

    found = of(door, ecl)
    others = {
        by: {level: of(by, level).budget.years for level in range(3)} for by in ("coap", "mqtt")
    }
    title = (
        f"{node_type}, {found.budget.battery.name}, {report} by {door}, ECL{ecl}:"
        f" {found.budget.years:.1f} years"
    )
    if plot is not None:
        save(found.budget, title, plot)
    if as_json:
        say_json(_as_json(found, others))
    else:
        _table(found, others, title)


def _uncertain(found: "Life") -> tuple[float, float]:
    # Half as fast a chip; a battery of which a tenth less is usable than hw/ says.
    from dataclasses import replace

    from fleet.battery.budget import slower

    budget = found.budget
    cell = budget.battery.model_copy(update={"usable": budget.battery.usable * 0.9})
    poorer = replace(budget, battery=cell)
    return slower(budget, _WORK, 2.0).years, poorer.years


def _as_json(found: "Life", others: dict[str, dict[int, float]]) -> dict[str, Any]:
    budget = found.budget
    half, poorer = _uncertain(found)
    return {
        "node_type": found.node.name,
        "battery": budget.battery.name,
        "chip": found.chip,
        "modem": found.modem,
        "door": found.plan.door,
        "ecl": found.plan.ecl,
        "report_s": found.plan.report_s,
        "sample_s": found.plan.sample_s,
        "years": round(budget.years, 2),
        "daily_mah": round(budget.daily_mah, 4),
        "self_discharge_mah": round(budget.self_mah, 4),
        "rows": [
            {"phase": row.phase, "mah": round(row.mah, 5), "basis": row.basis}
            for row in budget.rows
        ],
        "years_by_door": {
            door: {f"ecl{level}": round(years, 2) for level, years in levels.items()}
            for door, levels in others.items()
        },
        "on_board": None
        if found.on_board is None
        else {
            "rig": found.on_board.rig,
            "place": found.on_board.place,
            "date": found.on_board.date,
            **_measured(found.on_board),
        },
        "years_if_chip_half_as_fast": round(half, 2),
        "years_if_tenth_less_usable": round(poorer, 2),
    }


def _measured(board: "OnBoard") -> dict[str, float]:
    figures = board.current.model_dump(exclude_none=True)
    if board.time.turn_us is not None:
        figures["turn_us"] = board.time.turn_us
    return figures


def _table(found: "Life", others: dict[str, dict[int, float]], title: str) -> None:
    budget, plan = found.budget, found.plan
    cell = budget.battery
    total = budget.daily_mah + budget.self_mah
    click.echo(f"{title}\n")
    click.echo(f"{'phase':<15}{'uAh/day':>9}{'share':>7}  what it rests on")
    loss = f"{100 * cell.self_discharge:g} % of {cell.capacity_mah:g} mAh a year"
    rows = [(row.phase, row.mah, row.basis) for row in budget.rows]
    for phase, mah, basis in [*rows, ("self-discharge", budget.self_mah, loss)]:
        click.echo(f"{phase:<15}{1000 * mah:>9.0f}{100 * mah / total:>6.0f}%  {basis}")
    click.echo(f"{'all':<15}{1000 * total:>9.0f}{100:>6}%\n")
    click.echo(
        f"{cell.title}: {100 * cell.usable:g} % usable (temperature, end voltage), so"
        f" {cell.capacity_mah * cell.usable:.0f} mAh last {budget.years:.1f} years."
    )
    half, poorer = _uncertain(found)
    click.echo(
        f"Were the chip half as fast as hw/chips/{found.chip}.toml says: {half:.1f};"
        f" were a tenth less usable: {poorer:.1f}."
    )
    click.echo(f"\n{'years by':<15}" + "".join(f"{f'ECL{level}':>7}" for level in range(3)))
    for door, levels in others.items():
        name = "CoAP, OSCORE" if door == "coap" else "MQTT, TLS"
        click.echo(f"{name:<15}" + "".join(f"{levels[level]:>7.1f}" for level in range(3)))
    most = max(budget.rows, key=lambda row: row.mah)
    click.echo(f"\nThe most goes to: {most.phase}. Samples every {plan.sample_s} s.")
    click.echo(f"Wakes and contacts: hw/measured/{found.node.name}.toml (make measure).")
    if found.on_board is None:
        click.echo(f"Chip: estimates of hw/chips/{found.chip}.toml; no board was measured.")
    else:
        figures = ", ".join(f"{key} {value:g}" for key, value in _measured(found.on_board).items())
        click.echo(f"{found.on_board.says[:1].upper()}{found.on_board.says[1:]}: {figures}.")
