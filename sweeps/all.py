"""Every question in this folder, one after another.

    python sweeps/all.py --dry-run      what each would train, what is recorded, about how long it takes
    python sweeps/all.py --quick        runs them all, small; any flag that a sweep has is passed on to each

One that fails does not keep the others from running; the exit code is then that of the worst. Ctrl-C ends them all, and
the same command goes on.
"""

import sys
from pathlib import Path

from layersweep.tuning.command.all_sweeps import main

if __name__ == "__main__":
    main(Path(__file__).parent, __doc__, sys.argv[1:])
