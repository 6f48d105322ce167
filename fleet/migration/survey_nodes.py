"""What survey nodes measured: readings of one time are one look at one cell, and become samples of
the site at which the node was installed then.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration import numbers, samples
from fleet.migration.survey_tables import RadioSample
from fleet.registry.operations import now_us
from fleet.registry.tables import Asset, Site, Terminal
from fleet.telemetry.tables import Reading

ROLE = "survey"
_RSRP, _LEVEL, _SNR, _OPERATOR, _RADIO, _BAND, _CELL = 101, 102, 104, 105, 106, 107, 108
_REFUSAL = 125
_QUANTITIES = (_RSRP, _LEVEL, _SNR, _OPERATOR, _RADIO, _BAND, _CELL, _REFUSAL)
_BEARERS = {7: "cat1", 9: "nb"}  # by <AcT> of 3GPP TS 27.007
_PAGE = 10_000


def take(session: Session, scope: str, days: int) -> int:
    """All that is not known yet of an area's sites, of the last days; how many are new."""
    found: dict[str, RadioSample] = {}
    for site_id, time_us, values in _looks(session, scope, now_us() - days * 86_400_000_000):
        row = _sample(site_id, time_us, values)
        if row is not None:
            found[row.digest] = row
    return samples.keep(session, found)


def _looks(
    session: Session, scope: str, since_us: int
) -> Iterator[tuple[int, int, Mapping[int, int]]]:
    rows = session.execute(
        select(
            Reading.terminal_id, Reading.asset_id, Reading.time_us, Site.id, Reading.quantity,
            Reading.value,
        )
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(Asset, Asset.id == Reading.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(
            Terminal.role == ROLE, within(Site.area_code, scope), Reading.time_us >= since_us,
            Reading.quantity.in_(_QUANTITIES), Reading.clock_off.is_(False),
        )
        .order_by(Reading.terminal_id, Reading.time_us, Reading.id)
        .execution_options(yield_per=_PAGE)
    )  # fmt: skip
    key: tuple[str, int, int] | None = None
    site, values = 0, dict[int, int]()
    for terminal_id, asset_id, time_us, site_id, quantity, value in rows:
        if key is not None and key != (terminal_id, asset_id, time_us):
            yield site, key[2], values
            values = {}
        key, site = (terminal_id, asset_id, time_us), site_id
        values[quantity] = value
    if key is not None:
        yield site, key[2], values


def _sample(site_id: int, time_us: int, values: Mapping[int, int]) -> RadioSample | None:
    # None where it measured nothing: no look at all, or an operator that is there, takes no such
    # card and showed no cell.
    bearer = _BEARERS.get(values.get(_RADIO, 0))
    operator = values.get(_OPERATOR)
    if bearer is None or operator is None:
        return None
    rsrp = _within(values.get(_RSRP), -156, -20)
    if rsrp is None and (_RSRP in values or _REFUSAL in values):
        return None
    snr = values.get(_SNR)
    cell = values.get(_CELL)
    return samples.made(
        samples.SURVEY, site_id, None, None, numbers.operator_of_network(operator), bearer,
        _within(values.get(_BAND), 1, 255), f"{cell:X}" if cell is not None else "", rsrp,
        _within(snr // 10 if snr is not None else None, -40, 60),
        _within(values.get(_LEVEL), 0, 2) if rsrp is not None else None, time_us,
    )  # fmt: skip


def _within(value: int | None, least: int, most: int) -> int | None:
    return value if value is not None and least <= value <= most else None
