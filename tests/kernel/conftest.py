"""The probes, loaded once and attached for all tests of real BPF, and a session of its own for each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor import assets
from auditor.host.mounts import open_cgroup_root, open_tracefs
from auditor.kernel.loader import Loaded, Loader
from auditor.kernel.probes import Probes
from auditor.kernel.store import Store
from tests.conftest import kernel_obstacle
from tests.kernel.netns import Network
from tests.kernel.watching import Watch


@pytest.fixture(scope="session")
def cgroup_root() -> Iterator[int]:
    """Give a descriptor of the cgroup v2 tree's root."""
    fd = open_cgroup_root()
    yield fd
    os.close(fd)


@pytest.fixture(scope="session")
def tracefs() -> Iterator[int]:
    """Give a descriptor of tracefs."""
    fd = open_tracefs()
    yield fd
    os.close(fd)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give where the compiled probes are kept, so that the tests compile them once."""
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def loaded(store: Store) -> Iterator[Loaded]:
    """Give the probes, compiled and loaded with the usual limits."""
    assert kernel_obstacle() is None
    found = Loader(assets.probes(), store=store).finish()
    yield found
    for fd in (*found.programs.values(), *found.maps.values()):
        os.close(fd)


@pytest.fixture(scope="session")
def probes(loaded: Loaded, cgroup_root: int) -> Iterator[Probes]:
    """Give the probes, attached."""
    attached = Probes(loaded, cgroup_root)
    yield attached
    attached.close()


@pytest.fixture
def watch(probes: Probes) -> Iterator[Watch]:
    """Give a session of the test's own."""
    own = Watch(probes)
    yield own
    own.close()


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """Give a network namespace with external-looking addresses."""
    own = Network()
    yield own
    own.close()


@pytest.fixture(scope="session")
def offender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program of programs/offender.c, compiled."""
    return compiled("offender", tmp_path_factory)


@pytest.fixture(scope="session")
def racer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program of programs/racer.c, compiled."""
    return compiled("racer", tmp_path_factory)


@pytest.fixture(scope="session")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program of programs/caller.c, compiled."""
    return compiled("caller", tmp_path_factory)


def compiled(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile one of the programs beside this file."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (apt-get install gcc libc6-dev)")
    program = tmp_path_factory.mktemp(name) / name
    source = Path(__file__).parent / "programs" / f"{name}.c"
    subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-pthread", "-o", str(program), str(source)], check=True)
    return program
