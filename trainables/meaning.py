"""The version of what training means."""

from typing import Final

MEANING: Final = 4
"""Raise it when the same trial gives other results, as the golden-trial test notices: ids change, and recorded trials
of the old meaning stay apart from new ones."""
