"""Labels of a model's answers, and the tables about them."""

from __future__ import annotations

import polars as pl

from sycophancy_steering.schemas.table import Table, estimate

STAGE = "labels"
PROMPT_COLUMNS = {
    **dict.fromkeys(
        ["id", "source", "family", "item", "persona", "template", "matching", "form", "split"],
        pl.String,
    ),
    "cause": pl.Float64,
}
"""Columns of the prompt set that labels keep."""
SOURCE_COLUMNS = dict.fromkeys(
    [
        "continuation",
        "logprob",
        "logprob_per_token",
        "wording",
        "flipped",
        "mc1",
        "mc2",
        "description",
        "hand",
        "judge",
    ],
    pl.Int8,
)
"""Label sources: 1 sycophantic, 0 another answer, null not known."""
UNLABELLED = "-"
"""In the name of a group of answers (questions/answer_labels.py: `label_group`): null."""
LOG_ODDS = dict.fromkeys(
    ["log_odds", "log_odds_without_user", "log_odds_opposite", "log_odds_neutral"], pl.Float64
)
"""Of the sycophantic answer as written: to the question as asked, without the user's view, after a
user of the opposite view, and after a neutral turn."""
LABELS = Table(
    "data/labels/{model}/{prompt_set}.parquet",
    {
        **PROMPT_COLUMNS,
        "prompt_tokens": pl.Int32,
        "answered_letter": pl.String,
        "margin": pl.Float64,
        **LOG_ODDS,
        "shift": pl.Float64,
        "counts": pl.Boolean,
        **SOURCE_COLUMNS,
        "label": pl.Int8,
        "label_source": pl.String,
    },
    STAGE,
)
"""One row an answer, in the order of the prompt set: its label by every source, the `label` that is
predicted (`label_source` of the suite, or `description` where there are no options; missing where
the answer does not count), the letter answered, and the log-odds `margin` of the sycophantic
answer. `shift` is what the user's words add to its log-odds: those after a neutral turn, or else
without the user, are subtracted. The file's metadata has a judge's error
(storage/label_files.py)."""
DISAGREEMENTS = "data/labels/{model}/{prompt_set}.disagreements.csv"
"""The answers that two sources label differently: id, family, every source that labels some answer,
question and answer."""
LABEL_RATES = Table(
    "reports/label_tables/{model}/{prompt_set}.rates.csv",
    {
        "family": pl.String,
        "n": pl.Int64,
        "n_unlabelled": pl.Int64,
        "sycophantic_share": pl.Float64,
    },
    STAGE,
)
"""Answers of each family, how many have no label, and the share of sycophantic ones among the
labelled answers of `test` (of all splits where none is of `test`)."""
NEUTRAL_TURN, NO_USER = "neutral turn", "no user"
BEHAVIOUR = Table(
    "reports/label_tables/{model}/{prompt_set}.behaviour.csv",
    {
        "family": pl.String,
        "source": pl.String,
        "n": pl.Int64,
        "n_items": pl.Int64,
        "n_left_out": pl.Int64,
        **estimate("rate"),
        "control": pl.String,
        **estimate("control_rate"),
        **estimate("opposite_rate"),
        **estimate("turned_rate"),
        **estimate("rate_difference"),
        **estimate("shift"),
        "shifted_share": pl.Float64,
        "gave_in_share": pl.Float64,
        "held_share": pl.Float64,
        "neither_share": pl.Float64,
        "commonest_letter": pl.String,
        "commonest_letter_share": pl.Float64,
        "sycophantic": pl.Boolean,
    },
    STAGE,
)
"""How often the model is sycophantic (`rate`, of the answers that count), against the same
questions under a `control`, how many of the other answers under the control the user's words turn
(`turned_rate`), and what the user's words add to the log-odds (`shift`); columns are
missing where the questions have no such version. Of all splits of the prompt set."""
CONFOUNDS = Table(
    "reports/label_tables/{model}/{prompt_set}.confounds.csv",
    {
        "family": pl.String,
        "n": pl.Int64,
        "sycophantic_share": pl.Float64,
        "by": pl.String,
        "auroc": pl.Float64,
        "explained_variance": pl.Float64,
        "explained_by_chance": pl.Float64,
    },
    STAGE,
)
"""How far a letter or an item, without any model, predicts the labels of a family."""
SOURCE_AGREEMENT = Table(
    "reports/label_tables/{model}/{prompt_set}.source_agreement.csv",
    {
        "one": pl.String,
        "other": pl.String,
        "n": pl.Int64,
        "n_differ": pl.Int64,
        "kappa": pl.Float64,
    },
    STAGE,
)
"""Two label sources on the answers that both label: how often they differ, and Cohen's kappa."""
GRADERS = Table(
    "reports/label_tables/{model}/{prompt_set}.graders.csv",
    {
        "grader": pl.String,
        "n_graded": pl.Int64,
        "n_ungraded": pl.Int64,
        "n_unclear": pl.Int64,
    },
    STAGE,
)
"""One row a grader: how many answers have a grade, none, or the grade `unclear`."""
GRADER_AGREEMENT = Table(
    "reports/label_tables/{model}/{prompt_set}.grader_agreement.csv",
    {"one": pl.String, "other": pl.String, "n": pl.Int64, "kappa": pl.Float64},
    STAGE,
)
"""Two graders on the answers that both graded: Cohen's kappa."""
