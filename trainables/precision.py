"""Chooses the precision that trains fastest on this processor without changing a study's results.

`mixed_bfloat16` stores weights in float32 and computes in bfloat16. That is about 1.5 times as fast if the processor
has fast instructions for it, slower if they are slow, and many times slower if there are none. Keras is not imported.
"""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trainables.hardware import first_core

FLOAT32: Final = "float32"
BFLOAT16: Final = "mixed_bfloat16"

CHECKED: Final = frozenset({"fashion_cnn"})
"""Families whose accuracy differs between the two precisions by no more than noise. `python -m benchmarks.precision`
checks it; docs/performance.md has its table."""

_INSTRUCTIONS: Final = ("amx_bf16", "avx512_bf16", "bf16")
"""The names of bfloat16 instructions in Linux: the first two on x86, the last on ARM."""

_SLOW: Final = ("avx512_bf16", "GenuineIntel")
"""Instructions that are slower than float32 on this maker's processors: a step of `fashion_cnn` took 1.6 times as long
on a Xeon whose AMX its virtual machine hides, but 0.66 times as long on an EPYC (docs/performance.md)."""


def automatic(families: Iterable[str], cpu_information: Path = Path("/proc/cpuinfo")) -> tuple[str, str]:
    """The precision for these families on this machine's processor, and the reason.

    Args:
        families: names of families.
        cpu_information: the file in which Linux describes the processor.
    """
    names = list(families)
    if unchecked := sorted({*names} - CHECKED):
        reason = f"bfloat16 has not been checked for {', '.join(unchecked)}; checked: {', '.join(sorted(CHECKED))}"
        return FLOAT32, reason
    processor = first_core(cpu_information)
    flags = (processor.get("flags") or processor.get("Features", "")).split()
    instructions = [name for name in _INSTRUCTIONS if name in flags]
    if not instructions:
        return FLOAT32, f"this processor ({platform.machine()}) has no bfloat16 instructions"
    if (instructions[0], processor.get("vendor_id")) == _SLOW:
        return FLOAT32, f"this processor's {instructions[0]} is slower than its float32 (docs/performance.md)"
    reason = (
        f"this processor has {instructions[0]}, and {', '.join(names)} is as accurate with it (docs/performance.md)"
    )
    return BFLOAT16, reason
