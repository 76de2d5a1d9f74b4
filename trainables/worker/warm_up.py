"""The imports of a training process before its first training."""

from trainables.hardware import one_thread, without_packages


def imports() -> None:
    """Imports TensorFlow and Keras for a training on one thread; starts no thread and does not look for a GPU."""
    with without_packages("pandas", "matplotlib"):
        one_thread()  # TensorFlow imports Keras
    import sklearn.metrics  # noqa: F401

    import trainables.training.loop  # noqa: F401
