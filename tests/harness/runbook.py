"""docs/3am.md as it lies in the package, for the console: `make docs` copies it there."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "3am.md"
SHIPPED = ROOT / "src" / "warouter" / "static" / "3am.md"

if __name__ == "__main__":
    SHIPPED.write_text(PAGE.read_text())
