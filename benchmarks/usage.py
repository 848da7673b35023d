"""What this process uses: CPU, and memory at its peak, where the system tells."""

import resource
from contextlib import suppress
from pathlib import Path

# https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
STATUS = Path("/proc/self/status")


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def forget_peak_memory() -> None:
    """Let the peak of memory begin anew. Where there is no way to, it stays that of the process's life."""
    with suppress(OSError):
        CLEAR.write_text(RESET_PEAK)


def peak_memory() -> float:
    """Return the peak of resident memory, in megabytes."""
    if STATUS.exists():
        [line] = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
