"""Reads rule packs: Sigma documents in, a `Pack` out, or every problem at once.

Only this module, `detection` and `values` import pySigma, which costs a tenth of a second and 12 MB: who matches events
takes the finished pack and imports none of them.
"""

from __future__ import annotations

from collections.abc import Sequence as Listing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sigma.correlations import SigmaCorrelationTimespan, SigmaCorrelationType
from sigma.exceptions import SigmaError
from sigma.rule import SigmaLogSource, SigmaRule

from auditor.errors import RuleError
from auditor.model.alerts import RuleInfo
from auditor.rules.block import read_block
from auditor.rules.detection import DetectionReader, Unserved, served_category
from auditor.rules.documents import Document, Problems, read_documents, rule_files
from auditor.rules.fields import FIELDS
from auditor.rules.pack import Detection, Example, Pack, Sequence, Skipped

_DEFAULT_LEVEL: Final = "medium"
_CORRELATION_KEYS: Final = {"type", "rules", "group-by", "timespan", "generate", "aliases", "condition"}
_RETIRED: Final = {"deprecated", "unsupported"}


def read_pack(paths: Listing[Path]) -> Pack:
    """Read rule files, and folders of them.

    A rule for other log sources or products, or with one of Sigma's own fields that our events lack, is skipped with
    the reason. Anything else that is wrong raises RuleError, which holds every problem of every file.
    """
    reader = _PackReader()
    for file in rule_files(paths, reader.problems):
        for document in read_documents(file, reader.problems):
            reader.add(document)
    pack = reader.finish()
    if reader.problems.found:
        raise RuleError(reader.problems.found)
    return pack


class _PackReader:
    def __init__(self) -> None:
        self.problems = Problems()
        self._detections: dict[str, Detection] = {}
        self._sequences: list[Sequence] = []
        self._skipped: list[Skipped] = []
        self._examples: list[Example] = []
        self._names: dict[str, tuple[str, str]] = {}  # a rule's name or id -> (its key, where it stands)
        self._later: list[tuple[Document, RuleInfo, str]] = []
        self._loud: set[str] = set()
        self._staged: set[str] = set()

    def add(self, document: Document) -> None:
        """Take in one document. Sequences wait until all detections are known."""
        if "filter" in document.data:
            self.problems.add(document.source("filter"), "filter documents are not supported yet")
            return
        if "action" in document.data:
            self.problems.add(document.source("action"), "'action' is not supported: write each rule out")
            return
        named = self._metadata(document)
        if named is None:
            return
        info, key = named
        if "correlation" in document.data:
            self._later.append((document, info, key))
        else:
            self._add_detection(document, info, key)

    def finish(self) -> Pack:
        """Resolve the sequences and give the pack."""
        for document, info, key in self._later:
            self._add_sequence(document, info, key)
        silent = self._staged - self._loud
        detections = [replace(rule, silent=rule.key in silent) for rule in self._detections.values()]
        return Pack(tuple(detections), tuple(self._sequences), tuple(self._skipped), tuple(self._examples))

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
            condition = DetectionReader(document, category, self.problems).read()
        except Unserved as reason:
            self._skip(document, info, str(reason))
            return
        self._examples.extend(block.examples_of(key))
        self._detections[key] = Detection(key, info, category, condition, suppress_ns=block.suppress_ns)

    def _add_sequence(self, document: Document, info: RuleInfo, key: str) -> None:
        data = document.data["correlation"]
        if not isinstance(data, dict):
            self.problems.add(document.source("correlation"), "'correlation' is a mapping")
            return
        block = read_block(document, self.problems, sequence=True)
        span_ns = self._check_correlation(document, data)
        references = data.get("rules")
        references = references if isinstance(references, list) else [references]
        stages = [self._stage(document, index, str(name)) for index, name in enumerate(references)]
        if any(isinstance(stage, Skipped) for stage in stages):
            self._skip(document, info, "a stage is skipped")
            return
        found = tuple(stage.key for stage in stages if isinstance(stage, Detection))
        group_by = self._group_by(document, data.get("group-by"), found)
        if len(found) < len(references) or span_ns is None or group_by is None:
            return
        if len(found) < 2:
            self.problems.add(document.source("correlation", "rules"), "an order needs two rules or more")
            return
        (self._loud if data.get("generate") is True else self._staged).update(found)
        self._examples.extend(block.examples_of(key))
        self._sequences.append(Sequence(key, info, found, group_by, span_ns, block.join, block.suppress_ns))

    def _check_correlation(self, document: Document, data: dict[Any, Any]) -> int | None:
        """Check type, keys and timespan; gives the timespan in nanoseconds, or None after a problem."""
        sound = True

        def wrong(key: str, what: str) -> None:
            nonlocal sound
            sound = False
            self.problems.add(document.source("correlation", key), what)

        for key in data:
            if key not in _CORRELATION_KEYS:
                wrong(key, f"'{key}' is not known in 'correlation'")
        for key in ("aliases", "condition"):
            if data.get(key):
                wrong(key, f"'{key}' is not supported yet")
        kind = str(data.get("type"))
        if kind != "temporal_ordered":
            known = kind.upper() in SigmaCorrelationType.__members__
            wrong("type", f"type '{kind}' is not {'supported yet' if known else 'a Sigma correlation type'}")
        if not isinstance(data.get("generate", False), bool):
            wrong("generate", "'generate' is true or false")
        try:
            seconds = SigmaCorrelationTimespan(data["timespan"]).seconds
        except KeyError:
            wrong("timespan", "a correlation needs a 'timespan', such as 60s")
        except (SigmaError, TypeError, ValueError, AttributeError):
            wrong("timespan", f"'timespan' is a time such as 60s, 10m, 1h, 1d, not '{data['timespan']}'")
        return seconds * 1_000_000_000 if sound else None

    def _stage(self, document: Document, index: int, name: str) -> Detection | Skipped | None:
        key, source = self._names.get(name, (name, ""))
        if key in self._detections:
            return self._detections[key]
        for skipped in self._skipped:
            if skipped.source == source:
                return skipped
        what = f"there is no rule '{name}'"
        if source:
            what = f"'{name}' is no detection: chains of correlations are not supported yet"
        if not any(problem.startswith(f"{source}:") for problem in self.problems.found if source):
            self.problems.add(document.source("correlation", "rules", index), what)
        return None

    def _group_by(self, document: Document, data: object, stages: tuple[str, ...]) -> tuple[str, ...] | None:
        names = tuple(map(str, data)) if isinstance(data, list) else () if data is None else (str(data),)
        sound = True
        for name in names:
            for stage in stages:
                field = FIELDS[self._detections[stage].category].get(name)
                if field is None or field.type == "list":
                    what = f"cannot group by '{name}': stage '{stage}' has no such single value"
                    self.problems.add(document.source("correlation", "group-by"), what)
                    sound = False
        return names if sound else None

    def _skip(self, document: Document, info: RuleInfo, reason: str) -> None:
        self._skipped.append(Skipped(document.source(), info.name, reason))


def _texts(data: object) -> tuple[str, ...]:
    return tuple(map(str, data)) if isinstance(data, list) else ()
