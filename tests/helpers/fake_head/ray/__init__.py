"""The part of Ray that a head's `layersweep.tuning.cluster.head_server` uses, on files."""
