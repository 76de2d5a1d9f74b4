"""Errors that callers of this package may catch."""


class ResultsError(Exception):
    """Results cannot be read or written; the message names the path and says what to do."""


class BusyError(ResultsError):
    """Another command is using the sweep."""
