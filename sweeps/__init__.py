"""One question a file; each is a script."""
