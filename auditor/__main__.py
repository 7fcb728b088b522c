"""The program: `python -m auditor`, or `auditor` where it is installed."""

from __future__ import annotations

from auditor.cli import main

if __name__ == "__main__":
    main()
