"""Fetches public questions into data/public, each file checked to be the one that was published.

    python stages/fetch.py all github
    python stages/fetch.py anthropic ~/clones/evals

Not a stage of dvc.yaml: run it yourself. Files that are there already are checked and kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sources.download import download
from sycophancy_steering.sources.public_files import (
    PUBLIC_FOLDER,
    PublishedFile,
    git_blob,
    published_files,
)

GITHUB = "https://raw.githubusercontent.com"


@command(
    __doc__,
    name="anthropic, truthfulqa or all",
    origin="github, a folder that holds the files under whatever names, or the address of a mirror",
)
def main(name: str, origin: str) -> None:
    errors = []
    for file in published_files(name):
        target = PUBLIC_FOLDER / file.target
        try:
            if not target.exists():
                fetch(file, target, origin)
            elif (digest := git_blob(target)) != file.git_hash:
                raise InputError(
                    f"{target}: not the published file (git blob {digest}, expected "
                    f"{file.git_hash}); move it away and run this again"
                )
        except InputError as error:
            errors.append(str(error))
        else:
            rows = f"{file.n_records:,} rows" if file.n_records else "rows not counted upstream"
            print(f"{target}: as published, {rows}")
    if errors:
        raise InputError("; ".join(errors))


def fetch(file: PublishedFile, target: Path, origin: str) -> None:
    """Downloads or copies `file` to `target`. Raises InputError for another content."""
    part = target.with_name(target.name + ".part")
    if origin == "github" or origin.startswith(("http://", "https://")):
        base = GITHUB if origin == "github" else origin.rstrip("/")
        download(f"{base}/{file.repository}/{file.commit}/{file.path}", part, target.name)
    else:
        copy(file, part, Path(origin).expanduser())
    if (digest := git_blob(part)) != file.git_hash:
        part.unlink()
        raise InputError(
            f"{target}: what {origin} sent is not the published file (git blob {digest}, expected "
            f"{file.git_hash}{'; ' + file.warning if file.warning else ''}); it was deleted"
        )
    part.rename(target)


def copy(file: PublishedFile, part: Path, folder: Path) -> None:
    """Copies the file in `folder` with the content that was published, whatever its name."""
    if not folder.is_dir():
        raise InputError(
            f"{folder}: expected github, a folder, or an address with http:// or https://"
        )
    ending = Path(file.path).suffix
    for path in sorted(folder.rglob(f"*{ending}")):
        if path.is_file() and git_blob(path) == file.git_hash:
            part.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, part)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise InputError(f"{part}: cannot be written ({error.strerror})") from None
            return
    raise InputError(
        f"{folder}: no {ending} file with the content of {Path(file.path).name} as published (git "
        f"blob {file.git_hash}{'; ' + file.warning if file.warning else ''})"
    )


if __name__ == "__main__":
    main()
