"""The program: `python -m auditor`, or `auditor` where it is installed."""

from __future__ import annotations

import signal

_interrupted = signal.getsignal(signal.SIGINT)
if _interrupted is signal.default_int_handler:  # while modules load, all that Ctrl-C could bring is a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from auditor.cli import main  # noqa: E402

signal.signal(signal.SIGINT, _interrupted)

if __name__ == "__main__":
    main()
