"""The watch on GPU ioctls, in a loop over a ring that says what the test has it say."""

from __future__ import annotations

from auditor.kernel.probes import HOLDS_GPU, GpuCount, Label
from auditor.model.events import GpuOpen, GpuSummary, Loss
from auditor.model.records import LabelSource
from tests.builders import make_gpu_open, rdev, wire
from tests.unit.live.scene import Scene


def test_ioctls_are_watched_while_a_gpu_is_held() -> None:
    """The open of a GPU attaches the probes for ioctls; once nobody holds one, they are detached."""
    scene = Scene()
    scene.probes.held[100] = Label(1, 1, 100, 1, LabelSource.INHERITED, HOLDS_GPU)
    scene.step(wire(make_gpu_open()))
    assert scene.probes.watching
    scene.reader._gpu._check_holders(1)
    assert scene.probes.watching
    del scene.probes.held[100]
    scene.probes.counts = [GpuCount(100, rdev("/dev/nvidiactl"), 0x2A, 1, 9, 0, 1, 1, 100, 1, 3)]
    before = len(scene.gate.puts)
    scene.reader._gpu._check_holders(2)
    assert [type(event) for event in scene.events(before)] == [GpuSummary]  # the last counts, before nobody counts
    scene.reader.finish()
    assert not scene.probes.watching


def test_refused_watch_is_a_loss() -> None:
    """Where the kernel refuses to have ioctls watched, that is told as a loss, and the run goes on."""
    scene = Scene()
    scene.probes.refuses = True
    seen = scene.step(wire(make_gpu_open()))
    assert [event.counts for event in seen if isinstance(event, Loss)] == [(("gpu.unwatched", 1),)]
    assert [type(event) for event in seen] == [Loss, GpuOpen]


def test_summaries_are_by_process_and_device() -> None:
    """Counts become a record for each process and device: requests by number of calls, the tail of them added up."""
    scene = Scene(interval_ns=0)
    scene.probes.watching = True
    ctl, gpu = rdev("/dev/nvidiactl"), rdev("/dev/nvidia0")
    label = (5, 4, 99, 1, LabelSource.INHERITED)
    scene.probes.counts = [
        *(GpuCount(100, ctl, request, 1, request, 1, *label) for request in range(1, 41)),
        GpuCount(100, gpu, 0x2A, 2, 3, 0, *label),
        GpuCount(101, ctl, 0x2A, 1, 2, 2, *label),
    ]
    scene.probes.held[100] = Label(5, 4, 99, 1, LabelSource.INHERITED, HOLDS_GPU)
    summaries = [event for event in scene.step() if isinstance(event, GpuSummary)]
    assert [(it.tgid, it.device, it.total, it.errors) for it in summaries] == [
        (100, "/dev/nvidiactl", sum(range(1, 41)), 40),
        (100, "/dev/nvidia0", 3, 0),
        (101, "/dev/nvidiactl", 2, 2),
    ]
    first = summaries[0]
    assert (first.start_ns, first.call_start_ns, first.call_tgid, first.session) == label[:4]
    assert [count for _, count in first.requests] == [*range(40, 8, -1), sum(range(1, 9))]
    assert first.requests[-1][0] == "other"
    assert scene.probes.counts == []
