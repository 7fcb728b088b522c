"""A dry run: everything that a live run does before it reads the first event, each step with its outcome."""

from __future__ import annotations

import os
from collections.abc import Callable

from auditor import assets
from auditor.errors import AuditorError, HostError
from auditor.host import mounts
from auditor.kernel.catalog import HOOKS, Hook
from auditor.kernel.image import Loaded
from auditor.kernel.loader import Loader
from auditor.kernel.preflight import Check, check_host, check_tracefs
from auditor.kernel.probes import Probes, try_hook
from auditor.live.selftest import self_test


def diagnose() -> list[Check]:
    """Look at the host, load the probes, attach each hook once, run the self-test; leave nothing attached."""
    checks = check_host()
    tracefs = _opened(mounts.open_tracefs)
    cgroups = _opened(mounts.open_cgroup_root)
    checks.append(check_tracefs(tracefs))
    mounted = mounts.cgroup_mount()
    where = str(mounted) if mounted else "not mounted; reached without mounting it"
    checks.append(Check("cgroup v2", isinstance(cgroups, int), where if isinstance(cgroups, int) else str(cgroups)))
    try:
        loaded = Loader(assets.probes()).finish()
    except AuditorError as error:
        checks.append(Check("probes", False, str(error)))
        checks += [_hook(hook, "not tried: the probes did not load") for hook in HOOKS]
        return checks
    checks.append(Check("probes", True, f"{len(loaded.programs)} loaded"))
    checks += [_hook(hook, _attach_once(hook, loaded, cgroups, tracefs)) for hook in HOOKS]
    checks.append(_self_test(loaded, cgroups))
    for fd in (tracefs, cgroups):
        if isinstance(fd, int):
            os.close(fd)
    return checks


def _opened(opener: Callable[[], int]) -> int | HostError:
    try:
        return opener()
    except HostError as error:
        return error
    except OSError as error:
        return HostError(f"{error.filename}: {error.strerror}")


def _attach_once(hook: Hook, loaded: Loaded, cgroups: int | HostError, tracefs: int | HostError) -> str:
    """Return why the hook cannot be attached; empty if it can."""
    if hook.function in loaded.refused:
        return loaded.refused[hook.function]
    place = {"cgroup": cgroups, "tracepoint": tracefs}.get(hook.kind, -1)
    if isinstance(place, HostError):
        return str(place)
    try:
        try_hook(hook, loaded.programs[hook.function], place)
    except HostError as error:
        return str(error)
    return ""


def _hook(hook: Hook, refusal: str) -> Check:
    found = refusal or f"{hook.yields}; {'always attached' if hook.standing else 'attached when needed'}"
    return Check(f"hook {hook.target}", not refusal, found, costs=hook.costs)


def _self_test(loaded: Loaded, cgroups: int | HostError) -> Check:
    if isinstance(cgroups, HostError):
        return Check("self-test", False, "not tried: there is no cgroup v2")
    try:
        probes = Probes(loaded, cgroups)
        try:
            self_test(probes)
        finally:
            probes.close()
    except HostError as error:
        return Check("self-test", False, str(error))
    return Check("self-test", True, "the probes tell what /proc tells")
