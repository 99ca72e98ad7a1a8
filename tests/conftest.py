"""What every test shares: seeds, no network by accident, and hypothesis without a stopwatch."""

import os
import random
import sys
from pathlib import Path

# Set before any test imports a library that reads them.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tiny networks: a second thread only waits, and on a busy machine for long

import numpy as np
import pytest
from hypothesis import settings

# A busy machine is no reason to fail, hence no deadline; the same examples everywhere in CI.
settings.register_profile("desk", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture(autouse=True)
def same_dice_for_every_test() -> None:
    """Seeds every generator, so that a test's outcome depends neither on its neighbours nor on their order."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]
