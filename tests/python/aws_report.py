"""How the steps of the story speak: one line for what was found, an error for what wasn't."""

import time


class Failed(Exception):
    """What was expected and not found, or what went wrong and what to do about it."""


def found(text):
    """Something that the story promised and that is so."""
    print(f"   ✓ {text}", flush=True)


def shown(text):
    """Something to look at."""
    for line in text.splitlines():
        print(f"     {line}", flush=True)


def demand(holds, otherwise):
    if not holds:
        raise Failed(otherwise)


def wait_for(what, arrived, seen, seconds=60):
    """What `arrived` gives once it is something; `seen` tells how far it came if it never is."""
    end = time.monotonic() + seconds
    while not (result := arrived()):
        if end < time.monotonic():
            raise Failed(f"{what} didn't come within {seconds} seconds; so far: {seen()}")
        time.sleep(0.2)
    return result
