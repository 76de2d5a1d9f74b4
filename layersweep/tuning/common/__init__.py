"""Code that several rooms of tuning need: errors, exit codes, the cluster's file, kept weights, files of an epoch."""
