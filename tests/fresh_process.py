"""What a program holds is measured in a process of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

# glibc keeps freed blocks below a size that grows up to 32 MB: whether the next tensor fits into
# one of them is chance. A fixed size hands every tensor's memory back at once.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}


def printed_by(program: str) -> str:
    """What a Python program prints, run in the project's folder."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | _ENVIRONMENT,
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    return done.stdout
