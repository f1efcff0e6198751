"""Pushes the study, the run cache, and adapters where there are any, to the default remote.

    python -m sycophancy_steering.sharing.push

This is `dvc push --run-cache`, which takes any object that has the right name for one that was
pushed. A push that was cut off leaves half of an object under its name, and an object may be lost;
so sizes are compared first, and what is not whole is removed there and pushed again.
"""

from __future__ import annotations

import os

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


def push(remote: Remote) -> int:
    """The number of objects that were pushed. Raises InputError."""
    study = outputs(remote.repo, STUDY)
    if not study:
        raise InputError("dvc.lock has no output to push: run `make study` first")
    pushed = [*study, *(one for one in outputs(remote.repo, TUNING) if _is_cached(one))]
    advice = "type `make push` again: what was pushed stays"
    with logged_errors() as errors:
        try:
            absent = remove_damaged(remote, pushed)
            count = remote.repo.push([one.fs_path for one in pushed], run_cache=True)
        except Exception as error:
            raise remote.failure(
                "not all was pushed", errors[0] if errors else error, advice
            ) from None
    if errors:
        raise remote.failure("not all was pushed", errors[0], advice)
    if absent:
        names = ", ".join(sorted(absent))
        raise InputError(
            f"{names}: neither in the cache nor on {remote}; the rest was pushed, and "
            "`make study` computes what is missing"
        )
    return count


def remove_damaged(remote: Remote, pushed: list[Output]) -> set[str]:
    """Removes objects of another size than in the cache, and listings of folders that lack one, so
    that DVC pushes both. Returns outputs of which an object is neither here nor there."""
    by_output = {one.def_path: remote.objects_of(one) for one in pushed}
    local = {name: _size(pushed[0], name) for name in set().union(*by_output.values())}
    there = remote.sizes(sorted(local))
    damaged = {
        name for name, size in there.items() if local[name] is not None and local[name] != size
    }
    lost = {name for name, size in local.items() if size is not None and name not in there}
    incomplete = {
        object_name(one)
        for one in pushed
        if by_output[one.def_path] & (damaged | lost) and object_name(one) in there
    }
    for name in damaged | incomplete:
        remote.objects.delete(name)
    nowhere = {name for name, size in local.items() if size is None and name not in there}
    return {path for path, names in by_output.items() if names & nowhere}


def _size(output: Output, name: str) -> int | None:
    """Bytes of an object in the local cache, if it has it."""
    path = output.cache.oid_to_path(name)
    return os.path.getsize(path) if os.path.exists(path) else None


def _is_cached(output: Output) -> bool:
    return _size(output, object_name(output)) is not None


@command(__doc__)
def main() -> None:
    """Pushes, and says how much was new."""
    with default_remote() as remote:
        count = push(remote)
        print(f"{remote} has the study: {count} new objects and entries of the run cache")


if __name__ == "__main__":
    main()
