"""Which response answers which call."""

from __future__ import annotations

from domain.tool_calls import CallPart, Spot, Step, answers


class Talk:
    """A session by strings: "c:x" a call of the id x, "r:x" a response to it, more of them apart by spaces; anything
    else is words."""

    def __init__(self) -> None:
        self.rows: list[tuple[bool, str, object, int | None]] = []

    def say(self, said: str, thread: str = "", parent: int | None = None) -> Talk:
        self.rows.append((said.startswith(("c:", "a")), said, thread, parent))
        return self

    def answers(self) -> dict[Spot, Spot]:
        parents = {parent for *_, parent in self.rows}
        return answers(
            Step(place, agent, thread, parent, place in parents, _parts(said))
            for place, (agent, said, thread, parent) in enumerate(self.rows, 1)
        )


def _parts(said: str) -> list[CallPart]:
    words = enumerate(said.split())
    return [CallPart(i, word[2:], word.startswith("r:")) for i, word in words if word.startswith(("c:", "r:"))]


def talk(*said: str) -> dict[Spot, Spot]:
    """The answers of messages one after another."""
    found = Talk()
    for one in said:
        found.say(one)
    return found.answers()


def test_turn_after_turn_under_one_id() -> None:
    assert talk("c:x", "r:x", "c:x", "r:x", "c:x", "r:x") == {(1, 0): (2, 0), (3, 0): (4, 0), (5, 0): (6, 0)}


def test_a_call_is_closed_once_its_id_is_called_in_a_later_turn() -> None:
    assert talk("c:x", "user", "c:x", "r:x") == {(3, 0): (4, 0)}
    assert talk("c:x", "user", "c:x", "r:x", "r:x") == {(3, 0): (4, 0)}
    assert talk("c:x c:x", "r:x", "c:x", "r:x") == {(1, 0): (2, 0), (3, 0): (4, 0)}
    assert talk("c:x c:y", "r:y", "c:x", "r:x") == {(1, 1): (2, 0), (3, 0): (4, 0)}


def test_a_call_is_answered_late() -> None:
    assert talk("c:x", "user", "agent", "user", "r:x") == {(1, 0): (5, 0)}
    assert talk("c:x", "user", "c:y", "r:x", "r:y") == {(1, 0): (4, 0), (3, 0): (5, 0)}


def test_first_come_first_served_within_a_turn() -> None:
    assert talk("c:x c:x c:x", "r:x", "r:x") == {(1, 0): (2, 0), (1, 1): (3, 0)}
    assert talk("c:x", "c:x", "r:x r:x") == {(1, 0): (3, 0), (2, 0): (3, 1)}
    assert talk("c:x c:y c:x", "r:y", "r:x", "r:x") == {(1, 1): (2, 0), (1, 0): (3, 0), (1, 2): (4, 0)}


def test_calls_and_responses_of_one_message() -> None:
    assert talk("c:x r:x c:x r:x") == {(1, 0): (1, 1), (1, 2): (1, 3)}
    assert talk("c:x r:y c:x r:x") == {(1, 0): (1, 3)}


def test_a_response_before_its_call_answers_nothing() -> None:
    assert talk("r:x", "c:x") == {}
    assert talk("c:x", "r:x", "r:x", "c:x", "user") == {(1, 0): (2, 0)}


def test_of_two_responses_the_first_counts() -> None:
    assert talk("c:x", "r:x", "r:x") == {(1, 0): (2, 0)}
    assert talk("c:x", "r:x r:x", "c:x", "r:x") == {(1, 0): (2, 0), (3, 0): (4, 0)}


def test_each_thread_by_itself() -> None:
    found = Talk().say("c:x", "A").say("c:x", "B").say("r:x", "B").say("r:x", "A").say("r:x")
    assert found.answers() == {(1, 0): (4, 0), (2, 0): (3, 0)}
    crossed = Talk().say("c:x", "A").say("r:x", "B", parent=1).say("r:x", "A", parent=2)
    assert crossed.answers() == {(1, 0): (3, 0)}


def test_each_branch_by_itself() -> None:
    tree = Talk().say("user").say("c:x", parent=1).say("c:x", parent=1).say("r:x", parent=3).say("r:x", parent=2)
    assert tree.answers() == {(2, 0): (5, 0), (3, 0): (4, 0)}
    other = Talk().say("user").say("c:x", parent=1).say("agent", parent=1).say("r:x", parent=3)
    assert other.answers() == {}


def test_a_call_above_a_fork_has_the_first_response() -> None:
    fork = Talk().say("c:x").say("r:x", parent=1).say("r:x", parent=1).say("c:x", parent=3).say("r:x", parent=4)
    assert fork.answers() == {(1, 0): (2, 0), (4, 0): (5, 0)}


def test_what_names_no_parent_follows_the_one_before_it() -> None:
    assert Talk().say("user").say("c:x", parent=1).say("r:x").answers() == {(2, 0): (3, 0)}


def test_what_names_no_parent_and_is_one_stands_at_the_top() -> None:
    trees = Talk().say("user").say("c:x", parent=1).say("user").say("r:x", parent=3)
    assert trees.answers() == {}
