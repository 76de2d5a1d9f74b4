"""`python -m records` of before: says the command that does it now. Nothing imports this."""

from layersweep.former_commands import print_new_command

print_new_command()
