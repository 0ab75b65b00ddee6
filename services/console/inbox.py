"""Departments over HTTP: the directory, a department's orders, and one order whole."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel

from schemas.base import Id, Slug, Text
from services.console.orders import OrderPage, OrderView, find_order, list_orders, show_order, told_to
from services.console.world import World
from services.domain import directory as domain
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.cursor import read_cursor, write_cursor
from services.platform.errors import UnpublishedError
from services.platform.etag import with_etag
from services.platform.problem import ProblemError, documented

_S = HTTPStatus
_GUARDED = (_S.UNAUTHORIZED, _S.FORBIDDEN, _S.NOT_FOUND, _S.UNPROCESSABLE_ENTITY)

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=500)]


class PostView(BaseModel):
    """A post with its phone; ``department`` where it belongs to another department of the directory."""

    name: Text
    phone: str
    department: str | None


class DepartmentView(BaseModel):
    """A department and whom to reach there, in order. The posts are null for members of other departments.

    ``decides``: its officer on duty is the one who decides.
    """

    id: str
    title: Text
    duty_phone: str
    decides: bool
    liaison: PostView | None
    deputy: PostView | None
    superior: PostView | None


class DepartmentPage(BaseModel):
    """Departments in the order of their ids; ``next`` is the cursor of the page after this one."""

    items: list[DepartmentView]
    next: str | None


def add_inbox_api(app: FastAPI, world: World) -> None:
    """Add the routes to a namespace's app."""

    async def directory() -> domain.Directory:
        try:
            return (await world.playbook.current()).directory
        except UnpublishedError as error:
            raise ProblemError(_S.SERVICE_UNAVAILABLE, str(error), kind="unpublished") from None

    @app.get("/v1/departments", operation_id="list_departments", responses=documented(*_GUARDED))
    async def departments(
        caller: Annotated[Principal, allow()], limit: Limit = 100, cursor: Cursor = None
    ) -> DepartmentPage:
        """List the directory: every department with its duty phone, and its posts for those who may know them."""
        known = await directory()
        after = read_cursor(cursor, 1)[0] if cursor else ""
        ids = [name for name in sorted(known.departments) if name > after][: limit + 1]
        items = [_department(known, name, caller) for name in ids[:limit]]
        return DepartmentPage(items=items, next=write_cursor(ids[limit - 1]) if len(ids) > limit else None)

    @app.get("/v1/departments/{department}", operation_id="show_department", response_model=DepartmentView,
             responses=documented(*_GUARDED))  # fmt: skip
    async def department(request: Request, department: Slug, caller: Annotated[Principal, allow()]) -> Response:
        """Show one department."""
        known = await directory()
        return with_etag(request, _department(known, _known(known, department), caller))

    @app.get("/v1/departments/{department}/assignments", operation_id="list_department_assignments",
             responses=documented(*_GUARDED))  # fmt: skip
    async def assignments(
        department: Slug,
        caller: Annotated[Principal, allow()],
        state: Literal["open", "all"] = "open",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> OrderPage:
        """List a department's orders, most urgent first; for its own members and for staff.

        Open orders come by the next deadline they have to meet, ended ones after them. Copies of other departments'
        orders that were escalated to this one are among them while they are open.
        """
        if not (caller.is_staff or caller.may_act_for(department)):
            raise ProblemError(_S.FORBIDDEN, f"you are no member of {department}", kind="not-allowed")
        known = await directory()
        _known(known, department)
        below = [name for name, each in known.departments.items() if each.superior.department == department]
        return await list_orders(
            world.pool, world.namespace, department, below, ended=state == "all", limit=limit, cursor=cursor
        )

    @app.get("/v1/assignments/{assignment_id}", operation_id="show_assignment", response_model=OrderView,
             responses=documented(*_GUARDED))  # fmt: skip
    async def assignment(request: Request, assignment_id: Id, caller: Annotated[Principal, allow()]) -> Response:
        """Show one order whole: as its department was told it, how it stands, every notice, and what was answered.

        For the members of its department, of a superior's that was sent a copy, and for staff.
        """
        found = await find_order(world.pool, world.namespace, assignment_id)
        if found is None:
            raise unknown_order(assignment_id, world)
        row, messages = found
        readers = None if caller.is_staff else [name for name in told_to(messages) if caller.may_act_for(name)]
        if readers is not None and not readers:
            raise ProblemError(_S.FORBIDDEN, f"assignment {assignment_id}: is another department's", kind="not-allowed")
        return with_etag(request, await show_order(world.pool, row, messages, readers))


def unknown_order(assignment_id: Id, world: World) -> ProblemError:
    """Say that there is no such order."""
    detail = f"assignment {assignment_id}: there is none in the {world.namespace.value} namespace"
    return ProblemError(_S.NOT_FOUND, detail, kind="unknown-assignment")


def _known(directory: domain.Directory, department: str) -> str:
    if department not in directory.departments:
        raise ProblemError(
            _S.NOT_FOUND,
            f"department {department}: is not in the directory; see GET /v1/departments",
            kind="unknown-department",
        )
    return department


def _department(directory: domain.Directory, name: str, caller: Principal) -> DepartmentView:
    found = directory.departments[name]
    open_to_caller = caller.is_staff or caller.may_act_for(name)
    posts = {"liaison": found.liaison, "deputy": found.deputy, "superior": found.superior}
    shown = {role: _post(post) if open_to_caller else None for role, post in posts.items()}
    return DepartmentView(
        id=name,
        title=found.title,
        duty_phone=found.duty_phone,
        decides=name == directory.duty_officer,
        **shown,
    )


def _post(post: domain.Post) -> PostView:
    return PostView(name=post.name, phone=post.phone, department=post.department)
