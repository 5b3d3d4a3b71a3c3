"""`python -m infini_cli`, and `torchrun -m infini_cli` for several processes."""

from __future__ import annotations

import sys

from infini_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
