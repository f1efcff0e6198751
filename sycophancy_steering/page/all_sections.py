"""The sections of the page in their order. A new one is a function, a template and a line here."""

from __future__ import annotations

from sycophancy_steering.page.agreement import agreement
from sycophancy_steering.page.atlas import atlas
from sycophancy_steering.page.behaviour import behaviour
from sycophancy_steering.page.cause import cause
from sycophancy_steering.page.choices import choices
from sycophancy_steering.page.monitor import monitor
from sycophancy_steering.page.power import power
from sycophancy_steering.page.prediction import prediction
from sycophancy_steering.page.provenance import provenance
from sycophancy_steering.page.published import published
from sycophancy_steering.page.questions import questions
from sycophancy_steering.page.section import Question
from sycophancy_steering.page.simpler_section import simpler
from sycophancy_steering.page.texts import texts
from sycophancy_steering.page.transfer import transfer

QUESTIONS = (
    Question("behaviour", "Is there anything to predict?", behaviour, "Behaviour"),
    Question("prediction", "Does the vector predict sycophancy?", prediction, "Prediction"),
    Question("choices", "How much depends on how the vector was made?", choices, "Choices"),
    Question("agreement", "Do vectors agree with one another?", agreement, "Agreement"),
    Question("simpler", "Is it more than a simpler thing?", simpler, "Simpler things"),
    Question("monitor", "Is the vector worth anything as a monitor?", monitor, "Monitor"),
    Question("transfer", "Does it transfer to other kinds of question?", transfer, "Transfer"),
    Question("power", "What could have been found?", power, "Power"),
    Question("cause", "Is the vector a cause?", cause, "Cause"),
    Question("questions", "Which questions does the model give in to?", questions, "Questions"),
    Question("texts", "What does the steered model write?", texts, "Texts"),
    Question(
        "published", "How do published figures compare?", published, "Published", of_study=True
    ),
    Question("atlas", "What is in all the cells?", atlas, "Atlas", of_study=True),
    Question(
        "provenance", "Where do these numbers come from?", provenance, "Provenance", of_study=True
    ),
)
