"""The demo's command, but for what takes root."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from auditor.cli.demo import demo, kernel_number
from auditor.errors import UsageError


def test_device_number_is_the_kernels() -> None:
    """Device numbers are packed with 20 bits of minor: /dev/nvidiactl is 195:255."""
    assert kernel_number(195, 255) == 0x0C3000FF
    assert kernel_number(1, 7) == 0x00100007


@pytest.mark.parametrize("arguments", [["--pace", "-1"], ["--pace", "soon"], ["--format", "xml"], ["extra"]])
def test_senseless_options_are_refused(arguments: list[str]) -> None:
    """Options that make no sense are refused before anything is set up."""
    result = CliRunner().invoke(demo, arguments)
    assert result.exit_code == 2


def test_view_needs_a_terminal() -> None:
    """The live view is refused where standard output is no terminal."""
    result = CliRunner().invoke(demo, ["--format", "tui"])
    assert isinstance(result.exception, UsageError)
