"""pytest plugin of the rigs: options, markers, requirements, rig faults and the report.

`hil/conftest.py` loads it for `pytest hil --rig FILE`; elsewhere `-p hil.pytest_plugin` does.
"""

pytest_plugins = (
    "hil.pytest_plugin.options",
    "hil.pytest_plugin.planning",
    "hil.pytest_plugin.collected",
    "hil.pytest_plugin.groups",
    "hil.pytest_plugin.retry",
    "hil.pytest_plugin.report",
    "hil.pytest_plugin.summary",
)
