"""Which arithmetic trains fastest here without changing what a study says.

`mixed_bfloat16` stores weights in float32 and computes in bfloat16: about 1.5 times as fast where the processor has
such instructions, many times slower where it has not. Known without importing Keras.
"""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FLOAT32: Final = "float32"
BFLOAT16: Final = "mixed_bfloat16"

CHECKED: Final = frozenset({"fashion_cnn"})
"""Families whose accuracy does not differ between the two beyond noise: `python -m benchmarks.precision`, whose table
is in docs/performance.md."""

_INSTRUCTIONS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls them: on x86 the first two, on ARM the last."""


def automatic(families: Iterable[str], cpu_information: Path = Path("/proc/cpuinfo")) -> tuple[str, str]:
    """The precision for these families on this machine's processor, and why.

    Args:
        families: their names.
        cpu_information: where Linux describes the processor.
    """
    named = list(families)
    if unchecked := sorted({*named} - CHECKED):
        said = f"bfloat16 has not been checked for {', '.join(unchecked)}; checked: {', '.join(sorted(CHECKED))}"
        return FLOAT32, said
    found = sorted(_INSTRUCTIONS & _flags(cpu_information))
    if not found:
        return FLOAT32, f"this processor ({platform.machine()}) has no bfloat16 instructions"
    return (
        BFLOAT16,
        f"this processor has {found[0]}, and {', '.join(named)} is as accurate with it (docs/performance.md)",
    )


def _flags(cpu_information: Path) -> frozenset[str]:
    try:
        lines = cpu_information.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return frozenset()
    flags = [line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))]
    return frozenset(flags[0].split()) if flags else frozenset()
