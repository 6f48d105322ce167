"""`kapok valve`: how soon a gas meter's valve is closed, and what that costs."""

from typing import Any

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json, say_table


@click.group()
def valve() -> None:
    """Valves of gas meters. To close or arm one: kapok command send valve-close.

    Example: kapok valve latency gas-meter --ecl 1
    """


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


@valve.command()
@click.argument("node_type", default="gas-meter")
@click.option("--ecl", type=click.IntRange(0, 2), default=1, show_default=True, help="Coverage.")
@json_option
@one_line_errors
def latency(node_type: str, ecl: int, as_json: bool) -> None:
    """Worst time until a command has closed a valve, by reporting plan, with the battery that it
    costs; and the time in which the node closes by itself.

    In power saving mode (PSM) a node hears a command with the answer to its next report. With eDRX
    the network reaches it between reports, at its next paging window; that takes a board whose
    modem can wake the chip, and an operator whose NAT keeps the way open.

    Example: kapok valve latency gas-meter --ecl 2 --json
    """
    from fleet.battery import reaching

    found = reaching.of(node_type, ecl)
    if as_json:
        say_json(_as_json(found))
        return
    rows = [
        [plan.name, _ago(plan.latency.worst_s), _ago(plan.latency.worst_s + plan.latency.failed_s),
         f"{1000 * plan.daily_mah:.0f}", f"{plan.daily_j:.1f}", f"{plan.years:.1f}"]
        for plan in found.plans
    ]  # fmt: skip
    say_table(
        f"closing a valve of {node_type} by command, ECL{ecl}, CoAP with OSCORE",
        ["plan", "worst", "one contact fails", "uAh/day", "J/day", "years"],
        rows,
    )
    contact = found.plans[0].latency
    click.echo(
        f"worst: period or paging cycle, contact {contact.contact_s:.1f} s, motor"
        f" {contact.drive_s:.0f} s (its limit: valve_drive_s)."
        f" Charge and energy are the whole node's; battery: {found.cell}."
    )
    say_table(
        "closing by itself, whatever the plan",
        ["event", "worst", "closes"],
        [[name, _ago(s), "yes" if name in found.closing else "told only"]
         for name, s in found.by_itself.items()],
    )  # fmt: skip
    click.echo("leak: a flow of twice leak_l_h. Figures: hw/measured, hw/chips, hw/batteries.")


def _as_json(found: Any) -> dict[str, Any]:
    return {
        "node_type": found.node_type,
        "ecl": found.ecl,
        "battery": found.cell,
        "plans": [
            {
                "plan": plan.name,
                "worst_s": round(plan.latency.worst_s, 1),
                "wait_s": plan.latency.wait_s,
                "contact_s": round(plan.latency.contact_s, 2),
                "drive_s": plan.latency.drive_s,
                "failed_contact_s": plan.latency.failed_s,
                "daily_mah": round(plan.daily_mah, 4),
                "daily_j": round(plan.daily_j, 3),
                "years": round(plan.years, 2),
            }
            for plan in found.plans
        ],
        "by_itself_s": {name: round(s, 1) for name, s in found.by_itself.items()},
        "closes_by_itself": sorted(found.closing),
    }
