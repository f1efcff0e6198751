"""What the model itself says in the course of a chat: its turns before the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sycophancy_steering.questions.question import Row, Turn
from sycophancy_steering.storage.activation_store import hash_of

Chat = tuple[Turn, ...]


def own_turn_prefix(row: Row) -> Chat | None:
    """The chat before the model's own turn; None where it has none.

    The row's other versions (with a neutral turn) begin alike.
    """
    for n, turn in enumerate(row.messages):
        if turn.own:
            return row.messages[:n]
    return None


class OwnAnswers:
    """The model's own turns of the questions of a prompt set, generated once for a common start."""

    def __init__(self) -> None:
        self.chats: dict[str, Chat] = {}
        """Key of a chat that an own turn answers -> the chat."""
        self.texts: dict[str, str] = {}
        """By the same keys: what the model said, where that is known."""
        self._chat_keys: dict[str, str] = {}
        """Key of a question -> key of its chat."""

    def add(self, key: str, row: Row) -> None:
        """Adds a question, whose key is `key`."""
        if prefix := own_turn_prefix(row):
            chat_key = hash_of("own answer", [[turn.role, turn.content] for turn in prefix])
            self._chat_keys[key] = chat_key
            self.chats[chat_key] = prefix

    @property
    def questions(self) -> set[str]:
        """Keys of the questions that have an own turn."""
        return {*self._chat_keys}

    def take_over(self, texts: Mapping[str, str]) -> None:
        """Adds what is known of an earlier run, by question."""
        self.texts |= {self._chat_keys[key]: text for key, text in texts.items()}

    def missing(self) -> list[str]:
        """Keys of the chats whose answer is not known."""
        return [key for key in self.chats if key not in self.texts]

    def fill(self, key: str, row: Row) -> Row:
        """The question with the model's own turn filled in."""
        if key not in self._chat_keys:
            return row
        return with_own_answer(row, self.texts[self._chat_keys[key]])


def with_own_answer(row: Row, answer: str | None) -> Row:
    """The question with the model's own turn filled in; as it is without an answer."""
    if answer is None:
        return row
    return replace(
        row,
        messages=_filled(row.messages, answer),
        neutral_turn=_filled(row.neutral_turn, answer),
    )


def _filled(turns: Chat, answer: str) -> Chat:
    return tuple(replace(turn, content=answer) if turn.own else turn for turn in turns)
