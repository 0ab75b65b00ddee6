"""Rules about what people read: both languages, each in its own."""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from schemas.base import Text
from services.playbooks.problem import Gravity, NodePath, Problem
from services.playbooks.yaml_source import SourceMap

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_CHINESE = re.compile(_HAN.pattern[:-1] + "\u3000-\u303f\uff01-\uff60]")
"""Han characters, and the punctuation that goes with them."""


def check_texts(document: BaseModel, source: SourceMap) -> Iterator[Problem]:
    """Check every text of a plan or directory: the Chinese is Chinese, the English isn't."""
    for path, text in _texts(document, ()):
        if not _HAN.search(text.zh):
            message = "is the English text" if text.zh == text.en else "has no Chinese character"
            yield source.problem((*path, "zh"), f"{message}: not translated", "write it in Chinese")
        elif text.zh == text.en:
            yield source.problem(path, "en and zh are the same: not translated", "write en in English", Gravity.WARNING)
        elif found := _CHINESE.search(text.en):
            message = f'the English text contains "{found.group()}"'
            yield source.problem((*path, "en"), message, "write it in English", Gravity.WARNING)


def _texts(value: object, path: NodePath) -> Iterator[tuple[NodePath, Text]]:
    if isinstance(value, Text):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name), (*path, name))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
