"""The package in a notebook: activations, vectors and AUROCs of a Hugging Face model, in memory."""

from sycophancy_steering.notebook.questions import Questions, read_questions
from sycophancy_steering.notebook.studied_model import Activations, Model
from sycophancy_steering.notebook.vectors import compare, evaluate, make_vectors

__all__ = [
    "Activations",
    "Model",
    "Questions",
    "compare",
    "evaluate",
    "make_vectors",
    "read_questions",
]
