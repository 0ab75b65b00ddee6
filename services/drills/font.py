"""Chinese type that comes with the page: Noto Sans SC (SIL OFL 1.1), from a package, cut to what a text uses."""

import base64
import io
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pylopdf_fonts_zh_cn import sans_path

FIRST_CJK = "⺀"
"""From this character on (CJK radicals) a system without Chinese fonts has nothing to show."""


def folder() -> Path:
    """Name the folder with the font's file."""
    return sans_path().parent


def cut_to(texts: Iterable[str]) -> str:
    """Give the font cut to the Chinese of these texts, as WOFF in base64; empty where there is none."""
    used = frozenset(sign for text in texts for sign in text if sign >= FIRST_CJK)
    return _cut("".join(sorted(used))) if used else ""


@lru_cache(maxsize=8)
def _cut(signs: str) -> str:
    from fontTools.subset import Options, Subsetter, load_font  # slow to import, and only pages need it

    options = Options()
    options.flavor = "woff"
    options.hinting = False
    options.desubroutinize = True
    options.layout_features = []
    font = load_font(str(sans_path()), options)
    try:
        subsetter = Subsetter(options)
        subsetter.populate(text=signs)
        subsetter.subset(font)
        font.flavor = "woff"
        out = io.BytesIO()
        font.save(out)
    finally:
        font.close()
    return base64.b64encode(out.getvalue()).decode()
