"""The data sets, one a file: where its files are found, and how they become arrays."""
