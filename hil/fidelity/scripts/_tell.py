"""What every script begins with: facts are told as lines that the host compares."""


def fact(name, what):
    """One line: the value that `what()` gives, or the exception that it raises, as its repr."""
    try:
        value = repr(what())
    except Exception as e:
        value = "%s%r" % (type(e).__name__, e.args)
    print("FACT", name, value)


def missing(thing, names):
    """Those of the names that `thing` has not."""
    return [name for name in names.split() if not hasattr(thing, name)]


def refused(what):
    """The name of the exception: for texts that the port's C gives and Python code cannot."""
    try:
        what()
    except Exception as e:
        return type(e).__name__
    return None
