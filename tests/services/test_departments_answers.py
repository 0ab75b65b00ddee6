"""What a department may say: checked before it is kept, said once, and never lost from the journal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import ACKNOWLEDGEMENT, read_message
from schemas.vocabulary import Answer, AssignmentState, Notice
from services.departments.answering import Answering, OrderEndedError
from services.departments.journal import KEEP_ENDED_FOR, Journal
from services.departments.order import Order
from services.departments.standing import News, refused_answer, standing, weigh
from services.platform.clock import SystemClock
from services.platform.errors import ConfigurationError
from tests.services.test_departments_world import EXERCISE, again, order

OPEN = [state for state in AssignmentState if state.is_open]


def opened(path: Path | None = None) -> Journal:
    journal = Journal(path, "police", EXERCISE)
    journal.open()
    return journal


def taken(journal: Journal, **told: object) -> Order:
    """An order on record, as after its receipt."""
    message = order("police", **told)
    journal.put(message, datetime.now(UTC))
    return Order(message, Answering("police", journal, SystemClock(), lambda: None))


async def test_an_order_that_asks_for_a_read_back_is_not_taken_on_without_one() -> None:
    journal = opened()
    asked = taken(journal, read_back=True)
    for say in (asked.commit, asked.start, asked.complete):
        with pytest.raises(ValueError, match="read_back: this order asks for it"):
            await say()
    with pytest.raises(ValueError, match="read_back"):
        await asked.commit(read_back="  ")
    assert journal.said(asked.id) == []
    await asked.acknowledge()
    await asked.commit(read_back="close the ring road")
    await asked.start()
    assert [each.message.read_back for each in journal.said(asked.id)] == [None, "close the ring road", None]
    journal.close()


async def test_an_order_that_asks_for_none_needs_none() -> None:
    journal = opened()
    assert await taken(journal).commit()
    journal.close()


@pytest.mark.parametrize(
    ("note", "why"),
    [
        ("x" * 1_100_000, "note: String should have at most 4000 characters"),
        ("a\x00b", "NUL character"),
        ("a\ud800b", "note: Input should be a valid string"),
    ],
    ids=["too large", "NUL", "half a character"],
)
async def test_words_that_would_be_set_aside_by_the_reader_are_refused_before_sending(note: str, why: str) -> None:
    journal = opened()
    asked = taken(journal)
    with pytest.raises(ValueError, match=why):
        await asked.progress(note)
    assert journal.said(asked.id) == []
    assert await asked.progress("fine"), "the transaction was left clean"
    journal.close()


async def test_no_needs_a_reason() -> None:
    journal = opened()
    asked = taken(journal)
    with pytest.raises(ValueError, match=r"^reason: decline must say why$"):
        await asked.decline("  ")
    journal.close()


async def test_the_same_is_said_once_except_progress_and_obstacles() -> None:
    journal = opened()
    asked = taken(journal)
    assert [await asked.commit(), await asked.commit(note="once more")] == [True, False]
    assert [await asked.progress("half"), await asked.progress("half")] == [True, True]
    assert [await asked.block("a tree"), await asked.block("a tree")] == [True, True]
    assert [await asked.complete(), await asked.complete()] == [True, False]
    assert len(journal.said(asked.id)) == 6
    with pytest.raises(OrderEndedError, match="is completed already"):
        await asked.start()
    journal.close()


async def test_every_answer_is_readable_by_whoever_receives_it() -> None:
    journal = opened()
    asked = taken(journal)
    answering = Answering("police", journal, SystemClock(), lambda: None)
    await asked.acknowledge(by="Li")
    await asked.commit(note="可以")
    await asked.start()
    await asked.arrive()
    await asked.block("a tree")
    await asked.progress("cleared")
    await asked.delegate("fire-rescue", "their saws")
    for said in journal.said(asked.id):
        out = answering.outgoing(said)
        envelope, message = read_message(out.envelope.headers(), out.value, ACKNOWLEDGEMENT)
        assert (envelope.id, envelope.subject, message) == (said.event_id, str(asked.incident_id), said.message)
    journal.close()


async def test_answers_of_one_order_are_sent_one_after_the_other() -> None:
    journal = opened()
    first, second = taken(journal), taken(journal)
    for asked in (first, second):
        await asked.commit()
        await asked.start()
    waiting = journal.waiting(10)
    assert [each.message.answer for each in waiting] == [Answer.COMMIT, Answer.COMMIT]
    journal.confirm(waiting[:1])
    assert [(each.message.assignment_id, each.message.answer) for each in journal.waiting(10)] == [
        (first.id, Answer.START),
        (second.id, Answer.COMMIT),
    ]
    journal.close()


async def test_an_answer_on_its_way_when_all_are_wanted_again_is_sent_again_after_the_others() -> None:
    """The confirmation may come from a broker that has lost its data since."""
    journal = opened()
    asked = taken(journal)
    await asked.commit()
    journal.confirm(journal.waiting(10))
    await asked.complete()
    on_its_way = journal.waiting(10)
    journal.say_again(asked.id)
    journal.confirm(on_its_way)
    sent = []
    while waiting := journal.waiting(10):
        sent += [each.message.answer for each in waiting]
        journal.confirm(waiting)
    assert sent == [Answer.COMMIT, Answer.COMPLETE]
    journal.close()


async def test_the_journal_forgets_what_ended_long_ago_and_has_been_heard(tmp_path: Path) -> None:
    journal = opened(tmp_path / "police.journal")
    done, unheard, still_open = taken(journal), taken(journal), taken(journal)
    await done.complete()
    await unheard.complete()
    journal.confirm(journal.said(done.id))
    now = datetime.now(UTC)
    assert journal.prune(now) == 0
    assert journal.prune(now + KEEP_ENDED_FOR + timedelta(minutes=1)) == 1
    assert {known.message.assignment_id for known in journal.orders()} == {unheard.id, still_open.id}
    assert journal.said(done.id) == []
    assert len(journal.said(unheard.id)) == 1
    journal.close()


async def test_the_journal_is_its_owners_to_read_and_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "made" / "police.journal"
    journal = opened(path)
    asked = taken(journal)
    await asked.commit()
    said = journal.said(asked.id)
    journal.close()
    assert path.stat().st_mode & 0o077 == 0
    again_opened = opened(path)
    assert again_opened.said(asked.id) == said
    assert again_opened.waiting(10) == said
    again_opened.close()


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("shopping list, longer than a header of a database file would be " * 4)
    with pytest.raises(ConfigurationError, match=r"notes.txt: file is not a database; name another file"):
        opened(path)


@given(st.sampled_from(OPEN), st.lists(st.sampled_from(list(Answer))))
def test_answers_never_take_an_order_back(told: AssignmentState, said: list[Answer]) -> None:
    path = [*OPEN]
    after = standing(told, said)
    assert not after.is_open or path.index(after) >= path.index(told)


@given(st.sampled_from([state for state in AssignmentState if not state.is_open]), st.sampled_from(list(Answer)))
def test_musters_word_that_an_order_is_over_wins(told: AssignmentState, said: Answer) -> None:
    assert standing(told, [said]) is told


def test_an_older_or_equal_message_says_nothing_new() -> None:
    first = order("police", revision=2)
    for revision in (1, 2):
        news = weigh(first, first.model_copy(update={"revision": revision}), "police", handled=True)
        assert news == News(answer_again=True)


def test_nothing_is_answered_again_about_an_order_that_muster_has_ended() -> None:
    first = order("police")
    ended = again(first, Notice.CANCELLED, state=AssignmentState.CANCELLED)
    assert not weigh(ended, first, "police", handled=False).answer_again
    assert not weigh(first, ended, "police", handled=False).call


@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        ("commit refused: say more", Answer.COMMIT),
        ("the plan was stood down", None),
        (None, None),
        ("x refused: y", None),
    ],
)
def test_a_refusal_names_the_answer_it_is_about(reason: str | None, answer: Answer | None) -> None:
    assert refused_answer(order("police", reason=reason)) is answer
