"""`auditor doctor`: findings as a table and as JSON."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from auditor.cli.doctor import doctor
from auditor.kernel.preflight import Check
from auditor.live import diagnosis

FINE = [
    Check("kernel", True, "6.1.0"),
    Check("hook fork", True, "fork; always attached", costs="a map lookup"),
    Check("libbpf", False, "not found", needed=False),
]
BROKEN = [*FINE, Check("bcc", False, "not installed", costs="never shown")]


def call(monkeypatch: pytest.MonkeyPatch, checks: list[Check], *words: str) -> tuple[int, Result]:
    """Run the command over these findings; gives what it returns."""
    monkeypatch.setattr(diagnosis, "diagnose", lambda: checks)
    result = CliRunner().invoke(doctor, words, standalone_mode=False)
    return result.return_value, result


def test_host_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that is needed is there, the code is 0, whatever else is absent."""
    code, result = call(monkeypatch, FINE)
    assert code == 0
    assert result.output.splitlines() == [
        "ok      kernel     6.1.0",
        "ok      hook fork  fork; always attached (costs others a map lookup)",
        "absent  libbpf     not found",
        "auditor run works here",
    ]


def test_host_that_lacks_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed and missing stands out, and the code is 1."""
    code, result = call(monkeypatch, BROKEN)
    assert code == 1
    assert "MISSING bcc        not installed" in result.output.splitlines()
    assert result.output.splitlines()[-1].startswith("auditor run does not work here")


@pytest.mark.parametrize(("checks", "works"), [(FINE, True), (BROKEN, False)])
def test_findings_as_json(monkeypatch: pytest.MonkeyPatch, checks: list[Check], works: bool) -> None:
    """--json is one document with every finding and the verdict."""
    code, result = call(monkeypatch, checks, "--json")
    told = json.loads(result.output)
    assert (code == 0, told["works"]) == (works, works)
    assert [check["name"] for check in told["checks"]] == [check.name for check in checks]
    assert told["checks"][1] == {
        "name": "hook fork", "ok": True, "found": "fork; always attached", "needed": True, "costs": "a map lookup"
    }  # fmt: skip
