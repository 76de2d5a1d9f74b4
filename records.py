"""`python -m records` of before: says the command that does it now. Nothing imports this."""

from layersweep.former_commands import say_and_end

say_and_end()
