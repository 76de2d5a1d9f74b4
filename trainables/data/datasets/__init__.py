"""The data sets, one per file: where their files are found, and how they become arrays."""
