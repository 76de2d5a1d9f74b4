"""Which arithmetic trains fastest here without changing what a study says.

`mixed_bfloat16` stores weights in float32 and computes in bfloat16: about 1.5 times as fast where the processor has
fast instructions for it, slower where it has slow ones, many times slower where it has none. Known without importing
Keras.
"""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trainables.hardware import first_core

FLOAT32: Final = "float32"
BFLOAT16: Final = "mixed_bfloat16"

CHECKED: Final = frozenset({"fashion_cnn"})
"""Families whose accuracy does not differ between the two beyond noise: `python -m benchmarks.precision`, whose table
is in docs/performance.md."""

_INSTRUCTIONS: Final = ("amx_bf16", "avx512_bf16", "bf16")
"""What Linux calls them: on x86 the first two, on ARM the last."""

_SLOW: Final = ("avx512_bf16", "GenuineIntel")
"""Slower than this maker's float32: a step of `fashion_cnn` took 1.6 times as long in it on a Xeon whose AMX is hidden
from its virtual machine, .66 times on an EPYC (docs/performance.md)."""


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
    processor = first_core(cpu_information)
    flags = (processor.get("flags") or processor.get("Features", "")).split()
    found = [name for name in _INSTRUCTIONS if name in flags]
    if not found:
        return FLOAT32, f"this processor ({platform.machine()}) has no bfloat16 instructions"
    if (found[0], processor.get("vendor_id")) == _SLOW:
        return FLOAT32, f"this processor's {found[0]} is slower than its float32 (docs/performance.md)"
    why = f"this processor has {found[0]}, and {', '.join(named)} is as accurate with it (docs/performance.md)"
    return BFLOAT16, why
