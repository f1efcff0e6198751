"""Statistics kept instead of activations: the same vectors, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import PARAMS, ROOT
from ruamel.yaml import YAML
from stage_scripts import stage
from tiny_models import byte_tokenizer, tiny

from sycophancy_steering.activations import extraction
from sycophancy_steering.activations.extraction import StudiedModel
from sycophancy_steering.config.activations import ActivationSettings
from sycophancy_steering.config.model import ModelSettings
from sycophancy_steering.config.reading import read_section
from sycophancy_steering.engine.language_model import load_language_model
from sycophancy_steering.labels.labelling import label_responses
from sycophancy_steering.schemas.paths import ACTIVATIONS, LABELS, MODELS, PROMPTS
from sycophancy_steering.storage.vector_files import read_variant_index
from sycophancy_steering.vectors.labelled_activations import read_labelled_activations
from sycophancy_steering.vectors.labelled_statistics import read_labelled_statistics
from sycophancy_steering.vectors.methods import exact_vector

SETS = ("pairs", "forced", "described")
N_QUESTIONS = 60
NATURAL = ["prompt", "continuation", "continuation_mean"]
VARIANTS = [
    {
        "method": ["mean_difference", "pca", "lda", "leace", "random"],
        "position": ["answer", *NATURAL],
    },
    {"method": ["mean_difference", "lda"], "position": "answer", "normalisation": "standard"},
    {"method": "pca", "position": ["answer", "prompt"], "normalisation": ["standard", "robust"]},
    {"method": "letter", "position": "answer"},
]


def edit(folder: Path, change) -> None:
    path = folder / "params.yaml"
    params = YAML(typ="safe").load(path)
    change(params)
    YAML().dump(params, path)


def set_up(folder: Path, keep: str, dtype: str = "float16") -> Path:
    """A study of a random-weight model before its first stage."""
    folder.mkdir(parents=True)
    for name in ("data/tables", "data/questions", "data/examples"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "params.yaml").write_text(PARAMS)

    def change(params) -> None:
        kept = {"splits": ["extract"], "keep": keep, "moments": "fourth"}
        params["variants"] = VARIANTS
        params["prompting"]["methods"] = ["instruction"]
        params["prompt_sets"]["small"] = [*SETS, "held_out"]
        params["suite"]["small"]["extraction_sets"] = [*SETS]
        params["model"]["tiny"]["dtype"] = dtype
        params["prompt_set"]["pairs"] = {"sources": {"organism_opinions": N_QUESTIONS}, **kept}
        params["prompt_set"]["forced"] = {
            "sources": {"organism_misconceptions": 20}, "extract": "forced_answers", **kept,
        }  # fmt: skip
        params["prompt_set"]["described"] = {
            "sources": {"descriptions": 24}, "extract": "chats", **kept,
        }  # fmt: skip

    edit(folder, change)
    return folder


def run_study(folder: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    """The stages from the questions to the vectors, of all extraction sets."""
    monkeypatch.chdir(folder)
    (folder / "data/models").mkdir()
    (folder / "data/models/tiny").symlink_to(model)
    model_settings = read_section(ModelSettings, "model", "tiny")
    language_model = load_language_model(MODELS / "tiny", model_settings)
    activation_settings = read_section(ActivationSettings, "activations")
    loaded = StudiedModel("tiny", language_model, activation_settings, model_settings)
    for name in SETS:
        stage("prompts").sample_prompts(name)
        stage("activations").extract(name, loaded)
        label_responses("tiny", name, "logprob", required=False)
        stage("vectors").make_vectors("tiny", name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny("llama", seed=4).model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, model: Path) -> tuple[Path, Path]:
    """The same study with activations and with statistics of eight questions at a time."""
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(extraction, "WINDOW", 8)
        for keep in ("activations", "statistics"):
            run_study(set_up(folder / keep, keep), monkeypatch, model)
    return folder / "activations", folder / "statistics"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("prompt_set", SETS)
def test_every_vector_is_the_one_that_kept_activations_give(studies, prompt_set, monkeypatch):
    with_activations, with_statistics = studies
    monkeypatch.chdir(with_activations)
    paths = (ACTIVATIONS / "tiny" / prompt_set, LABELS / f"tiny/{prompt_set}.parquet")
    kept = read_labelled_activations(*paths, PROMPTS / f"{prompt_set}.parquet")
    variants = stage("vectors").read_variants()
    index = read_variant_index(Path("vectors/extracted/tiny") / prompt_set)
    expected = {
        (name, layer): exact_vector(
            variants[name].method,
            kept.contrast(variants[name], layer),
            variants[name].normalisation,
        )
        for name in index.variants
        for layer in range(3)
    }
    monkeypatch.chdir(with_statistics)
    folded = read_labelled_statistics(*paths)
    assert read_variant_index(Path("vectors/extracted/tiny") / prompt_set) == index
    natural = {name for name in index.variants if name.rpartition("_")[2] in ("prompt", "mean")}
    assert bool(natural) == (prompt_set != "forced") and len(index.variants) >= 9
    for (name, layer), vector in expected.items():
        variant = variants[name]
        assert kept.class_sizes(variant) == folded.class_sizes(variant)
        ours = exact_vector(variant.method, folded.contrast(variant, layer), variant.normalisation)
        assert np.abs(ours - vector).max() <= 1e-10 * np.linalg.norm(vector), name
