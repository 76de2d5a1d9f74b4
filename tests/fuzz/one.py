"""Fuzzes one target in this process, with libFuzzer's flags: `python -m tests.fuzz.one TABLE TARGET [FLAG …]`."""

import importlib
import resource
import sys

import atheris

ADDRESS_SPACE = 3 << 30
"""Bytes of address space: a reader that believes a header raises MemoryError here, which is a finding."""

INSTRUMENTED = ["layersweep", "trainables", "PIL", "tarfile", "zipfile"]
"""The packages whose branches guide the fuzzer."""


def main() -> None:
    """Runs until libFuzzer ends the process: code 0, or another one after a finding."""
    _, table, name, *flags = sys.argv
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = importlib.import_module(table).TARGETS[name]
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, resource.RLIM_INFINITY))

    def check(content: bytes) -> None:
        target.check(content)

    atheris.Setup([sys.argv[0], *flags], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
