# SPDX-License-Identifier: GPL-2.0
"""Runs guests side by side, as many as keep the processors busy.

Many a guest waits for timers and devices for most of its life, others never wait. So a further
one is started while processors stand idle, and not by number alone.
"""

import os
import threading
import time
from pathlib import Path

# Looks at the processors, and what has to be idle for one more guest, of one processor's time.
EVERY_S = 0.5
IDLE_ENOUGH = 0.4
# A guest that was just started has not shown yet what it takes.
SETTLE_S = 2
MOST_PER_PROCESSOR = 6


def idle_seconds():
    """What all processors have been idle since the host's start."""
    return float(Path("/proc/uptime").read_text().split()[1])


def memory_mib():
    """Memory that guests may have together."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024 * 3 // 4
    return 4096


class Pace:
    """Decides whether one more may start. exactly: that many at once, whatever they do."""

    def __init__(self, exactly=0):
        self.processors = os.cpu_count() or 1
        self.exactly = exactly
        self.memory = memory_mib()
        self.started = 0
        self.then, self.idle_then = time.monotonic(), idle_seconds()
        self.idle = 0.0         # processors that stood idle lately

    def look(self):
        now, idle = time.monotonic(), idle_seconds()
        if now - self.then >= 2 * EVERY_S:
            self.idle = (idle - self.idle_then) / (now - self.then)
            self.then, self.idle_then = now, idle

    def room(self, running, job):
        """May `job` start beside those that are running?"""
        self.look()
        if not running:
            return True
        if self.exactly:
            return len(running) < self.exactly
        # QEMU itself takes some, too.
        if sum(r.mem + 256 for r in running) + job.mem + 256 > self.memory:
            return False
        if len(running) < self.processors:
            return True
        return (len(running) < MOST_PER_PROCESSOR * self.processors and
                self.idle >= IDLE_ENOUGH and time.monotonic() - self.started >= SETTLE_S)


def run_all(jobs, work, exactly=0):
    """work(job) for each job, in a thread of its own, in this order; each has `mem`, MiB. The
    first exception of one ends it and is raised."""
    pace = Pace(exactly)
    waiting, running, errors = list(jobs), [], []

    def one(job):
        try:
            work(job)
        except BaseException as e:      # whoever waits raises it
            errors.append(e)

    while waiting or running:
        running = [(job, t) for job, t in running if t.is_alive()]
        if errors:
            raise errors[0]
        if waiting and pace.room([job for job, _ in running], waiting[0]):
            job = waiting.pop(0)
            running.append((job, threading.Thread(target=one, args=(job,), daemon=True)))
            running[-1][1].start()
            pace.started = time.monotonic()
        else:
            time.sleep(EVERY_S if waiting else 0.1)
