"""Tables of the survey: what was measured of coverage, and what follows for each site."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base
from fleet.migration.tables import WIDE


class RadioSample(Base):
    """One measurement: of a modem's log, or of a survey node. Each comes in once."""

    __tablename__ = "radio_samples"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), unique=True)  # of what it says
    source: Mapped[str] = mapped_column(String(8))  # log, survey
    site_id: Mapped[int | None] = mapped_column(ForeignKey("sites.id"))
    latitude_e7: Mapped[int | None] = mapped_column(Integer)
    longitude_e7: Mapped[int | None] = mapped_column(Integer)
    operator: Mapped[str] = mapped_column(String(16))
    bearer: Mapped[str] = mapped_column(String(8))
    band: Mapped[int | None] = mapped_column(SmallInteger)
    cell: Mapped[str] = mapped_column(String(20))
    rsrp_dbm: Mapped[int | None] = mapped_column(SmallInteger)  # None with ecl None: no service
    snr_db: Mapped[int | None] = mapped_column(SmallInteger)
    ecl: Mapped[int | None] = mapped_column(SmallInteger)
    at_us: Mapped[int] = mapped_column(BigInteger)


Index("ix_radio_samples_site", RadioSample.site_id)
Index("ix_radio_samples_where", RadioSample.latitude_e7, RadioSample.longitude_e7)


class Coverage(Base):
    """What a site has of an operator's bearer, and how sure that is (survey.py).

    `by`: own (measured there) or neighbours, `samples` of them within `radius_m`; `ecl` None: no
    coverage. `confidence`: high, medium, low.
    """

    __tablename__ = "coverage"

    site_id: Mapped[int] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    operator: Mapped[str] = mapped_column(String(16), primary_key=True)
    bearer: Mapped[str] = mapped_column(String(8), primary_key=True)
    ecl: Mapped[int | None] = mapped_column(SmallInteger)
    rsrp_dbm: Mapped[int | None] = mapped_column(SmallInteger)
    snr_db: Mapped[int | None] = mapped_column(SmallInteger)
    cell: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(10))
    samples: Mapped[int] = mapped_column(Integer)
    radius_m: Mapped[int] = mapped_column(Integer)
    confidence: Mapped[str] = mapped_column(String(6))
    made_us: Mapped[int] = mapped_column(BigInteger)
