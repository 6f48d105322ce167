"""The rules of a pack, as they are weighed: values scaled as on the wire, times in us."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What every rule has. `role`: of the assets that it is for, or the kind of sub-devices.

    `texts` by language.
    """

    pack: str
    name: str
    severity: str
    role: str
    texts: Mapping[str, str] = field(hash=False)

    @property
    def kind(self) -> str:
        """The kind of its alarms, which is the rule's name for everybody: `pack.rule`."""
        return f"{self.pack}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Series(Rule):
    """A rule on the readings of one quantity, those of some qualities.

    Beyond the limit for `hold_us` raises; back behind the other one for `back_hold_us` clears.
    Between the two limits all stays as it is.
    """

    quantity: int
    qualities: frozenset[int]
    hold_us: int
    back_hold_us: int


@dataclass(frozen=True, kw_only=True)
class Threshold(Series):
    """At or beyond `limit`; back at or behind `back`. `is_above`: on which side is beyond."""

    limit: int
    back: int
    is_above: bool

    def beyond(self, value: int) -> bool:
        """Whether a value alone is one that raises."""
        return value >= self.limit if self.is_above else value <= self.limit

    def returned(self, value: int) -> bool:
        """Whether a value is one that clears."""
        return value <= self.back if self.is_above else value >= self.back


@dataclass(frozen=True, kw_only=True)
class Rate(Series):
    """It changed by `change` within `over_us`: it rose, or fell where not `is_rise`."""

    change: int
    back: int
    over_us: int
    is_rise: bool

    def beyond(self, change: int) -> bool:
        """Whether a change is one that raises."""
        return change >= self.change

    def returned(self, change: int) -> bool:
        """Whether a change is one that clears."""
        return change <= self.back


@dataclass(frozen=True, kw_only=True)
class Missing(Rule):
    """Nothing for `after_us`: no reading of the quantity, or, without one, no report."""

    quantity: int | None
    after_us: int


@dataclass(frozen=True, kw_only=True)
class Stuck(Rule):
    """The same value for `for_us`, by at least `least` readings, and it is none of `besides`."""

    quantity: int
    for_us: int
    least: int
    besides: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Together(Rule):
    """Of an area's assets at least `least`, and `share` %, have an open alarm of a kind `of`.

    An alarm of the area stands for theirs then, until it is fewer than `back_share` %. Areas are
    taken by the first `digits` of their codes; 9 are a street.
    """

    of: tuple[str, ...]
    least: int
    share: int
    back_share: int
    digits: int


@dataclass(frozen=True)
class Pack:
    """Some rules under a name."""

    name: str
    titles: Mapping[str, str]
    rules: tuple[Rule, ...]
