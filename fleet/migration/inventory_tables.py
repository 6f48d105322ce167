"""Tables of the inventory: what the old terminals are, and when their networks end."""

from sqlalchemy import BigInteger, ForeignKey, Integer, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class LegacyTerminal(Base):
    """What is known of a terminal of another maker, beside its row in `terminals`.

    `number` is the utility's own. Empty texts and None: not known. Bearers are words with spaces
    between: 2g 3g cat1 nb redcap. `unit`, `decimals`, `digits`, `first_index` and `index_us` are
    of its register as the dial shows it.
    """

    __tablename__ = "legacy_terminals"
    __table_args__ = (UniqueConstraint("protocol", "address"),)

    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    number: Mapped[str] = mapped_column(String(64), unique=True)
    model: Mapped[str] = mapped_column(String(64))
    protocol: Mapped[str] = mapped_column(String(16))
    address: Mapped[str | None] = mapped_column(String(40))  # by which it says who it is
    msisdn: Mapped[str] = mapped_column(String(15))
    operator: Mapped[str] = mapped_column(String(16))
    bearer: Mapped[str] = mapped_column(String(8))  # what it is on today
    capable: Mapped[str] = mapped_column(String(40))  # what its line says that it can
    power: Mapped[str] = mapped_column(String(8))  # battery, solar, mains
    mobility: Mapped[str] = mapped_column(String(8))  # static, mobile
    voice: Mapped[str] = mapped_column(String(3))  # yes, no
    bytes_day: Mapped[int | None] = mapped_column(BigInteger)
    reports_day: Mapped[int | None] = mapped_column(Integer)
    latency_ms: Mapped[int | None] = mapped_column(BigInteger)  # that an answer may take
    rate_kbit: Mapped[int | None] = mapped_column(Integer)  # that it needs, kbit/s
    sim: Mapped[str] = mapped_column(String(8))  # plastic, soldered, esim
    sim_bearers: Mapped[str] = mapped_column(String(40))  # that the SIM's plan allows
    sim_lock: Mapped[str] = mapped_column(String(8))  # bound: to the IMEI; free
    site_state: Mapped[str] = mapped_column(String(8))  # in-use, dead
    access: Mapped[str] = mapped_column(String(40))  # when people may come: a window
    unit: Mapped[str] = mapped_column(String(8))
    decimals: Mapped[int | None] = mapped_column(SmallInteger)
    digits: Mapped[int | None] = mapped_column(SmallInteger)  # the register begins anew behind it
    first_index: Mapped[str] = mapped_column(String(20))  # decimal text
    index_us: Mapped[int | None] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(120))  # file and line
    digest: Mapped[str] = mapped_column(String(64))  # of its line, to know what is new
    imported_us: Mapped[int] = mapped_column(BigInteger)


class InventoryFault(Base):
    """What is wrong with what a line says of a terminal, until a later import says better."""

    __tablename__ = "inventory_faults"

    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    code: Mapped[str] = mapped_column(String(24), primary_key=True)
    detail: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(120))
    at_us: Mapped[int] = mapped_column(BigInteger)


class TacModel(Base):
    """What a type of modem or terminal can do, by the first 8 digits of its IMEI."""

    __tablename__ = "tac_models"

    tac: Mapped[str] = mapped_column(String(8), primary_key=True)
    model: Mapped[str] = mapped_column(String(64))
    bearers: Mapped[str] = mapped_column(String(40))
    module: Mapped[str] = mapped_column(String(8))  # socket: it can be changed; soldered; ""
    configured_by: Mapped[str] = mapped_column(String(24))  # a plug-in's name (plugins.toml); ""


class Sunset(Base):
    """The day on which an operator's bearer ends in an area; "" is any of them."""

    __tablename__ = "sunsets"

    operator: Mapped[str] = mapped_column(String(16), primary_key=True)
    bearer: Mapped[str] = mapped_column(String(8), primary_key=True)
    area: Mapped[str] = mapped_column(String(12), primary_key=True)
    day: Mapped[int] = mapped_column(Integer)  # the first without it, days since 1970
    source: Mapped[str] = mapped_column(String(120))
