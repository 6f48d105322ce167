"""`kapok migrate`: the group, and its commands by name, each loaded when it is called."""

import importlib
from typing import Any

import rich_click as click

COMMANDS = {
    "audit": ("fleet.cli.migrate_audit", "audit"),
    "cutover": ("fleet.cli.migrate_moves", "cutover"),
    "decommission": ("fleet.cli.migrate_moves", "decommission"),
    "import": ("fleet.cli.migrate_import", "import_"),
    "ledger": ("fleet.cli.migrate_ledger", "ledger"),
    "plan": ("fleet.cli.migrate_plan", "plan"),
    "rehearse": ("fleet.cli.migrate_rehearse", "rehearse"),
    "rollback": ("fleet.cli.migrate_moves", "rollback"),
    "send": ("fleet.cli.migrate_send", "send"),
    "show": ("fleet.cli.migrate_show", "show"),
    "survey": ("fleet.cli.migrate_survey", "survey"),
    "waves": ("fleet.cli.migrate_waves", "waves"),
    "what-if": ("fleet.cli.migrate_what_if", "what_if"),
    "work": ("fleet.cli.migrate_work", "work"),
}


class _Lazy(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)


@click.group(cls=_Lazy)
def migrate() -> None:
    """Move 2G/3G terminals to NB-IoT, Cat1 or 5G, and never lose a bill.

    \b
    import    what there is: terminals, their networks' last days, models by TAC
    survey    what coverage each site has, and how sure that is
    plan      where each terminal moves, how, and why, by rules that are data
    waves     when, by the networks' last days, crews, access and billing
    what-if   several rules or crews side by side; nothing is kept
    rehearse  play all of it in fast time, on a copy, against the truth
    work      orders for technicians, also without a network
    send      tell a terminal that needs no visit, by SMS or its own connection
    ledger    by which terminal each asset is billed; the parity gate; bills
    cutover   bill the new terminals that count as the old ones do
    rollback  bill the old ones again, until the deadline
    decommission  let old terminals go, with signed evidence
    audit     prove that no bill was lost
    show      a programme, its items, costs and cells; faults of the inventory

    Example: kapok migrate import terminals.xlsx && kapok migrate plan gas --area 4401
    """
