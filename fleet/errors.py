"""What every refusal has in common, so that whoever shows one need not know them all."""


class Refusal(Exception):
    """What was asked for cannot be done; the text is one line: what, where, what to do next."""
