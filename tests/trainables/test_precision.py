import pytest

from trainables.precision import BFLOAT16, CHECKED, FLOAT32, automatic


def processor(tmp_path, line):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: Some CPU\n{line}\nbugs\t\t: amx_bf16\n\nprocessor\t: 1\n{line}\n")
    return path


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu sse2 avx512_bf16 vnni", "avx512_bf16"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: avx512_bf16 amx_bf16 amx_tile", "amx_bf16"),
        ("Features\t: fp asimd bf16 i8mm", "bf16"),
    ],
)
def test_a_checked_family_trains_in_bfloat16_where_the_processor_has_it(tmp_path, line, flag):
    precision, reason = automatic(["fashion_cnn"], processor(tmp_path, line))
    assert precision == BFLOAT16
    assert flag in reason


@pytest.mark.parametrize("line", ["flags\t\t: fpu sse2 avx512f", "flags\t\t: avx512_bf16_no", "Features\t: fp asimd"])
def test_a_processor_without_it_trains_in_float32(tmp_path, line):
    precision, reason = automatic(["fashion_cnn"], processor(tmp_path, line))
    assert precision == FLOAT32
    assert "no bfloat16 instructions" in reason


def test_a_processor_whose_bfloat16_is_slow_trains_in_float32(tmp_path):
    line = "vendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 avx512_bf16 vnni"
    precision, reason = automatic(["fashion_cnn"], processor(tmp_path, line))
    assert precision == FLOAT32
    assert "avx512_bf16 is slower than its float32" in reason


def test_where_the_processor_is_not_described_float32_is_taken(tmp_path):
    assert automatic(["fashion_cnn"], tmp_path / "absent")[0] == FLOAT32
    (tmp_path / "empty").touch()
    assert automatic(["fashion_cnn"], tmp_path / "empty")[0] == FLOAT32


def test_a_family_that_was_never_checked_trains_in_float32_anywhere(tmp_path):
    precision, reason = automatic(["fashion_cnn", "some_cnn"], processor(tmp_path, "flags\t: avx512_bf16"))
    assert precision == FLOAT32
    assert "some_cnn" in reason
    assert ", ".join(sorted(CHECKED)) in reason
