"""A profile of some training steps, to open in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

#: Numbers of steps that are skipped, that warm up the profiler, and that are recorded.
STEPS = {"wait": 2, "warmup": 1, "active": 5}


class StepProfile:
    """Passes each step to a profiler; without a profiler it does nothing."""

    def __init__(self, profiler: profile | None = None) -> None:
        self.profiler = profiler

    def step(self) -> None:
        """Tells the profiler that a training step has ended."""
        if self.profiler is not None:
            self.profiler.step()


@contextmanager
def profile_steps(folder: Path | None) -> Iterator[StepProfile]:
    """Profiles the first steps, if there is a folder to write to.

    It writes ``profile.json``, a trace for https://ui.perfetto.dev or ``chrome://tracing``, and
    ``profile.txt``, the operators in the order of their time.
    """
    if folder is None:
        yield StepProfile()
        return
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)

    def write(finished: profile) -> None:
        finished.export_chrome_trace(str(folder / "profile.json"))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        averages = finished.key_averages()
        table = averages.table(sort_by=f"self_{device}_time_total", row_limit=40)
        (folder / "profile.txt").write_text(table + "\n")

    plan = schedule(**STEPS, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=write) as profiler:
        yield StepProfile(profiler)
