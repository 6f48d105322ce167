"""`python -m fleet` is `kapok`."""

from fleet.cli.main import main

main()
