"""`auditor rules`: check, list, show and try rules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from auditor.errors import RuleError, UsageError

if TYPE_CHECKING:
    from auditor.rules.catalogue import Entry
    from auditor.rules.pack import Pack
    from auditor.trials import Trial

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LEAST_OURS: Final = 2
_LEAST_THEIRS: Final = 1
_MANY: Final = 500
"""Examples from which on progress is shown."""


def _paths(command: _Command) -> _Command:
    return click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))(command)


@click.group("rules")
def rules() -> None:
    """Check, list, show and try rules.

    PATH is a rule file or a folder of them; without one, the rules that come with auditor are meant.
    """


@rules.command("check")
@click.option("--verbose", is_flag=True, help="Name the rules that are skipped, with the reason.")
@_paths
def check(*, paths: tuple[Path, ...], verbose: bool) -> int:
    """Tell every problem of the rules at once, as file:line: what. Leaves with 1 if there is one."""
    from auditor.rules.pack import Pack  # noqa: PLC0415 - keeps `auditor --help` quick

    where = _where(paths)
    pack = Pack()
    problems: list[str] = []
    try:
        pack = _read(where)
    except RuleError as error:
        problems += error.problems
    entries = _catalogue(where)
    skipped = {rule.source for rule in pack.skipped}
    problems += _unproven(entry for entry in entries if entry.source not in skipped)
    for problem in sorted(problems, key=_place):
        _say(problem)
    if verbose:
        for rule in pack.skipped:
            _say(f"{rule.source}: skipped: {rule.title}: {rule.reason}", err=True)
    if problems:
        _say(f"{_count(len(problems), 'problem')} in {_count(len(entries), 'rule')}", err=True)
        return 1
    left_out = f", {len(skipped)} skipped" if skipped else ""
    _say(f"{_count(len(entries), 'rule')}{left_out}, {_count(len(pack.examples), 'example')}: no problem", err=True)
    return 0


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document a rule.")
@_paths
def list_(*, paths: tuple[Path, ...], as_json: bool) -> int:
    """List the rules, the gravest first: level, name or id, what it looks at, techniques, title."""
    import orjson  # noqa: PLC0415 - see above

    from auditor.model.alerts import SEVERITY  # noqa: PLC0415 - see above
    from auditor.rules.portrait import kind, outline, rules_of  # noqa: PLC0415 - see above

    where = _where(paths)
    pack = _read(where)
    rows = sorted(rules_of(pack), key=lambda rule: (-SEVERITY.get(rule.info.level, 0), rule.key))
    if as_json:
        sources = {entry.key: entry.source for entry in _catalogue(where)}
        for rule in rows:
            click.echo(orjson.dumps(outline(rule, sources.get(rule.key, ""))))
        return 0
    _table(
        (rule.info.level, rule.key, kind(rule), ",".join(rule.info.techniques) or "-", rule.info.name) for rule in rows
    )
    if pack.skipped:
        _say(f"{_count(len(pack.skipped), 'rule')} skipped: `auditor rules check --verbose` says why", err=True)
    return 0


@rules.command("show")
@click.option("--code", is_flag=True, help="Show the Python that the rule is compiled to.")
@click.argument("rule", metavar="ID|NAME")
@_paths
def show(*, rule: str, paths: tuple[Path, ...], code: bool) -> int:
    """Show a rule: where it stands, what it reads, its text."""
    from auditor.rules.portrait import about, code_of, rules_of, stages_of  # noqa: PLC0415 - see above

    where = _where(paths)
    entry = _find(rule, where)
    pack = _read(where)
    _say(entry.source)
    found = next((each for each in rules_of(pack) if each.key == entry.key), None)
    if found is None:
        reason = next((each.reason for each in pack.skipped if each.source == entry.source), "it is no rule")
        _say(f"skipped: {reason}")
    else:
        for line in about(found):
            _say(line)
    _say("")
    _lines(entry.text)
    if code and found is not None:
        _say("")
        _lines("\n\n".join(code_of(each) for each in pack.detections if each.key in {found.key, *stages_of(found)}))
    return 0


@rules.command("test")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document an example.")
@_paths
def test(*, paths: tuple[Path, ...], as_json: bool) -> int:
    """Run all examples. Leaves with 1 if a rule misses one it must match, or matches one it must not."""
    import orjson  # noqa: PLC0415 - see above

    pack = _read(_where(paths))
    with _progress(len(pack.examples)) as step:
        trials = list(map(step, _trials(pack)))
    failed = sum(not trial.passed for trial in trials)
    if as_json:
        for trial in trials:
            click.echo(orjson.dumps(_outcome(trial)))
        return 1 if failed else 0
    _table((_verdict(trial), trial.example.rule, _wish(trial), _told(trial)) for trial in trials)
    _say(f"{_count(len(trials), 'example')}, {failed} failed", err=True)
    return 1 if failed else 0


# Reading.


def _where(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    from auditor import assets  # noqa: PLC0415 - see above

    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or directory")
    return paths or (assets.rules(),)


def _read(paths: Sequence[Path]) -> Pack:
    from auditor.rules.sigma import read_pack  # noqa: PLC0415 - see above

    return read_pack(paths)


def _catalogue(paths: Sequence[Path]) -> list[Entry]:
    from auditor.rules.catalogue import read_catalogue  # noqa: PLC0415 - see above

    return read_catalogue(paths)


def _trials(pack: Pack) -> Iterator[Trial]:
    from auditor.trials import try_examples  # noqa: PLC0415 - see above

    return try_examples(pack)


def _unproven(entries: Iterable[Entry]) -> list[str]:
    """Tell which rules do not prove themselves: of ours each must, of others those with a block."""
    from auditor import assets  # noqa: PLC0415 - see above
    from auditor.rules.catalogue import unproven  # noqa: PLC0415 - see above

    problems = []
    for entry in entries:
        ours = Path(entry.path).resolve().is_relative_to(assets.rules())
        if ours or entry.has_block:
            problems.append(unproven(entry, _LEAST_OURS if ours else _LEAST_THEIRS))
    return [problem for problem in problems if problem]


def _find(name: str, paths: Sequence[Path]) -> Entry:
    entries = _catalogue(paths)
    found = next((entry for entry in entries if name in {entry.name, entry.id}), None)
    if found is None:
        close = get_close_matches(name, [entry.key for entry in entries], 1, 0.5)
        raise UsageError(f"there is no rule '{name}'{f'; is it {close[0]}?' if close else ''}")
    return found


# Writing.


def _say(line: str, *, err: bool = False) -> None:
    from auditor.sinks.escape import escape  # noqa: PLC0415 - see above

    click.echo(escape(line), err=err)


def _lines(text: str) -> None:
    for line in text.split("\n"):
        _say(line)


def _table(rows: Iterable[tuple[str, ...]]) -> None:
    filled = list(rows)
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    for row in filled:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _place(problem: str) -> tuple[str, int]:
    path, _, rest = problem.partition(":")
    line = rest.partition(":")[0]
    return path, int(line) if line.isdecimal() else 0


def _verdict(trial: Trial) -> str:
    return "ok" if trial.passed else "FAILED"


def _wish(trial: Trial) -> str:
    return "match" if trial.example.match else "no-match"


def _told(trial: Trial) -> str:
    return f"{trial.example.name}: {trial.problem}" if trial.problem else trial.example.name


def _outcome(trial: Trial) -> dict[str, Any]:
    return {
        "rule": trial.example.rule,
        "example": trial.example.name,
        "expected": _wish(trial),
        "passed": trial.passed,
        "problem": trial.problem or None,
    }


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Trial], Trial]]:
    """Show on standard error, where that is a terminal, how far a long test is."""
    if total < _MANY or not sys.stderr.isatty():
        yield lambda trial: trial
        return
    from rich.console import Console  # noqa: PLC0415 - loaded for a long test on a terminal alone
    from rich.progress import Progress  # noqa: PLC0415 - see above

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("examples", total=total)

        def step(trial: Trial) -> Trial:
            progress.advance(task)
            return trial

        yield step
