"""C probes to loaded programs: the only module that imports bcc.

bcc brings a whole compiler into the process (65 MB and more), so this runs in a short-lived child: see
`auditor.kernel.loader`.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from auditor.errors import HostError
from auditor.kernel.catalog import SOURCES, Hook
from auditor.kernel.headers import write_headers

_DISTRIBUTION: Final = (Path("/usr/lib/python3/dist-packages"), Path("/usr/lib/python3/site-packages"))
INSTALL_HINT: Final = (
    "install the distribution's package: apt-get install python3-bpfcc (PyPI's `bcc` is something else)"
)


def import_bcc() -> ModuleType:
    """Import the distribution's bcc binding, also from a virtual environment that does not see its packages.

    Raises:
        HostError: it is not installed, or its library does not load.

    """
    if "bcc" in sys.modules:
        return sys.modules["bcc"]
    for directory in _DISTRIBUTION:
        init = directory / "bcc" / "__init__.py"
        if not init.is_file():
            continue
        # That package alone: its neighbours belong to another Python's set of packages.
        spec = importlib.util.spec_from_file_location("bcc", init, submodule_search_locations=[str(init.parent)])
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules["bcc"] = module
        try:
            spec.loader.exec_module(module)
        except (ImportError, OSError, AttributeError) as error:
            del sys.modules["bcc"]
            raise HostError(f"bcc in {directory} does not load ({error}); {INSTALL_HINT}") from error
        return module
    raise HostError(f"bcc is not installed; {INSTALL_HINT}")


def join_sources(directory: Path) -> str:
    """Join the probes into one text: bcc rewrites map calls in the main text only, never in what it includes."""
    return "".join(f'#line 1 "bpf/{name}"\n{(directory / name).read_text()}\n' for name in SOURCES)


def compile_probes(
    directory: Path, constants: Mapping[str, int], hooks: Iterable[Hook], maps: Iterable[str]
) -> tuple[dict[str, int], dict[str, int], dict[str, str]]:
    """Compile the probes in `directory` and load each of `hooks` into the kernel.

    Returns:
        File descriptors of the programs by function, of the maps by name, and for each hook that the kernel refused
        the reason by function.

    Raises:
        HostError: bcc is missing, or the text does not compile.

    """
    bcc = import_bcc()
    uname = platform.uname()
    with tempfile.TemporaryDirectory(prefix="auditor-headers-") as headers:
        write_headers(Path(headers), uname.release, uname.machine)
        os.environ["BCC_KERNEL_SOURCE"] = headers
        flags = ["-Wno-everything", *(f"-D{name}={value}" for name, value in sorted(constants.items()))]
        try:
            module: Any = bcc.BPF(text=join_sources(directory).encode(), cflags=flags)
        except Exception as error:  # bcc raises bare Exception
            raise HostError("the probes do not compile on this host; `auditor doctor` says more") from error
    programs, refused = {}, {}
    for hook in hooks:
        try:
            programs[hook.function] = _load(module, hook)
        except Exception as error:  # noqa: BLE001 - bcc raises bare Exception
            refused[hook.function] = " ".join(str(error).split())
    _KEPT.append(module)  # closing it would close the descriptors
    return programs, {name: module[name.encode()].map_fd for name in maps}, refused


_KEPT: list[Any] = []


def _load(module: Any, hook: Hook) -> int:
    if hook.attach:
        return int(module.load_func(hook.function.encode(), hook.program, attach_type=hook.attach).fd)
    return int(module.load_func(hook.function.encode(), hook.program).fd)
