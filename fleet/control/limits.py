"""How many nodes all commands together may reach in a minute."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Nodes in any 60 s. `valve`: of the valve class; `other`: of everything else."""

    valve: int = 60
    other: int = 6000
