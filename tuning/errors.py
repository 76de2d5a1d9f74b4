"""Errors that a caller of tuning may catch."""


class UsageError(Exception):
    """A sweep was asked for something that it cannot do; the message says what, where and what is valid."""
