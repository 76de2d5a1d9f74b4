"""Ray Tune: runs a sweep and records it. The only room that imports Ray."""
