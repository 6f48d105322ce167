"""The lines of an export's CSV file (RFC 4180, UTF-8). Numbers are exact decimals."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from fleet.alarms.wording import LOCAL
from fleet.migration.ledger_tables import BillLine
from fleet.registry.tables import Asset, Site
from fleet.telemetry.metering.bill_tables import BillShare
from fleet.telemetry.metering.shares import CORRECTION, USAGE
from fleet.telemetry.operations import QUALITIES, quantity_name, written
from fleet.wire.quantity import QUANTITIES

COLUMNS: Final = (
    "asset", "name", "area", "register", "unit", "line", "kind", "from", "to", "from_index",
    "to_index", "used", "billed_from", "billed_to", "quality", "method", "reason", "read_at",
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, 8, tzinfo=LOCAL)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


HEAD: Final = _line(COLUMNS)


def lines(session: Session, export_id: int) -> Iterator[str]:
    """Of an export, by asset, register and period; in each the usage, then the corrections."""
    order = case((BillShare.kind == USAGE, 0), (BillShare.kind == CORRECTION, 1), else_=2)
    rows = session.execute(
        select(BillShare, BillLine, Asset.name, Site.area_code)
        .join(BillLine, BillLine.id == BillShare.line_id)
        .join(Asset, Asset.id == BillLine.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(BillShare.export_id == export_id)
        .order_by(BillLine.asset_id, BillLine.register, BillLine.number, order)
        .execution_options(yield_per=1000)
    )
    for share, line, name, area in rows:
        yield _line(_cells(share, line, name, area))


def _cells(share: BillShare, line: BillLine, name: str, area: str) -> list[str]:
    def number(value: int) -> str:
        return _decimal(line.register, value)

    billed = [number(line.from_index), number(line.to_index)]
    return [
        str(line.asset_id), _plain(name), area, quantity_name(line.register),
        QUANTITIES[line.register][1], str(line.number), share.kind, _local(line.from_us),
        _local(line.to_us), number(share.from_index), number(share.to_index),
        number(share.used), *(billed if share.kind == USAGE else ["", ""]),
        QUALITIES[share.quality], share.method, share.reason, _local(share.read_us),
    ]  # fmt: skip


def _decimal(register: int, value: int) -> str:
    return written(register, value).split(" ")[0]


def _plain(name: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{name}" if name.startswith(_FORMULA) else name


def _local(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="seconds")
