"""Errors that a caller of tuning may catch."""


class BrokenOffError(Exception):
    """A sweep could not go on; what it recorded until then is kept, and the same command goes on from there."""


class UsageError(Exception):
    """A sweep was asked for something that it cannot do; the message says what, where and what is valid."""


class BudgetSpentError(Exception):
    """A sweep's time budget is spent; the same command goes on from what is recorded."""
