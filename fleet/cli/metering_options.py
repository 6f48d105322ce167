"""What the commands of `kapok metering` share: days, and the names of registers."""

import rich_click as click

area_option = click.option(
    "--area", default="", help="An area, and all in it; default: everywhere."
)


class Day(click.ParamType[int]):
    """2026-11-30, China's time; converts to its number since 1970."""

    name = "day"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        from fleet.telemetry.metering import days
        from fleet.telemetry.metering.errors import MeteringError

        try:
            return days.read(str(value))
        except MeteringError as e:
            self.fail(str(e), param, ctx)


def check_area(area: str) -> str:
    """`area`, if there is one of that code, or it is empty; MeteringError."""
    from fleet.cli.common import database
    from fleet.registry.tables import Area
    from fleet.telemetry.metering.errors import MeteringError

    if area:
        with database() as db, db.read() as session:
            if session.get(Area, area) is None:
                raise MeteringError(f"there is no area {area[:12]!r}: kapok area list")
    return area
