"""What every Python script here shares: where the fleet is and how checks are run."""

import os
import traceback

BASE_URL = os.environ["OPENAI_BASE_URL"]
API_KEY = os.environ["OPENAI_API_KEY"]
MODEL = os.environ["NANOFLEET_MODEL"]
QUESTION = os.environ["NANOFLEET_QUESTION"]
ANSWER = os.environ["NANOFLEET_ANSWER"]


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def run(client, checks):
    """Prints a line for each check and ends with the first that fails."""
    for check in checks:
        try:
            check()
        except Exception:
            raise SystemExit(f"{client} {check.__name__}: FAILED: {traceback.format_exc()}")
        print(f"{client} {check.__name__}: ok", flush=True)
