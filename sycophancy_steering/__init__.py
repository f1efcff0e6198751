"""Do steering vectors predict sycophancy? Extraction, evaluation and intervention."""

from pathlib import Path

# `dvc exp run --queue` and `--temp` run an experiment in a folder below MAIN/.dvc/tmp/exps.
_main, _, _ = Path.cwd().as_posix().rpartition("/.dvc/tmp/exps/")
MAIN_WORKSPACE = Path(_main)
"""The workspace that experiments were queued in; elsewhere the working folder, `.`."""
if _main and (_own := Path.cwd() / __name__).is_dir():
    __path__ = [str(_own)]  # the experiment's code, not that of the workspace it is installed from
