"""`kapok metering`: the group, and its commands by name, each loaded when it is called."""

import importlib
from typing import Any

import rich_click as click

COMMANDS = {
    "close": ("fleet.cli.metering_bill", "close"),
    "consumption": ("fleet.cli.metering_used", "consumption"),
    "enrol": ("fleet.cli.metering_read", "enrol"),
    "exception": ("fleet.cli.metering_exception", "exception"),
    "export": ("fleet.cli.metering_bill", "export"),
    "policy": ("fleet.cli.metering_read", "policy"),
    "read": ("fleet.cli.metering_read", "read"),
    "show": ("fleet.cli.metering_used", "show"),
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
def metering() -> None:
    """Read meters daily, look after what is wrong with them, and bill what they counted.

    \b
    enrol        meters that no migration brought into the ledger
    read         each register at the end of each day; run it daily
    show         a meter's days, estimates and what replaced them
    exception    what somebody must look at: spikes, silence, no use, wrong clocks
    consumption  what was used, by asset or area, by day or month
    close        close the bill of an area, and export it
    export       list, write and verify what was exported
    policy       limits: what is a spike, how long is too long

    Example: kapok metering read && kapok metering exception list
    """
