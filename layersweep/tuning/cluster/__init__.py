"""A sweep on a cluster, from a machine that reaches its head by ssh."""
