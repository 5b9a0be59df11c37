"""Conformance tests: they share the fixtures of the end-to-end tests."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

# pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from support.fixtures import *  # noqa: E402,F401,F403
