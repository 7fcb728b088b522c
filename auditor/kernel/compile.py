"""C probes to an image: the only module that imports bcc.

bcc brings a whole compiler into the process (65 MB and more), so this runs in a short-lived child: see
`auditor.kernel.loader`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from auditor.errors import HostError
from auditor.kernel.bpf import map_shape
from auditor.kernel.catalog import Hook
from auditor.kernel.headers import write_headers
from auditor.kernel.image import Image, map_references, number_maps

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


def compile_probes(text: str, constants: Mapping[str, int], hooks: Iterable[Hook]) -> Image:
    """Compile the joined probes.

    Raises:
        HostError: bcc is missing, or the text does not compile.

    """
    bcc = import_bcc()
    uname = os.uname()
    with tempfile.TemporaryDirectory(prefix="auditor-headers-") as headers:
        write_headers(Path(headers), uname.release, uname.machine)
        os.environ["BCC_KERNEL_SOURCE"] = headers
        flags = ["-Wno-everything", *(f"-D{name}={value}" for name, value in sorted(constants.items()))]
        try:
            module: Any = bcc.BPF(text=text.encode(), cflags=flags)
        except Exception as error:  # bcc raises bare Exception
            raise HostError("the probes do not compile on this host") from error
    codes = {hook.function: bytes(module.dump_func(hook.function.encode())) for hook in hooks}
    # bcc has made the maps and refers to them by descriptor; the image refers to them by number.
    fds = sorted(set().union(*map(map_references, codes.values())))
    numbers = {fd: number for number, fd in enumerate(fds)}
    shapes = tuple(map_shape(fd) for fd in fds)
    return Image(shapes, {name: number_maps(code, numbers) for name, code in codes.items()})
