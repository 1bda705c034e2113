"""The one exception that people are meant to read."""


class InputError(ValueError):
    """Bad use or bad input. The text is one line: file, line or key, what is wrong, what to do about it."""
