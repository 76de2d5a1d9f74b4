"""Every refusal of the system becomes an error of the results that says why, and what to do."""

import errno
import os

import pytest

from layersweep.records.errors import BusyError, ResultsError, results_errors

ADVICE = {
    errno.ENOSPC: "No space left on device; free the disk and run again",
    errno.EDQUOT: "Disk quota exceeded; free the disk and run again",
    errno.EROFS: "Read-only file system; make the disk writable and run again",
    errno.EIO: "Input/output error; check the disk and run again",
    errno.ESTALE: "Stale file handle; mount the folder again and run again",
    errno.EACCES: "Permission denied; mend that and run again",
}


@pytest.mark.parametrize("number", ADVICE, ids=errno.errorcode.get)
def test_a_refusal_says_why_and_what_to_do(number):
    with pytest.raises(ResultsError) as raised, results_errors("cannot write x"):
        raise OSError(number, "Error writing bytes to file. Detail: [errno 28] what pyarrow says")
    assert str(raised.value) == f"cannot write x: {ADVICE[number]}"


def test_an_error_without_a_number_is_told_in_its_own_words():
    with pytest.raises(ResultsError, match="cannot write x: odd; mend that"), results_errors("cannot write x"):
        raise OSError("odd")
    with (
        pytest.raises(ResultsError, match="cannot write x: No space left on device; free"),
        results_errors("cannot write x"),
    ):
        raise OSError("No space left on device (os error 28): ….tmp (set POLARS_VERBOSE=1 to see full path)")


def test_other_errors_pass():
    for error in (BusyError("wait"), ZeroDivisionError(), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised, results_errors("cannot write x"):
            raise error
        assert raised.value is error
    with results_errors("cannot write x"):
        assert os.strerror(0)
