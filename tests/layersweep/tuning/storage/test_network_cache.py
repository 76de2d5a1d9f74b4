"""What is remembered of networks: damaged and unwritable files."""

import pytest

from layersweep.records.errors import ResultsError
from layersweep.tuning.storage.network_cache import read_cache, write_cache


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1", b"[]", bytes(100)])
def test_what_is_remembered_may_be_damaged(tmp_path, content):
    file = tmp_path / ".state" / "networks.json"
    file.parent.mkdir()
    file.write_bytes(content)
    assert read_cache(file) == {}
    write_cache(file, {"a": None})
    assert read_cache(file) == {"a": None}


def test_what_cannot_be_remembered_is_an_error_of_the_results(tmp_path):
    (tmp_path / ".state").touch()
    with pytest.raises(ResultsError, match=r"cannot write .*networks.json: .*; mend that and run again"):
        write_cache(tmp_path / ".state" / "networks.json", {})
    with pytest.raises(ResultsError, match=r"cannot read .*networks.json: Not a directory"):
        read_cache(tmp_path / ".state" / "networks.json")
