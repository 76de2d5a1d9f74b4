"""What a person gave, as it is recorded and repeated."""

import sys

from layersweep.tuning.runtime.frontend import Invocation


def test_a_command_line_is_recorded_and_repeated_with_its_own_words(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sweeps/my sweep.py"])
    invocation = Invocation.of_command_line("made_up", ["--set", "name=a b"])
    assert invocation.again.startswith("python 'sweeps/my sweep.py'")
    for text in (invocation.recorded, invocation.again):
        assert text.endswith("--set 'name=a b'")
    more = invocation.with_seeds(7)
    assert more.recorded == f"{invocation.recorded} --seeds 7"
    assert more.again == f"{invocation.again} --seeds 7"
