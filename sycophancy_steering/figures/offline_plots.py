"""Makes `dvc plots` work without a network.

    python -m sycophancy_steering.figures.offline_plots

The page that DVC writes loads Vega from another host. This command writes a template with Vega
inlined, .dvc/tmp/plots.html, and names it in .dvc/config.local; `make` runs it once. The template
is not committed (900 KB that are in a package anyway), and neither is the setting: DVC fails where
a template that it is told of is missing, and a clone where this has not run can use a network.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from sycophancy_steering.foundation.atomic_files import atomic_write
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError

REPOSITORY = Path(".dvc")
TEMPLATE = REPOSITORY / "tmp/plots.html"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{{refresh_tag}}
<title>Plots</title>
<style>body {{ font-family: sans-serif; margin: 1rem }} img {{ max-width: 100% }}</style>
<script>(function () {{
{bundle}
}})();</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""
"""What DVC fills in stands in braces: https://dvc.org/doc/user-guide/experiment-management."""


def page_template() -> str:
    """A template of `dvc plots` with Vega, Vega-Lite and Vega-Embed inside."""
    import vl_convert

    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # it has a default
    return PAGE.format(bundle=bundle)


@command(__doc__)
def main() -> None:
    """Writes the template, and tells DVC of it."""
    if not REPOSITORY.is_dir():
        raise InputError(f"{REPOSITORY}: not found; expected to run at the top of the repository")
    with atomic_write(TEMPLATE) as draft:
        draft.write_text(page_template(), encoding="utf-8")
    setting = ("plots.html_template", str(TEMPLATE.relative_to(REPOSITORY)))
    subprocess.run(["dvc", "config", "--local", *setting], check=True)
    print(f"{TEMPLATE}: `dvc plots show` and `dvc plots diff` need no network")


if __name__ == "__main__":
    main()
