"""The places of a worker: what is held is given back, whatever became of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from labgrid.exceptions import InvalidConfigError
from labgrid.remote.client import UserError

from hil.faults import RigFault
from hil.locks import Lock
from hil.places import Places


class Holder:
    """Gives whatever is asked for; `held` is what is not given back."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def hold(self, name: str) -> Lock:
        self.held.append(name)
        return Lock(name, ())

    def let_go(self, held: Lock) -> None:
        self.held.remove(held.name)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (UserError("place meter-1 is not acquired"), RigFault),
        (InvalidConfigError("no such driver"), RigFault),
        (ValueError("a driver is wrong"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_place_of_which_no_target_comes_is_given_back(
    error: BaseException, raised: type[BaseException]
) -> None:
    def fails(_: str) -> None:
        raise error

    rig: Any = SimpleNamespace(path=Path("r.yaml"), environment=SimpleNamespace(get_target=fails))
    holder = Holder()
    with pytest.raises(raised):
        Places(rig, holder).take("meter-1")
    assert holder.held == []
