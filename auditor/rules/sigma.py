"""Reads rule packs: Sigma documents in, a `Pack` out, or every problem at once.

Only this module, `correlations`, `detection`, `filters` and `values` import pySigma, which costs a tenth of a second
and 12 MB: who matches events takes the finished pack and imports none of them.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from collections.abc import Sequence as Listing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sigma.exceptions import SigmaError
from sigma.rule import SigmaLogSource, SigmaRule

from auditor.errors import RuleError
from auditor.model.alerts import RuleInfo
from auditor.rules.block import read_block
from auditor.rules.correlations import CorrelationReader
from auditor.rules.detection import DetectionReader, Unserved, served_category
from auditor.rules.documents import Document, Problems, read_documents, rule_files
from auditor.rules.filters import FilterReader
from auditor.rules.groups import Rule, members
from auditor.rules.lists import read_lists
from auditor.rules.pack import Correlation, Detection, Example, Pack, Sequence, Skipped

_DEFAULT_LEVEL: Final = "medium"
_RETIRED: Final = {"deprecated", "unsupported"}


def read_pack(paths: Listing[Path]) -> Pack:
    """Read rule files, and folders of them.

    A rule for other log sources or products, or with one of Sigma's own fields that our events lack, is skipped with
    the reason. Anything else that is wrong raises RuleError, which holds every problem of every file.
    """
    reader = _PackReader(paths)
    for file in rule_files(paths, reader.problems):
        for document in read_documents(file, reader.problems):
            reader.add(document)
    pack = reader.finish()
    if reader.problems.found:
        raise RuleError(reader.problems.found)
    return pack


class _PackReader:
    def __init__(self, paths: Listing[Path]) -> None:
        self.problems = Problems()
        self._lists = read_lists(paths, self.problems)
        self._detections: dict[str, Detection] = {}
        self._combined: dict[str, Sequence | Correlation] = {}
        self._skipped: list[Skipped] = []
        self._examples: list[Example] = []
        self._names: dict[str, tuple[str, str]] = {}  # a rule's name or id -> (its key, where it stands)
        self._later: dict[str, tuple[Document, RuleInfo]] = {}
        self._open: list[str] = []
        self._filters: list[Document] = []
        self._loud: set[str] = set()
        self._staged: set[str] = set()

    def add(self, document: Document) -> None:
        """Take in one document. Correlations wait until all detections are known, and so do filters."""
        if "action" in document.data:
            self.problems.add(document.source("action"), "'action' is not supported: write each rule out")
            return
        if "filter" in document.data:
            self._filters.append(document)
            return
        named = self._metadata(document)
        if named is None:
            return
        info, key = named
        if "correlation" in document.data:
            self._later[key] = document, info
        else:
            self._add_detection(document, info, key)

    def finish(self) -> Pack:
        """Resolve filters and correlations and give the pack."""
        self._apply_filters()
        while self._later:  # what others combine is taken out on their way
            self._add_correlation(next(iter(self._later)))
        silent = self._staged - self._loud
        detections = [replace(rule, silent=rule.key in silent) for rule in self._detections.values()]
        combined = [replace(rule, silent=rule.key in silent) for rule in self._combined.values()]
        return Pack(
            tuple(detections),
            tuple(rule for rule in combined if isinstance(rule, Sequence)),
            tuple(self._skipped),
            tuple(self._examples),
            tuple(rule for rule in combined if isinstance(rule, Correlation)),
        )

    def _metadata(self, document: Document) -> tuple[RuleInfo, str] | None:
        """Read what every document has; gives it with the rule's key, or None if the rule has no identity."""
        values, errors = SigmaRule.from_dict_common_params(document.data, collect_errors=True)
        for error in errors:
            subject = type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()
            key = {"identifier": "id", "tag": "tags"}.get(subject, subject)
            self.problems.add(document.source(key), str(error))
        identity, name = values["id"], values["name"]
        key = str(name or identity or "")
        if not key:
            self.problems.add(document.source(), "a rule needs an 'id', which its alerts carry")
            return None
        for known in {key, str(identity or key)}:
            if known in self._names:
                subject = "name" if known == name else "id"
                earlier = self._names[known][1]
                self.problems.add(document.source(subject), f"{subject} '{known}' is taken by the rule at {earlier}")
            self._names[known] = (key, document.source())
        level = values["level"]
        info = RuleInfo(
            id=str(identity or key),
            name=str(values["title"]),
            level=getattr(level, "name", _DEFAULT_LEVEL).lower(),
            tags=tuple(str(tag) for tag in values["tags"]),
            author=str(values["author"] or ""),
            description=" ".join(str(values["description"] or "").split()),
            references=_texts(values["references"]),
            false_positives=_texts(values["falsepositives"]),
        )
        return info, key

    def _add_detection(self, document: Document, info: RuleInfo, key: str) -> None:
        try:
            source = SigmaLogSource.from_dict(document.data["logsource"])
        except (SigmaError, KeyError, AttributeError):
            what = "a rule needs a 'logsource' mapping, such as category: process_creation"
            self.problems.add(document.source("logsource"), what)
            return
        block = read_block(document, self.problems, sequence=False)
        try:
            if document.data.get("status") in _RETIRED:
                raise Unserved(f"status {document.data['status']}")  # noqa: TRY301 - one place tells why
            category = served_category(source.to_dict())
            condition = DetectionReader(document, category, self.problems, lists=self._lists).read()
        except Unserved as reason:
            self._skip(document, info, str(reason))
            return
        self._examples.extend(block.examples_of(key))
        self._detections[key] = Detection(key, info, category, condition, suppress_ns=block.suppress_ns)

    def _add_correlation(self, key: str) -> None:
        document, info = self._later.pop(key)
        data = document.data["correlation"]
        if not isinstance(data, dict):
            self.problems.add(document.source("correlation"), "'correlation' is a mapping")
            return
        block = read_block(document, self.problems, sequence=True)
        self._open.append(key)
        try:
            reader = CorrelationReader(document, self._known(), self._find, self.problems)
            rule = reader.read(key, info, block)
        except Unserved as reason:
            self._skip(document, info, str(reason))
            return
        finally:
            self._open.pop()
        if rule is None:
            return
        others = [*rule.until, *([rule.absence.rule] if rule.absence is not None else [])]
        (self._loud if data.get("generate") is True else self._staged).update([*members(rule), *others])
        self._examples.extend(block.examples_of(key))
        self._combined[key] = rule

    def _known(self) -> Mapping[str, Rule]:
        detections: Any = self._detections
        combined: Any = self._combined
        return ChainMap(detections, combined)  # grows while a correlation's own parts are read

    def _find(self, name: str, source: str) -> str | None:
        """Find the rule that a correlation names; raises Unserved where that rule is skipped."""
        key, place = self._names.get(name, (name, ""))
        if key in self._later:
            self._add_correlation(key)
        if key in self._detections or key in self._combined:
            return key
        if any(skipped.source == place for skipped in self._skipped):
            raise Unserved("a stage is skipped")
        if key in self._open:
            self.problems.add(source, f"'{name}' depends on this rule itself")
        elif not place:
            self.problems.add(source, f"there is no rule '{name}'")
        elif not any(problem.startswith(f"{place.rpartition(':')[0]}:") for problem in self.problems.found):
            self.problems.add(source, f"'{name}' could not be read")
        return None

    def _apply_filters(self) -> None:
        for document in self._filters:
            found = FilterReader(document, self._lists, self.problems).read()
            if found is None:
                continue
            for name, source in found.rules:
                if name not in self._names:
                    self.problems.add(source, f"there is no rule '{name}'")
                elif self._names[name][0] in self._later:
                    self.problems.add(source, f"'{name}' is a correlation: filter its rules")
            keys = {self._names[name][0] for name, _ in found.rules if name in self._names}
            for key, rule in self._detections.items():
                if key in keys or found.rules == ():
                    self._detections[key] = found.apply(rule)

    def _skip(self, document: Document, info: RuleInfo, reason: str) -> None:
        self._skipped.append(Skipped(document.source(), info.name, reason))


def _texts(data: object) -> tuple[str, ...]:
    return tuple(map(str, data)) if isinstance(data, list) else ()
