"""Twilight of many days and places on the VM, with nothing left that makes floats by name.

Usage: twilight_check.py FIRMWARE SOURCE: rows [day, latitude, longitude] of JSON; prints
[[dawn, dusk], ...] as JSON.
"""

import builtins
import json
import sys

for _name in ("float", "complex", "round"):
    setattr(builtins, _name, None)
for _name in ("math", "cmath"):
    sys.modules[_name] = None

sys.path.insert(0, sys.argv[1])

from node import twilight  # noqa: E402

with open(sys.argv[2]) as _file:
    _rows = json.load(_file)
_found = [twilight.twilight(*row) for row in _rows]
for _dawn, _dusk in _found:
    if not isinstance(_dawn, int) or not isinstance(_dusk, int):
        raise TypeError("not whole")
sys.stdout.write(json.dumps(_found))
