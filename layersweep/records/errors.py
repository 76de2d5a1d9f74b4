"""Errors that a caller of this room may catch."""


class ResultsError(Exception):
    """Results cannot be read or written; the message names the path and what to do."""


class BusyError(ResultsError):
    """Another command works on the sweep."""
