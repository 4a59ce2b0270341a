"""What a run left, and what the served API says of it: two accounts that must agree."""

import csv
import json
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.patience import WAIT_S

# Fast enough for tests: no pause between tries is long, no minute is full.
QUICK = {"STORYREEL_RATE_LIMIT": "60000", "STORYREEL_MAX_RETRY_AFTER_S": "5"}
LANGUAGE = """
output: [{fps: 12, size: 64x48}, {preset: gif, size: 32x24, name: small}]
defaults: {aspect: 4:3, hold: 1s, transition: {type: dissolve, duration: 500ms}, motion: push_in}
scenes:
  - shots: [{prompt: a harbor, caption: Six in the morning}, {prompt: a lighthouse}, {prompt: the sea}]
"""


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "ledger.csv").open(newline="") as ledger:
        return list(csv.DictReader(ledger))


def spent(folder: Path) -> Decimal:
    """Return the sum of what was billed: images that were kept, and those that were of no use."""
    return sum((Decimal(row["cost_usd"]) for row in rows(folder) if row["status"] in ("ok", "unusable")), Decimal(0))


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url.rstrip('/')}/_stats", timeout=WAIT_S) as answer:
        return dict(json.load(answer))
