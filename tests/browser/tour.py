"""Every page there is, with who looks at it: one list for screenshots, for axe-core and for the width of a phone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stop:
    """A page: its name, who opens it, its path; names in braces are filled in with what the tour has made."""

    name: str
    login: str | None
    path: str


TOUR = (
    Stop("sign-in", None, "/sign-in"),
    Stop("board", "officer", "/"),
    Stop("wall", "officer", "/wall"),
    Stop("incidents", "officer", "/incidents"),
    Stop("incident", "officer", "/incidents/{incident}"),
    Stop("report", "officer", "/report"),
    Stop("departments", "officer", "/departments"),
    Stop("inbox", "fire-rescue", "/departments/fire-rescue"),
    Stop("order", "fire-rescue", "/assignments/{order}"),
    Stop("plans", "planner", "/plans"),
    Stop("plan", "planner", "/plans/hazardous-chemical-release"),
    Stop("plan-check", "planner", "/plans/check"),
    Stop("scorecards", "planner", "/scorecards"),
    Stop("exercise-board", "officer", "/exercise/"),
    Stop("drills", "planner", "/exercise/drills"),
    Stop("drill", "planner", "/exercise/drills/{drill}"),
    Stop("improvements", "planner", "/exercise/improvements"),
    Stop("exercise-scorecards", "planner", "/exercise/scorecards"),
    Stop("people", "admin", "/people"),
    Stop("password", "officer", "/password"),
    Stop("operations", "admin", "/operations"),
)
