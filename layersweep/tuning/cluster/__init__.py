"""A sweep on a cluster, started from a machine that reaches the head by ssh."""
