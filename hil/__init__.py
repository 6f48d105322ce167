"""Hardware in the loop: one test suite on a bench of real boards and on virtual ones."""
