"""What the C library does with the memory that arrays leave behind."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
LARGEST_KEPT_BYTES = 32 << 20  # the most that glibc takes for the second
FREE_KEPT_BYTES = 256 << 20


def keep_freed_memory() -> bool:
    """Keep what is freed for the next array, in place of giving it back to the kernel; False where unknown.

    Each second's vitals make arrays of some 100 kB by the hundred. By default glibc maps and unmaps each of
    them, and every page of a new one is a fault. Other C libraries have no such knob, and nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    is_kept = mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
    return bool(mallopt(M_TRIM_THRESHOLD, FREE_KEPT_BYTES) and is_kept)
