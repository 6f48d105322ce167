"""The stimulus board's start: it serves its serial line until Ctrl-C."""

import board

board.serve()
