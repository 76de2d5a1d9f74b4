"""Every question in this folder, one after another.

    python sweeps/all.py --dry-run      shows the trials of each sweep, recorded trials, and the estimated time
    python sweeps/all.py --quick        runs all sweeps, small; the flags of a sweep are passed on to each

If one sweep fails, the others still run; the exit code is that of the worst. Ctrl-C ends them all, and the same command
continues them.
"""

import sys
from pathlib import Path

from layersweep.tuning.command.all_sweeps import main

if __name__ == "__main__":
    main(Path(__file__).parent, __doc__, sys.argv[1:])
