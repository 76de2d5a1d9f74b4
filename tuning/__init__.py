"""Ray Tune: runs a Sweep, records it, shows progress. The only room that imports Ray."""

from tuning.command import main
from tuning.sweep import Sweep

__all__ = ["Sweep", "main"]
