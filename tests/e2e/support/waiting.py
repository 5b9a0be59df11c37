"""Bounded waiting: every wait in the tests names what it waits for and has an end."""

import os
import time

DEFAULT_TIMEOUT = float(os.environ.get("GUISE_TEST_PATIENCE", "10"))  # seconds


class WaitTimeout(AssertionError):
    """Something that should have happened did not happen in time."""


def wait_for(predicate, what, timeout=DEFAULT_TIMEOUT, interval=0.005):
    """Call predicate until it answers something true, and return that answer."""
    end = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise WaitTimeout(f"waited {timeout} s in vain for {what}")
        time.sleep(interval)


def stays_true(predicate, seconds, interval=0.02):
    """Whether predicate stays true for so long: for "nothing happens" there is no event to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not predicate():
            return False
        time.sleep(interval)
    return bool(predicate())


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self):
        self.start = time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self.start
