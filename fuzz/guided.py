"""One target under atheris (coverage-guided, libFuzzer underneath), in a process of its own: libFuzzer never returns.

`python -m fuzz.guided TARGET [libFuzzer options] [folders]`
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["amity.protocols", "amity.devices", "amity.kernel"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz the target named first; whatever it may not raise ends the process with libFuzzer's report."""
    target = TARGETS[sys.argv.pop(1)]

    def once(octets: bytes) -> None:
        with contextlib.suppress(target.allowed):
            target.run(octets)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
