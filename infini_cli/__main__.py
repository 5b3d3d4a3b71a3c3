"""The way in: `infini`, `python -m infini_cli`, and `torchrun -m infini_cli` for several processes."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without its imports
import sys

# Before anything else is imported: until there is somebody to catch it, Ctrl-C ends the process without a word.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from infini_cli.stopping import run


def entry() -> int:
    """Run the command line of this process; its exit status."""

    def main() -> int:
        from infini_cli.app import main as infini

        return infini()

    return run(main)


if __name__ == "__main__":
    sys.exit(entry())
