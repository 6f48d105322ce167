# Frozen into the hardened runtime: MicroPython's build reads this file. Its port's own modules are
# left out but for what is named: its `_boot.py` and `inisetup.py` are what ours replaces.
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
module("_boot.py", base_path=".", opt=3)  # noqa: F821
module("flashbdev.py", base_path="$(PORT_DIR)/modules", opt=3)  # noqa: F821  the port's C looks for it
