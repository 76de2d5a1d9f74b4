"""The errors of tuning that a caller may catch."""


class BrokenOffError(Exception):
    """A sweep could not go on. Its records are kept, and the same command continues from them."""


class UsageError(Exception):
    """A request that a sweep cannot fulfil; the message says what is wrong, where, and what is valid."""


class StoppedOnRequestError(Exception):
    """A person let a sweep end after its running trials. The same command continues from its records."""


class BudgetSpentError(Exception):
    """A sweep's time budget is spent. Its records are kept, and the same command continues from them."""
