"""End-to-end tests: the fixtures are in support/fixtures.py."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wildcard-import,unused-wildcard-import,wrong-import-position
from support.fixtures import *  # noqa: E402,F401,F403
