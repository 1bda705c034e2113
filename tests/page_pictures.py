"""Pictures of a page at three widths, light and dark, on one sheet.

python -m tests.page_pictures SHEET.webp PAGE.html
"""

import argparse
import io
import tempfile
from pathlib import Path

from tests.browser import Browser

SIZES = ((390, 844), (768, 1024), (1300, 1024))  # of a phone, a tablet and a desktop's window, in pixels
GAP = 16  # pixels between pictures
SCALE = 0.55  # of a picture on the sheet


def take(browser: Browser, page: Path) -> list[list[bytes]]:
    """Pictures as PNG: a row for light and one for dark, one of each width in it."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for scheme in ("light", "dark"):
            row = []
            for width, height in SIZES:
                browser.look(width, height, scheme)
                browser.open(page)
                browser.until("document.readyState === 'complete'")
                browser.picture(file := Path(scratch, "page.png"))
                row.append(file.read_bytes())
            rows.append(row)
    return rows


def sheet(rows: list[list[bytes]], file: Path) -> None:
    """Lay pictures beside and below each other."""
    from PIL import Image

    pictures = [[Image.open(io.BytesIO(png)) for png in row] for row in rows]
    small = [[p.resize((round(p.width * SCALE), round(p.height * SCALE))) for p in row] for row in pictures]
    width = max(sum(p.width + GAP for p in row) for row in small) + GAP
    height = sum(max(p.height for p in row) + GAP for row in small) + GAP
    whole, top = Image.new("RGB", (width, height), "#808080"), GAP
    for row in small:
        left = GAP
        for picture in row:
            whole.paste(picture, (left, top))
            left += picture.width + GAP
        top += max(p.height for p in row) + GAP
    whole.save(file, quality=70, method=6)


def main() -> int:
    """Take the pictures and lay them on a sheet."""
    p = argparse.ArgumentParser(
        prog="python -m tests.page_pictures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("sheet", type=Path, metavar="SHEET", help="picture to write: .webp or .png")
    p.add_argument("page", type=Path, metavar="PAGE", help="HTML file")
    args = p.parse_args()
    with Browser() as browser:
        sheet(take(browser, args.page.resolve()), args.sheet)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
