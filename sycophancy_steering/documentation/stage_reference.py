"""The command line of each stage, out of the scripts' docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sycophancy_steering.documentation.pipeline import read_stages
from sycophancy_steering.documentation.report_values import markdown_table
from sycophancy_steering.foundation.errors import InputError

PIPELINES = {
    Path("dvc.yaml"): ("The study", "`make study` or `dvc repro`"),
    Path("tuning/dvc.yaml"): ("Fine-tuning as a baseline", "`make tuning`"),
}
BY_HAND = ("By hand", "you")


@dataclass(frozen=True)
class Script:
    """What a script of `stages/` says of itself."""

    name: str
    title: str
    usage: str
    description: str
    arguments: dict[str, str]


def stage_reference(folder: Path = Path("stages")) -> str:
    """A section for each script: usage, description and arguments; in the order they run."""
    waiting = {path.stem: path for path in sorted(folder.glob("*.py"))}
    parts: list[str] = []
    for pipeline, (heading, runner) in PIPELINES.items():
        scripts = dict.fromkeys(
            Path(stage["cmd"].split()[1]).stem for stage in read_stages(pipeline).values()
        )
        parts += _group(heading, runner, [waiting.pop(name) for name in scripts])
    return "\n\n".join([*parts, *_group(*BY_HAND, [*waiting.values()])])


def read_script(path: Path) -> Script:
    """A script's docstring (a title, indented usage, a description) and the help of its arguments.

    Raises InputError for a docstring without usage.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, *paragraphs = (ast.get_docstring(tree) or "").split("\n\n")
    if not paragraphs or not paragraphs[0].startswith("    "):
        raise InputError(f"{path}: expected a docstring of a title, indented usage, a description")
    usage = re.sub(r"^    ", "", paragraphs[0], flags=re.MULTILINE)
    return Script(path.stem, title, usage, "\n\n".join(paragraphs[1:]), dict(_arguments(tree)))


def _arguments(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The words given to `@command`, each the help of a parameter; options as `--NAME`."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name == "main":
            options = {parameter.arg for parameter in function.args.kwonlyargs}
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call):
                    for keyword in decorator.keywords:
                        name = f"--{keyword.arg}" if keyword.arg in options else str(keyword.arg)
                        yield name, str(ast.literal_eval(keyword.value))


def _group(heading: str, runner: str, paths: Sequence[Path]) -> Iterator[str]:
    yield f"## {heading}\nRun by {runner}."
    for script in map(read_script, paths):
        yield f"### {script.name}\n{script.title}"
        yield f"```usage\n{script.usage}\n```"
        if script.description:
            yield script.description
        if script.arguments:
            rows = [[f"`{name}`", text] for name, text in script.arguments.items()]
            yield markdown_table(["argument", "meaning"], rows)
