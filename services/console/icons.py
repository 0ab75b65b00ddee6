"""Makes the pictures a phone shows for the app from our own drawing: ``python -m services.console.icons``.

The files are committed; run it again when ``static/icon.svg`` changes.
"""

import sys
from pathlib import Path

import typst

from services.console.assets import STATIC

SIZES = {"icon-192": 192, "icon-512": 512}
"""Pixels along a side."""
MASKABLE = 512
_POINTS_PER_INCH = 72.0
_ROUNDED = '<rect width="24" height="24" rx="5" '
_WHOLE = '<rect x="-6" y="-6" width="36" height="36" '
"""A phone cuts a maskable picture to its own shape, so the ground reaches the edges and the drawing stays well inside
the middle four fifths (W3C, Web Application Manifest, icon masks)."""


def make(folder: Path) -> list[Path]:
    """Write the pictures and name them."""
    drawing = (STATIC / "icon.svg").read_text(encoding="utf-8")
    if _ROUNDED not in drawing:
        raise ValueError("icon.svg: its ground is not the rounded square that is known here")
    whole = drawing.replace(_ROUNDED, _WHOLE).replace('viewBox="0 0 24 24"', 'viewBox="-4 -4 32 32"')
    made = [_write(folder / f"{name}.png", drawing, size) for name, size in SIZES.items()]
    return [*made, _write(folder / "icon-maskable.png", whole, MASKABLE)]


def _write(path: Path, drawing: str, size: int) -> Path:
    page = f"#set page(width: {size}pt, height: {size}pt, margin: 0pt, fill: none)\n"
    image = f"#image(bytes(sys.inputs.drawing), width: {size}pt)"
    picture = typst.compile(
        (page + image).encode(), format="png", ppi=_POINTS_PER_INCH, sys_inputs={"drawing": drawing}
    )
    if not isinstance(picture, bytes):
        raise TypeError("typst: wrote more than one page")
    path.write_bytes(picture)
    return path


if __name__ == "__main__":
    for written in make(STATIC):
        sys.stdout.write(f"{written}\n")
