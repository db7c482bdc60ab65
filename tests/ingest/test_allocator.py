import subprocess
import sys

import pytest

# Page faults of a hundred arrays of 1 MB, one after the other, before and after the call.
SCRIPT = """
import resource
import numpy as np
from ingest.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(1 << 17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

mapped, is_kept = faults(), keep_freed_memory()
np.ones(1 << 17)
print(mapped, is_kept, faults())
"""


def test_an_array_takes_the_pages_of_the_one_before() -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout
    mapped, is_kept, kept = told.split()
    if is_kept == "False":
        pytest.skip("this C library has no mallopt")
    assert int(kept) < 100 < int(mapped)
