"""What `pytest hil --rig hil/rigs/virtual.yaml` loads."""

pytest_plugins = ("hil.pytest_plugin", "hil.fixtures")
