"""What every file in sweeps/ is: flags in, a recorded sweep and its study out, an exit code at the end."""
