"""The suite: the same tests on the virtual rig and on a bench of real boards."""
