"""What a training process imports before its first training."""

from trainables.hardware import left_out, one_thread


def imports() -> None:
    """Imports TensorFlow and Keras, set up for a slot of one thread; starts no thread and looks for no GPU."""
    with left_out("pandas", "matplotlib"):
        one_thread()  # TensorFlow imports Keras
    import sklearn.metrics  # noqa: F401

    import trainables.training.loop  # noqa: F401
