"""Pulls the study, and adapters where somebody has pushed them, from the default remote.

    python -m sycophancy_steering.sharing.pull

This is `dvc pull`, of what is there: an object has to be what its name says (`verify`), outputs
are laid out once all of their objects have arrived, and adapters that nobody has pushed are no
error.
"""

from __future__ import annotations

import os

from dvc.exceptions import DvcException
from dvc.output import Output

from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError
from sycophancy_steering.sharing.remote import (
    STUDY,
    TUNING,
    Remote,
    default_remote,
    logged_errors,
    object_name,
    outputs,
)


def pull(remote: Remote) -> tuple[int, list[str]]:
    """The number of objects that came, and the outputs of `make tuning` that nobody has pushed.

    Raises InputError, and then no output has changed.
    """
    study = outputs(remote.repo, STUDY)
    if not study:
        raise InputError("dvc.lock has no output to pull: it comes with git, see `git status`")
    tuning = outputs(remote.repo, TUNING)
    shared = remote.sizes([object_name(one) for one in tuning])
    pulled = [*study, *(one for one in tuning if object_name(one) in shared)]
    paths = [one.fs_path for one in pulled]
    with logged_errors() as errors:
        try:
            count = _fetched(remote, paths, errors)
            _check_complete(remote, pulled)
        except InputError:
            raise
        except Exception as error:
            raise remote.failure(
                "not all was pulled, and no output was changed",
                error,
                "type `make pull` again: what has arrived stays",
            ) from None
        try:
            remote.repo.checkout(paths)
        except Exception as error:
            raise remote.failure("all has arrived, but not all is in its place", error,
                                 "mend this and type `make pull` again") from None  # fmt: skip
    return count, sorted(one.def_path for one in tuning if one not in pulled)


def _fetched(remote: Remote, paths: list[str], errors: list[Exception]) -> int:
    """The number of objects that came. Raises what cut it off; a lost object does not."""
    count = 0
    try:
        count = remote.repo.fetch(paths)
    except Exception as error:
        errors.append(error)
    for error in errors:
        if not isinstance(error, FileNotFoundError | DvcException):
            raise error
    return count


def _check_complete(remote: Remote, pulled: list[Output]) -> None:
    """Raises InputError for objects that are not on the remote, or are not what they should be."""
    absent = {
        name: one.def_path
        for one in pulled
        for name in remote.objects_of(one)
        if not os.path.exists(one.cache.oid_to_path(name))
    }
    if not absent:
        return
    lost = absent.keys() - remote.sizes(sorted(absent)).keys()
    name = min(lost or absent)
    more = len(lost or absent) - 1
    raise InputError(
        f"{remote}: {remote.objects.oid_to_path(name)} of {absent[name]} "
        f"{f'and {more} more ' if more else ''}"
        + ("not there" if lost else "damaged")
        + ", and no output was changed; "
        + ("" if lost else "remove it there, then ")
        + "whoever ran the study types `make push`"
    )


@command(__doc__)
def main() -> None:
    """Pulls, and says what came and what nobody has pushed."""
    with default_remote() as remote:
        count, not_shared = pull(remote)
    print(f"{count} objects pulled" if count else "everything was here already")
    if not_shared:
        print(f"not on the remote: {', '.join(not_shared)} (`make tuning` computes them)")


if __name__ == "__main__":
    main()
