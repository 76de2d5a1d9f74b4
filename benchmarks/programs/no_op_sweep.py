"""The sweep of trainings that do nothing, as a script like those in sweeps/."""

from benchmarks.programs.no_op import SWEEP
from layersweep import main

if __name__ == "__main__":
    main(SWEEP)
