"""Hooks of the docs site: pages of the repository's root are pages of the site, and links out of docs/ stay honest."""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {ROOT / name: name.lower() for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")}
# Without it no page that is read from a disk can search; the theme would load it from elsewhere.
SHIM = "https://unpkg.com/iframe-worker/shim", "extra/iframe-worker.js"
DIALOG = 'data-md-component="search" role="dialog"'
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root."""
    for path, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links between docs/ and the root: to a page of the site, or else the name of the file without a link."""
    source = Path(str(page.file.abs_src_path)).resolve()
    here = source.parent
    at = Path(page.file.src_uri).parent

    def changed(match: re.Match[str]) -> str:
        text, link, anchor = match[1], match[2], match[3] or ""
        path = (here / link).resolve()
        if path in PAGES:
            uri = PAGES[path]
        elif path.is_relative_to(DOCS):
            uri = path.relative_to(DOCS).as_posix()
        elif path.exists():
            name = path.relative_to(ROOT).as_posix()
            return text if text.strip("`") == name else f"{text} (`{name}`)"
        else:
            return match[0]
        return f"[{text}]({os.path.relpath(uri, at.as_posix())}{anchor})"

    return LINK.sub(changed, markdown)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Mend what the theme leaves open: its search asks the network and has no name, code that scrolls has no focus."""
    return _mended(output, os.path.relpath(SHIM[1], Path(page.file.dest_uri).parent.as_posix()))


def on_post_template(output: str, **_: Any) -> str:
    """The same for pages that are no file of docs/."""
    return _mended(output, SHIM[1])


def _mended(output: str, shim: str) -> str:
    output = output.replace(SHIM[0], shim)
    output = output.replace(DIALOG, f'{DIALOG} aria-label="Search"')
    return output.replace("<pre>", '<pre tabindex="0">')
