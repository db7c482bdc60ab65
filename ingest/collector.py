"""How often Python's garbage collector walks what a service holds for long.

By default it walks all of it whenever a quarter more came to stay: with 5,000 devices 18 times a minute, each
time for 0.13 s in which no message is read. Little of that is garbage: only circles need the collector.
"""

import gc

YOUNG = 20_000  # new containers before the young are looked at (default 700): most are gone by then
MIDDLE = 10  # such looks before those who stayed are looked at once more (the default)
ALL = 100  # of these before everything may be walked: each few minutes in place of each few seconds


def spare_the_long_lived() -> None:
    """Never walk what is there now, and the rest seldom. Circles of the young are freed as ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, ALL)
