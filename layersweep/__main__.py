"""`python -m layersweep`: the command, where its script is not on the path."""

import sys

from layersweep.cli import main

sys.exit(main())
