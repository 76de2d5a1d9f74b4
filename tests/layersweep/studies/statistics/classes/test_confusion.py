"""Of many classes, those with the most errors are shown."""

import numpy as np

from layersweep.studies.statistics.classes.confusion import most_confused


def test_the_most_confused_classes_are_in_their_order():
    counts = np.diag([10] * 5)
    counts[4, 1] = 5
    counts[2, 0] = 3
    assert most_confused(counts, 2) == [1, 4]
    assert most_confused(counts, 4) == [0, 1, 2, 4]
    assert most_confused(counts, 50) == [0, 1, 2, 3, 4]
