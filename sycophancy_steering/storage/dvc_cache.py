"""What an output held when it was last made, from DVC's cache.

DVC deletes the outputs of a stage before it runs it. On another machine, after `dvc pull`, what the
cache holds of them is all that is known.
"""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path


def last_made(output: Path) -> dict[str, Path]:
    """The files of the folder `output`, by name, where `dvc.lock` and the cache have all of it."""
    lock = Path("dvc.lock")
    told = lock.read_text(encoding="utf-8") if lock.exists() else ""
    entry = (
        rf"^    outs:\n    - path: {re.escape(str(output))}\n(?:      .*\n)*?      md5: (\w+\.dir)$"
    )
    if not (match := re.search(entry, told, re.MULTILINE)):
        return {}
    objects = _cache() / "files/md5"
    listing = _object(objects, match[1])
    if not listing.exists():
        return {}
    listed = json.loads(listing.read_text())
    files = {each["relpath"]: _object(objects, each["md5"]) for each in listed}
    return files if all(path.exists() for path in files.values()) else {}


def _object(objects: Path, name: str) -> Path:
    return objects / name[:2] / name[2:]


def _cache() -> Path:
    """DVC's cache folder, as its configuration has it."""
    found = Path(".dvc/cache")
    for name in ("config", "config.local"):
        config = configparser.ConfigParser(interpolation=None)
        config.read(Path(".dvc") / name)
        if place := config.get("cache", "dir", fallback=None):
            found = Path(".dvc") / place
    return found
