"""`auditor run` with a device that plays a GPU, which no command line offers.

python -m tests.bench.standin PID MAJOR MINOR
"""

from __future__ import annotations

import sys

from auditor.host.devices import GpuRole
from auditor.host.inodes import kernel_device
from auditor.host.selectors import parse
from auditor.live.options import Options
from auditor.live.run import run

if __name__ == "__main__":
    pid, major, minor = sys.argv[1:]
    device = kernel_device(int(major), int(minor))
    options = Options(selectors=(parse(f"pid:{pid}"),), events="all", stand_in_devices=((device, GpuRole.GPU),))
    sys.exit(run(options))
