"""From the installed command to the page: wall and CPU seconds, and whether torch was there already.

    python -m benchmarks.start [--runs 5]

Starts `launch.py` with an empty data folder, asks for / until it answers 200, reads what the process used, ends it.
Linux only
(reads /proc).
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 5.0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def once() -> tuple[float, float, bool]:
    """(wall seconds, CPU seconds, torch in memory) at the first answered page."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [sys.executable, str(ROOT / "launch.py"), "--port", str(port), "--data-dir", folder]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                        answer.read()
                    break
                except OSError:
                    time.sleep(0.02)
            wall = time.perf_counter() - began
            return wall, cpu_seconds(process.pid), "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = [once() for _ in range(parser.parse_args().runs)]
    for wall, cpu, torch in runs:
        print(f"page after {wall:5.2f} s wall, {cpu:5.2f} s CPU; torch loaded: {'yes' if torch else 'no'}")
    best = min(wall for wall, _, _ in runs)
    print(f"best {best:.2f} s of {LIMIT:.0f} s allowed; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
