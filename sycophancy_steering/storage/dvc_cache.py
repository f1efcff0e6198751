"""Finds what an output of a DVC stage last held, in DVC's cache.

DVC deletes the outputs of a stage before running it. On another machine, after `dvc pull`, its
cache is the only place where they can be found.
"""

from __future__ import annotations

import configparser
import json
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def cached_output(folder: Path) -> dict[str, Path]:
    """The files that `folder`, an output or a folder within one, last held, by their paths relative
    to it; none unless dvc.lock and the cache have all of them."""
    for output, md5 in _locked_folders().items():
        if not folder.is_relative_to(output):
            continue
        objects = _cache_folder() / "files/md5"
        listing = _object(objects, md5)
        if not listing.exists():
            return {}
        entries = json.loads(listing.read_text(encoding="utf-8"))
        files = {output / entry["relpath"]: _object(objects, entry["md5"]) for entry in entries}
        inside = {
            path.relative_to(folder).as_posix(): source
            for path, source in files.items()
            if path.is_relative_to(folder)
        }
        return inside if all(source.exists() for source in inside.values()) else {}
    return {}


def _locked_folders() -> dict[Path, str]:
    """Output folders in dvc.lock -> the hash of their listing."""
    lock = Path("dvc.lock")
    if not lock.exists():
        return {}
    try:
        stages = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"]
        outputs = [output for stage in stages.values() for output in stage.get("outs", [])]
    except (YAMLError, KeyError, TypeError, AttributeError):
        return {}  # no lock of DVC's, as during a merge: nothing is reused
    return {
        Path(output["path"]): output["md5"]
        for output in outputs
        if output.get("md5", "").endswith(".dir")
    }


def _object(objects: Path, md5: str) -> Path:
    return objects / md5[:2] / md5[2:]


def _cache_folder() -> Path:
    """DVC's cache folder, as its configuration has it."""
    folder = Path(".dvc/cache")
    for name in ("config", "config.local"):
        config = configparser.ConfigParser(interpolation=None)
        config.read(Path(".dvc") / name)
        if configured := config.get("cache", "dir", fallback=None):
            folder = Path(".dvc") / configured
    return folder
