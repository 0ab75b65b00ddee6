"""What a duty officer decides. Every command names who decided and why, and is refused without a reason."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from schemas.base import PERSONAL_DATA, Duration, Id, Message, Slug, Text, Time
from schemas.vocabulary import Status

Reason = Annotated[str, Field(min_length=1, max_length=2_000)]
LevelName = Annotated[str, Field(min_length=1, max_length=20)]

LONGEST_WORDS = 4_000
"""Characters of one thing that an officer writes for departments to read."""


def _in_both(value: Any) -> Any:
    return {"en": value, "zh": value} if isinstance(value, str) else value


def _of_length(value: Text) -> Text:
    if max(len(value.en), len(value.zh)) > LONGEST_WORDS:
        raise ValueError(f"must have at most {LONGEST_WORDS} characters in a language")
    return value


Words = Annotated[Text, BeforeValidator(_in_both, json_schema_input_type=Text | str), AfterValidator(_of_length)]
"""What departments read: in both languages, or one text for both, as an officer at work writes one only."""
Within = Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=366))]
"""How long a department may take."""


class CommandBase(Message):
    """What all commands carry. ``by`` names the person who decided, ``decided_at`` when."""

    incident_id: Id
    status: Status
    by: Annotated[str, Field(min_length=1, max_length=200), PERSONAL_DATA]
    reason: Annotated[Reason, PERSONAL_DATA]
    decided_at: Time


class Activate(CommandBase):
    """Put a plan into force at a level; also confirms one that waits, and raises one that is on standby."""

    action: Literal["activate"] = "activate"
    plan: Slug
    level: LevelName | None = None


class ChangeLevel(CommandBase):
    """Override the level of an activation; the override holds until the next command."""

    action: Literal["change_level"] = "change_level"
    level: LevelName
    plan: Slug | None = None


class StandDown(CommandBase):
    """End one plan's activation, or every one of the incident when ``plan`` is absent."""

    action: Literal["stand_down"] = "stand_down"
    plan: Slug | None = None


class Close(CommandBase):
    """Stand down whatever is still in force; the incident closes once its stand-down tasks are done."""

    action: Literal["close"] = "close"


class Reassign(CommandBase):
    """Hand an assignment to another department."""

    action: Literal["reassign"] = "reassign"
    assignment_id: Id
    department: Slug


class Remind(CommandBase):
    """Send an open assignment to its department again."""

    action: Literal["remind"] = "remind"
    assignment_id: Id


class TakeObstacle(CommandBase):
    """Become the owner of an obstacle."""

    action: Literal["take_obstacle"] = "take_obstacle"
    obstacle_id: Id


class ResolveObstacle(CommandBase):
    """Close an obstacle in the record."""

    action: Literal["resolve_obstacle"] = "resolve_obstacle"
    obstacle_id: Id


class AddTask(CommandBase):
    """Give a task that is not in the plan to each of some departments, under a plan in force.

    ``plan`` may be absent where only one is in force. The spans count from the order. Silence climbs the usual ladder.
    """

    action: Literal["add_task"] = "add_task"
    plan: Slug | None = None
    departments: Annotated[tuple[Slug, ...], Field(min_length=1)]
    title: Words
    done_when: Words
    instructions: Words | None = None
    acknowledge: Within = timedelta(minutes=5)
    start: Within | None = None
    complete: Within | None = None
    read_back: bool = False


class Inform(CommandBase):
    """Tell every department that has an open order something; the reason is what they are told."""

    action: Literal["inform"] = "inform"


Command = Annotated[
    Activate | ChangeLevel | StandDown | Close | Reassign | Remind | TakeObstacle | ResolveObstacle | AddTask | Inform,
    Field(discriminator="action"),
]
CommandAdapter: TypeAdapter[Command] = TypeAdapter(Command)
