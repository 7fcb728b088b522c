"""What every test may need, and when a test of real BPF can run.

Everything in tests/kernel/ is marked `kernel`. Such a test is skipped where it cannot run, with the reason; with
CI=true it fails instead, because a test that never runs there proves nothing.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How quick the machine is decides about no test. In CI the same examples are tried each time, so that a failure there
# is the change's; everywhere else new ones are looked for.
settings.register_profile(
    "auditor",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("auditor")

ROOT = Path(__file__).parent.parent


def kernel_obstacle() -> str | None:
    """Say why no real BPF can be loaded here; None: it can."""
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "needs a kernel with BTF (/sys/kernel/btf/vmlinux)"
    if importlib.util.find_spec("bcc") is None:
        return "needs bcc (apt-get install python3-bpfcc)"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in tests/kernel/, so that nobody has to remember."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "kernel"):
            item.add_marker("kernel")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a kernel test that cannot run; in CI fail it."""
    if item.get_closest_marker("kernel") is None or (obstacle := kernel_obstacle()) is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{obstacle}, and CI=true lets no kernel test be skipped", pytrace=False)
    pytest.skip(obstacle)


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the checkout's folder."""
    return ROOT
