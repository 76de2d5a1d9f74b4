"""What several rooms of tuning need: words, errors, exit codes, the cluster's file."""
