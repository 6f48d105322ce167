"""What Prometheus may ask: read from the counters that the parts keep, at the time of asking."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError


class Counters:
    """Counters by name and label, each read by a function when it is asked for."""

    def __init__(self, sources: Mapping[str, Callable[[], Mapping[str, int]]]) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks."""
        for name, read in self._sources.items():
            family = CounterMetricFamily(f"kapok_{name}", f"Kapok: {name}", labels=["kind"])
            for kind, value in dict(read()).items():
                family.add_metric([kind], value)
            yield family

    def register(self) -> None:
        """Make them known to the process's registry."""
        REGISTRY.register(self)

    def unregister(self) -> None:
        """Forget them."""
        REGISTRY.unregister(self)


class Gauges:
    """Values by name and label, each read by a function when it is asked for."""

    def __init__(self, sources: Mapping[str, Callable[[], Mapping[str, float]]]) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks; what cannot be read now is left out."""
        for name, read in self._sources.items():
            family = GaugeMetricFamily(f"kapok_{name}", f"Kapok: {name}", labels=["kind"])
            try:
                values = read()
            except SQLAlchemyError:
                continue
            for kind, value in values.items():
                family.add_metric([kind], value)
            yield family

    def register(self) -> None:
        """Make them known to the process's registry."""
        REGISTRY.register(self)

    def unregister(self) -> None:
        """Forget them."""
        REGISTRY.unregister(self)
