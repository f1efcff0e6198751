"""`prompt_set` of params.yaml: questions that are asked together."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from sycophancy_steering.config.section import SECTION, PositiveInteger, SomeDistinct, Text

Extract = Literal["everything", "forced_answers", "chats", "prompts"]
Keep = Literal["activations", "statistics"]
Order = Literal["mean", "covariance", "fourth"]
UngradedSource = Literal[
    "continuation", "logprob", "logprob_per_token", "wording", "flipped", "mc1", "mc2"
]
"""Sources of labels that are known while a model runs: they need no grades."""
OF_CHATS: tuple[Extract, ...] = ("chats", "prompts")
"""What is extracted of chats without options, which have no answers to force."""


@dataclass(frozen=True, config=SECTION)
class PromptSetSettings:
    """Which questions a prompt set samples, and what is extracted for them."""

    sources: Annotated[dict[Text, PositiveInteger], Field(min_length=1)]
    """Source -> the most questions that are sampled from it."""
    splits: SomeDistinct[Literal["extract", "select", "test"]]
    """The splits whose questions may be sampled."""
    questions_per_item: PositiveInteger = 1
    """How many questions about an item are sampled before the next item, as many with each view.
    Answers can be compared within an item only where it has several."""
    extract: Extract = "everything"
    """`forced_answers`: only the activations of answers forced after the prompt, which is enough
    for vectors from contrast pairs, and faster. For sources of chats without options: `chats`
    (activations at the end of the prompt and of the model's own response) or `prompts` (at the end
    of the prompt only: nothing is generated)."""
    keep: Keep = "activations"
    """What is kept of activations. `statistics`: count, mean and `moments` of each group of answers
    at every layer and position, for sets too large to keep; only for sets that vectors are made
    from, by methods that need no more."""
    moments: Order = "covariance"
    """With `keep: statistics`: `mean` (and variance of each coordinate) for mean differences;
    `covariance` for PCA and LEACE too; `fourth` moments for LDA too, in three times the space."""
    grouped_by: SomeDistinct[UngradedSource] = field(
        default_factory=lambda: ["logprob", "continuation"]
    )
    """With `keep: statistics`: the sources of labels by which answers are grouped, so that any of
    them can be the suite's `label_source`. Every one multiplies the groups."""
