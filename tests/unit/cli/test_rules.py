"""`auditor rules`, as a user types it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from auditor.cli import cli
from auditor.errors import RuleError, UsageError

RULE = """\
title: Nice program
id: 2f0c7a86-6c0e-4c7b-9a43-6f6d8f2b1a10
name: nice_program
level: high
tags:
  - attack.t1496.001
logsource:
  product: linux
  category: process_creation
detection:
  it:
    Image|endswith: /nice
    User: root
  condition: it
"""
EXAMPLES = """\
auditor:
  examples:
    - match: the program
      events:
        - {event.action: exec, process.pid: 100, process.executable: /usr/bin/nice, user.id: 0}
    - no-match: another program
      events:
        - {event.action: exec, process.pid: 100, process.executable: /usr/bin/ls, user.id: 0}
"""
SKIPPED = """\
title: Written to a log
id: 9d2b8f5e-0c55-4d3e-8f3e-0c7f0a9b6f21
logsource:
  product: linux
  service: syslog
detection:
  it:
    - words
  condition: it
"""


def run(*arguments: str | Path) -> int:
    """Run the command; gives its exit code."""
    code = cli(["rules", *map(str, arguments)], standalone_mode=False)
    assert isinstance(code, int)
    return code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a rule file."""
    path = tmp_path / "nice.yml"
    path.write_text(RULE + EXAMPLES)
    return path


def test_check_of_our_pack(capsys: pytest.CaptureFixture[str]) -> None:
    """The rules that come along have no problem, and are meant where no path is given."""
    assert run("check") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d+ rules, \d+ examples: no problem\n", err)


def test_check_tells_all_problems(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    """What reading found and which examples are missing come together, line by line; the exit code is 1."""
    bad = tmp_path / "bad.yml"
    bad.write_text(RULE.replace("nice", "bad").replace("1a10", "1a11").replace("User", "Usr") + "auditor: {}\n")
    assert run("check", tmp_path) == 1
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first == f"{bad}:1: missing examples: match (0 of 1), no-match (0 of 1)"
    assert second.startswith(f"{bad}:13: ")
    assert "Usr" in second
    assert err == "2 problems in 2 rules\n"


def test_check_asks_plain_sigma_for_no_examples(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """A rule of another's, without our block, need not prove itself."""
    file.write_text(RULE)
    assert run("check", file) == 0
    assert capsys.readouterr().err == "1 rule, 0 examples: no problem\n"


def test_check_asks_ours_for_two(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of our pack needs two examples of either sort."""
    monkeypatch.setattr("auditor.assets.rules", file.parent.resolve)
    assert run("check") == 1
    assert "missing examples: match (1 of 2), no-match (1 of 2)" in capsys.readouterr().out


def test_skipped_rules_are_named(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    """A rule that cannot run is no problem; --verbose says why it cannot."""
    other = tmp_path / "other.yml"
    other.write_text(SKIPPED)
    assert run("check", tmp_path) == 0
    assert capsys.readouterr().err == "2 rules, 1 skipped, 2 examples: no problem\n"
    assert run("check", "--verbose", tmp_path) == 0
    assert f"{other}:1: skipped: Written to a log: service syslog\n" in capsys.readouterr().err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule has a line, and the gravest come first."""
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    (tunnel,) = [line.split(maxsplit=4) for line in lines if " reverse_ssh_tunnel " in line]
    assert tunnel[:3] == ["high", "reverse_ssh_tunnel", "sequence"]
    assert "T1572" in tunnel[3].split(",")
    levels = [line.split()[0] for line in lines]
    order = ["critical", "high", "medium", "low", "informational"]
    assert levels == sorted(levels, key=order.index)


def test_list_as_json(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """One document a rule, which also says where it stands."""
    assert run("list", "--json", file) == 0
    assert orjson.loads(capsys.readouterr().out) == {
        "id": "2f0c7a86-6c0e-4c7b-9a43-6f6d8f2b1a10",
        "name": "nice_program",
        "title": "Nice program",
        "level": "high",
        "kind": "process_creation",
        "stages": [],
        "techniques": ["T1496.001"],
        "source": f"{file}:1",
    }


def test_list_tells_what_is_missing_from_it(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """Skipped rules are counted."""
    file.write_text(SKIPPED)
    assert run("list", file) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "1 rule skipped: `auditor rules check --verbose` says why\n")


@pytest.mark.parametrize("name", ["nice_program", "2f0c7a86-6c0e-4c7b-9a43-6f6d8f2b1a10"])
def test_show(capsys: pytest.CaptureFixture[str], file: Path, name: str) -> None:
    """By name or id: the place, what is read, and the text as it stands."""
    assert run("show", name, file) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{file}:1\nlevel high, process_creation\n")
    assert "reads Image (process.executable): " in out
    assert out.endswith(f"\n\n{RULE}{EXAMPLES}")


def test_show_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    """A sequence's compiled form is that of its stages."""
    assert run("show", "--code", "reverse_ssh_tunnel") == 0
    out = capsys.readouterr().out
    assert "\n# ssh_remote_forward\n" in out
    assert "\n# external_tcp_connection\ndef match(e, p):" in out


def test_show_skipped(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """A rule that does not run is shown with the reason."""
    file.write_text(SKIPPED)
    assert run("show", "--code", "9d2b8f5e-0c55-4d3e-8f3e-0c7f0a9b6f21", file) == 0
    assert capsys.readouterr().out == f"{file}:1\nskipped: service syslog\n\n{SKIPPED}"


def test_show_unknown(file: Path) -> None:
    """A name that is nearly a rule's is answered with that rule's."""
    with pytest.raises(UsageError, match="there is no rule 'nice_programme'; is it nice_program\\?"):
        run("show", "nice_programme", file)


def test_text_cannot_paint_the_terminal(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """Control characters in a rule's text are shown as escapes."""
    file.write_text(RULE.replace("title: Nice program", 'title: "Nice \\e[31mprogram"'))
    assert run("list", file) == 0
    assert "\x1b" not in (out := capsys.readouterr().out)
    assert r"Nice \x1b[31mprogram" in out


def test_test_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """Every example of the rules that come along does what it says."""
    assert run("test") == 0
    out, err = capsys.readouterr()
    assert {line.split()[0] for line in out.splitlines()} == {"ok"}
    assert err == f"{len(out.splitlines())} examples, 0 failed\n"


def test_test_fails(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """A rule that misses what it must match is named, and the exit code is 1."""
    file.write_text(RULE + EXAMPLES.replace("/usr/bin/nice", "/usr/bin/mean"))
    assert run("test", file) == 1
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["FAILED", "nice_program", "match", "the", "program"],
        ["ok", "nice_program", "no-match", "another", "program"],
    ]
    assert err == "2 examples, 1 failed\n"


def test_test_as_json(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """One document an example, with what is wrong with its events."""
    file.write_text(RULE + EXAMPLES.replace("process.pid: 100", "'@timestamp': yesterday", 1))
    assert run("test", "--json", file) == 1
    first, second = map(orjson.loads, capsys.readouterr().out.splitlines())
    assert first["problem"]
    assert second == {
        "rule": "nice_program",
        "example": "another program",
        "expected": "no-match",
        "passed": True,
        "problem": None,
    }
    assert (first["passed"], first["expected"]) == (False, "match")


@pytest.mark.parametrize("command", ["list", "test"])
def test_problems_stop_what_needs_sound_rules(file: Path, command: str) -> None:
    """Broken rules are neither listed nor tried."""
    file.write_text(RULE.replace("User", "Usr"))
    with pytest.raises(RuleError, match="Usr"):
        run(command, file)


@pytest.mark.parametrize("command", ["check", "list", "test"])
def test_path_that_is_not_there(tmp_path: Path, command: str) -> None:
    """A path that does not exist is a mistake of the user's."""
    with pytest.raises(UsageError, match="no such file"):
        run(command, tmp_path / "none.yml")


def test_exit_code_reaches_the_shell(file: Path) -> None:
    """The process leaves with the command's code."""
    file.write_text(RULE + EXAMPLES.replace("/usr/bin/nice", "/usr/bin/mean"))
    command = [sys.executable, "-m", "auditor", "rules", "test", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "2 examples, 1 failed\n")
