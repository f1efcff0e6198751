"""Overlays replace values of params.yaml and leave the rest as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import run
from ruamel.yaml import YAML

from sycophancy_steering.config.overlay import replace_values
from sycophancy_steering.config.params import read_params
from sycophancy_steering.foundation.errors import InputError

ROOT = Path(__file__).parent.parent
OVERLAYS = sorted((ROOT / "presets/overlays").glob("*.yaml"))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_an_overlay_leaves_a_valid_study_with_its_values(overlay, tmp_path):
    params = (ROOT / "params.yaml").read_text()
    if "\n  smollm2: plain_english" not in params:
        params = params.replace("\nmodels: ", "\nmodels:\n  smollm2: plain_english", 1)
    (tmp_path / "params.yaml").write_text(params)
    shutil.copytree(ROOT / "sycophancy_steering", tmp_path / "sycophancy_steering")
    before = YAML(typ="safe").load(tmp_path / "params.yaml")
    done = run(tmp_path, "python", "-m", "sycophancy_steering.config.overlay", str(overlay))
    assert done.returncode == 0, done.stderr
    after = YAML(typ="safe").load(tmp_path / "params.yaml")
    values = YAML(typ="safe").load(overlay)
    for section, settings in values.items():
        before[section].update(settings)
    assert after == before
    read_params(tmp_path / "params.yaml")
    was, now = params.splitlines(), (tmp_path / "params.yaml").read_text().splitlines()
    settings = sum(len(section) for section in values.values())
    assert len(set(was) - set(now)) <= settings  # all other lines are as they were


def test_a_key_that_is_not_there_is_named():
    params = {"interventions": {"n_random": 5, "coefficients": [1, 2]}, "models": {}}
    assert replace_values(params, {"interventions": {"coefficients": [3]}}, "o.yaml") == [
        "interventions.coefficients"
    ]
    assert params["interventions"] == {"n_random": 5, "coefficients": [3]}
    with pytest.raises(
        InputError, match=r"o.yaml: interventions: n_randm: expected one of n_random"
    ):
        replace_values(params, {"interventions": {"n_randm": 3}}, "o.yaml")
