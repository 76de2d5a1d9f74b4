"""`python -m layersweep.watch`: the server that a sweep's command starts."""

import sys

from layersweep.watch.child_server import main

main(sys.argv[1:])
