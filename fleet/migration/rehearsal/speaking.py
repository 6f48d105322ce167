"""What simulated terminals of other makers send: real frames by the codecs of their protocols."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from fleet.legacy.protocols import cjt188, dlt645, hj212, modbus, sl651, writing
from fleet.migration.policy import US
from fleet.wire import cjt188 as cjt188_wire

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENERGY: Final = 0x00010000  # identifier of DL/T 645: forward active energy, total
HEARTBEAT: Final = b"\xfe"
_CLASS: Final = "H"  # of SL 651's stations: river


class Contact(NamedTuple):
    """A terminal's connection, as it comes in at `at_us`: an opening by which a DTU tells who it
    is, empty where the frames do; then what arrives, piece by piece.
    """

    protocol: str
    opening: bytes
    pieces: tuple[bytes, ...]
    at_us: int


class Told(NamedTuple):
    """A value of a terminal as it is to be stored: quantity's scale, us."""

    asset_id: int
    quantity: int
    time_us: int
    value: int


def gas(address: str, serial: int, litres: int, at_us: int) -> bytes:
    """CJ/T 188: the total in 10 litres."""
    total = Decimal(litres).scaleb(-3)
    return cjt188.encode(
        writing.metered(cjt188_wire.GAS, address, serial & 255, total, Decimal(0), _moment(at_us))
    )


def flow_computer(litres: int) -> bytes:
    """Modbus: two registers, the count in 100 litres, high word first."""
    count = litres // 100
    return modbus.encode(writing.registers(1, 3, [count >> 16 & 0xFFFF, count & 0xFFFF]))


def energy(address: str, value: int) -> bytes:
    """DL/T 645: kWh with two decimals."""
    return dlt645.encode(writing.measured(address, ENERGY, Decimal(value).scaleb(-2)))


def station(address: str, serial: int, level_mm: int, at_us: int) -> bytes:
    """SL 651: an hourly report of the water level."""
    when = _moment(at_us)
    made = writing.report(
        0x34,
        1,
        address,
        serial & 0xFFFF,
        when,
        when,
        sl651_class(),
        {"Z": Decimal(level_mm).scaleb(-3)},
    )
    return sl651.encode(made)


def monitor(mn: str, tenths: int, permille: int, at_us: int) -> bytes:
    """HJ 212: temperature and humidity now; it wants an answer."""
    stamp = _beijing(at_us).strftime("%Y%m%d%H%M%S")
    groups = (
        (("DataTime", stamp),),
        (("a01001-Rtd", _tenths(tenths)), ("a01001-Flag", "N")),
        (("a01002-Rtd", _tenths(permille)), ("a01002-Flag", "N")),
    )
    return hj212.encode(hj212.Packet("22", "2011", mn, groups, f"{stamp}000", "123456", 5))


def sl651_class() -> str:
    """The name of a river's station in the codec's table."""
    from fleet.legacy.protocols import sl651_words

    return sl651_words.CLASSES[ord(_CLASS)]


def _tenths(value: int) -> str:
    return f"{value // 10}.{value % 10}"


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_us // US)


def _beijing(at_us: int) -> datetime:
    return _moment(at_us) + timedelta(hours=8)
