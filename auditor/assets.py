"""Where the files that are not Python are: the probes' C sources and the rule pack.

`auditor/_assets` holds them. In a checkout that is two links to the folders beside the package; building a wheel
follows the links, so that an installed package has the files themselves in the same place.
"""

from __future__ import annotations

from pathlib import Path

from auditor.errors import HostError


def probes() -> Path:
    """Give the folder of the probes' C sources (`*.c`) and their layouts (`*.h`)."""
    return _folder("bpf")


def rules() -> Path:
    """Give the folder of the whole rule pack (`*.yml`, in folders by what they are about)."""
    return _folder("rules")


def default_rules() -> Path:
    """Give the folder of the rules that are used where none are named: the core of the pack."""
    return rules() / "core"


def _folder(name: str) -> Path:
    folder = (Path(__file__).parent / "_assets" / name).resolve()
    if not folder.is_dir():
        raise HostError(f"auditor is not whole: {folder} is missing; install it again")
    return folder
