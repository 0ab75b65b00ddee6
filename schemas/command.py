"""What a duty officer decides. Every command names who decided and why, and is refused without a reason."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.base import Id, Message, Slug, Time
from schemas.vocabulary import Status

Reason = Annotated[str, Field(min_length=1, max_length=2_000)]
LevelName = Annotated[str, Field(min_length=1, max_length=20)]


class CommandBase(Message):
    """What all commands carry. ``by`` names the person who decided, ``decided_at`` when."""

    incident_id: Id
    status: Status
    by: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Reason
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


Command = Annotated[
    Activate | ChangeLevel | StandDown | Close | Reassign | Remind | TakeObstacle | ResolveObstacle,
    Field(discriminator="action"),
]
CommandAdapter: TypeAdapter[Command] = TypeAdapter(Command)
