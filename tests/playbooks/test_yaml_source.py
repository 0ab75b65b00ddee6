"""A planner's slip is answered with one line that says where, what, and what to write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.playbooks.plans import load_plan, parse_plan
from services.playbooks.problem import PlaybookError
from services.playbooks.yaml_source import MAX_BYTES, read_text, read_tree
from tests.playbooks.sample import PLAN, line_of, plan, rewritten


def said(text: str) -> list[str]:
    """Give the problems of a plan text, one line each."""
    with pytest.raises(PlaybookError) as caught:
        parse_plan(text, "p.yaml")
    return [str(problem) for problem in caught.value.problems]


SYNTAX = [
    ("", "p.yaml:1: the file is empty; write `key: value` lines"),
    ("# nothing yet\n", "p.yaml:1: the file is empty; write `key: value` lines"),
    ("- a\n- b\n", "p.yaml:1: the file is a list, not a map; write `key: value` lines"),
    ("flood\n", "p.yaml:1: the file is a single text, not a map; write `key: value` lines"),
    ("a: 1\nb:\n  c: 2\n  c: 3\n", "p.yaml:4: b.c: is written twice (first in line 3); keep one of them"),
    ("a: &x 1\n", "p.yaml:1: a: anchor &x is not used here; write the text out where it is needed"),
    ("a: 1\nb: *x\n", "p.yaml:2: b: alias *x is not used here; write the text out"),
    ("a:\n  <<: {b: 1}\n", "p.yaml:2: a: merge key << is not used here; write the keys out"),
    ("a: !!int 1\n", "p.yaml:1: a: tag tag:yaml.org,2002:int is not used here; delete the tag"),
    ("a: !!python/object/apply:os.system [x]\n",
     "p.yaml:1: a: tag tag:yaml.org,2002:python/object/apply:os.system is not used here; delete the tag"),
    ("%YAML 1.1\n---\na: 1\n", "p.yaml:1: YAML directives are not used here; delete the line that begins with %"),
    ("a: 1\n---\nb: 2\n", "p.yaml:2: a second document begins here; keep one document in a file"),
    ("a:\n\t- b\n", "p.yaml:2: a tab is used to indent; indent with spaces"),
    ("a: b: c\n",
     'p.yaml:1: not YAML: mapping values are not allowed in this context; put a text that contains ": " in "quotes"'),
    ("a: @home\n",
     'p.yaml:1: not YAML: found character that cannot start any token; put the text in "quotes"'),
    ("a: 'x\n", "p.yaml:2: not YAML: found unexpected end of stream; close the quote"),
    ("a: 1\nb: \x07\n", "p.yaml:2: control character U+0007; delete it"),
    ("a: 水水水\nb: 水\nc: 水\x00\n", "p.yaml:3: control character U+0000; delete it"),
    ("a: \ud800\n", "p.yaml:1: half of a surrogate pair; save the file as UTF-8"),
    ("? [a]\n: b\n", "p.yaml:1: a key is a map or a list; write a word as the key"),
    ("~: b\n", "p.yaml:1: a key is empty; write a word before the colon"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), SYNTAX, ids=[line.split(": ", 1)[1][:40] for _, line in SYNTAX])
def test_what_is_not_a_strict_document_is_refused_in_one_line(text: str, line: str) -> None:
    assert said(text) == [line]


def in_plan(before: str, after: str, message: str) -> tuple[str, str, str]:
    return before, after, f"p.yaml:{line_of(before)}: {message}"


FIELDS = [
    in_plan("version: 1", "version: no", 'version: "no" is not a whole number; write digits only, like 3'),
    in_plan("version: 1", "version: 1e3", 'version: "1e3" is not a whole number; write digits only, like 3'),
    in_plan("version: 1", "version: 12:30:00", 'version: "12:30:00" is not a whole number; write digits only, like 3'),
    in_plan("version: 1", "version: 0", 'version: "0" is too small; write at least 1'),
    in_plan("version: 1", "version:",
            "version: is empty; write a value, or leave the key out if it isn't needed"),
    in_plan("version: 1", "verson: 1", 'verson: unknown key "verson"; did you mean "version"?'),
    in_plan("kind: special", "kind: speciel", 'kind: "speciel" is not a word Muster knows here; '
            'did you mean "special"?'),
    in_plan("categories: [Met, Geo]", "categories: [met, Geo]",
            'match.categories[0]: "met" is not a word Muster knows here; did you mean "Met"?'),
    in_plan("categories: [Met, Geo]", "categories: []", "match.categories: the list is empty; write at least one item"),
    in_plan("categories: [Met, Geo]", "categories: Met",
            'match.categories: "Met" is not a list; write a list: `[a, b]`, or lines that begin with `- `'),
    in_plan("review_by: 2027-03-31", "review_by: 20270331",
            'review_by: "20270331" is not a date; write year-month-day, like 2027-03-31'),
    in_plan("review_by: 2027-03-31", "review_by: 2027-02-30",
            'review_by: "2027-02-30" is not a date; write year-month-day, like 2027-03-31'),
    in_plan("read_back: true", "read_back: yes", 'tasks[1].read_back: "yes" is not a yes-or-no value; '
            "write true or false"),
    in_plan("read_back: true", "read_back: on", 'tasks[1].read_back: "on" is not a yes-or-no value; '
            "write true or false"),
    in_plan("read_back: true", "read_back: 1", 'tasks[1].read_back: "1" is not a yes-or-no value; write true or false'),
    in_plan("read_back: true", "read_bakc: true", 'tasks[1].read_bakc: unknown key "read_bakc"; '
            'did you mean "read_back"?'),
    in_plan("start: 10m, complete: 1h30m", "start: 10 minutes",
            'tasks[1].deadlines.start: "10 minutes" is not a duration; '
            "write days, hours, minutes, seconds with their units, like 1h30m or 90s"),
    in_plan("start: 10m, complete: 1h30m", "start: 12:30:00",
            'tasks[1].deadlines.start: "12:30:00" is not a duration; '
            "write days, hours, minutes, seconds with their units, like 1h30m or 90s"),
    in_plan("start: 10m, complete: 1h30m", "start: 99999999999999d",
            'tasks[1].deadlines.start: "99999999999999d" is too long a time; write a duration like 1h30m or 180d'),
    in_plan("id: river-flood", "id: River Flood",
            'id: "River Flood" is not a name; write lower-case words joined by hyphens, like fire-brigade'),
    in_plan("summary: {en: Water leaves the river bed., zh: 河水漫溢。}", "summary: Water leaves.",
            'summary: "Water leaves." is not a map; write `key: value` lines below it'),
    in_plan("summary: {en: Water leaves the river bed., zh: 河水漫溢。}", "summary: {en: Water.}",
            "summary.zh: is missing; write `zh:` here"),
    in_plan("summary: {en: Water leaves the river bed., zh: 河水漫溢。}", "summary: {en: [Water], zh: 水}",
            "summary.en: a list stands where a text belongs; write one text"),
    in_plan("summary: {en: Water leaves the river bed., zh: 河水漫溢。}", 'summary: {en: "", zh: 水}',
            "summary.en: is empty; write a text, or leave the key out if it isn't needed"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "line"), FIELDS, ids=[after for _, after, _ in FIELDS])
def test_a_wrong_field_is_named_with_its_line_and_mend(before: str, after: str, line: str) -> None:
    found = said(rewritten(before, after))
    assert line in found
    assert len(found) == 1 or "verson" in after


def test_a_misspelled_key_is_also_reported_as_missing() -> None:
    assert said(rewritten("version: 1", "verson: 1")) == [
        "p.yaml:1: version: is missing; write `version:` here",
        'p.yaml:2: verson: unknown key "verson"; did you mean "version"?',
    ]


def test_all_mistakes_of_a_file_are_reported_together_in_the_order_of_lines() -> None:
    text = rewritten("version: 1", "version: x").replace("read_back: true", "read_back: yes").replace("5m}", "soon}")
    found = said(text)
    lines = [int(problem.split(":")[1]) for problem in found]
    assert len(found) == 3
    assert lines == sorted(lines)


def test_a_list_whose_items_are_all_wrong_is_not_called_empty() -> None:
    assert all("the list is empty" not in line for line in said(PLAN.replace("step:", "stp:")))


def test_plain_scalars_stay_what_they_look_like() -> None:
    text = "a: no\nb: 12:30:00\nc: 1e3\nd: 0x1F\ne: 2027-03-31\nf: .inf\ng: null\nh: ~\ni:\nj: 'null'\nk: NULL\n"
    tree, source = read_tree(text, "f.yaml")
    assert tree == {
        "a": "no", "b": "12:30:00", "c": "1e3", "d": "0x1F", "e": "2027-03-31", "f": ".inf",
        "g": None, "h": None, "i": None, "j": "null", "k": "NULL",
    }  # fmt: skip
    assert source.line(("k",)) == 11


def test_every_duplicate_key_is_reported() -> None:
    with pytest.raises(PlaybookError) as caught:
        read_tree("a: 1\na: 2\nb: 1\nb: 2\n", "f.yaml")
    assert [problem.line for problem in caught.value.problems] == [2, 4]


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    assert said(bomb) == ["p.yaml:1: a: anchor &a is not used here; write the text out where it is needed"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_without_reading_on(opening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events = 0
    parse = yaml.parse

    def counted(*arguments: Any, **options: Any) -> Iterator[yaml.Event]:
        nonlocal events
        for event in parse(*arguments, **options):
            events += 1
            yield event

    monkeypatch.setattr(yaml, "parse", counted)
    with pytest.raises(PlaybookError, match="nested more than 40 deep; make it flatter"):
        read_tree("a:\n  " + opening * 100_000, "f.yaml")
    assert 40 < events < 100


def test_forty_levels_are_read() -> None:
    tree, _ = read_tree("a: " + "[" * 39 + "]" * 39, "f.yaml")
    assert str(tree["a"]).count("[") == 39
    with pytest.raises(PlaybookError, match="nested more than 40 deep"):
        read_tree("a: " + "[" * 40 + "]" * 40, "f.yaml")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"a: " + b"x" * MAX_BYTES)
    with pytest.raises(PlaybookError, match=r"p\.yaml: is larger than 1024 KiB; split it"):
        load_plan(path)
    with pytest.raises(PlaybookError, match="is larger than 1024 KiB"):
        read_tree("a: " + "水" * (MAX_BYTES // 3), "f.yaml")


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"a: 1\nb: \xb0\xb2\n")
    with pytest.raises(PlaybookError, match=r"p.yaml:2: byte 0xb0 is not UTF-8; save the file as UTF-8"):
        read_text(path)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + PLAN.replace("\n", "\r\n").encode())
    assert parse_plan(read_text(path), "p.yaml")[0] == plan()


def test_a_missing_file_is_a_problem_too(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match=r"gone.yaml: can't be read \(No such file or directory\)"):
        load_plan(tmp_path / "gone.yaml")
