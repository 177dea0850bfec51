"""What mkdocs does not do by itself: README.md and experiments/ are pages, too, and links lead to where a page stands.

Links in the pages are those of the repository, so that they work on a code host. Here a link to a page becomes a link
to that page of the site, and one to a file that the site does not have becomes the text of the link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"(^```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def outside(folder: Path = ROOT) -> list[str]:
    """Pages and pictures that do not stand in docs/, as paths of the repository."""
    found = [*folder.glob("*.md"), *folder.glob("experiments/**/*.md"), *folder.glob("experiments/**/*.png")]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def in_repository(uri: str) -> str:
    """Path in the repository of a page of the site."""
    return uri if uri in outside() else f"docs/{uri}"


def site_path(path: str) -> str:
    """Path on the site of a file of the repository."""
    return path.removeprefix("docs/")


def relinked(text: str, uri: str, known: set[str]) -> str:
    """The page with links that hold on the site; blocks of code stay as they are."""
    here = posixpath.dirname(in_repository(uri))

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        goal = site_path(posixpath.normpath(posixpath.join(here, target)))
        if goal not in known:
            return match["text"]
        place = posixpath.relpath(goal, posixpath.dirname(uri) or ".")
        return f"{match['image']}[{match['text']}]({place}{match['anchor'] or ''})"

    return "".join(part if i % 2 else LINK.sub(link, part) for i, part in enumerate(FENCE.split(text)))


def on_config(config: Any) -> Any:
    """Put the folders of experiments/ below the section that has their overview."""
    for section in config.nav:
        name, entries = next(iter(section.items()))
        if name == "Results":
            pages = sorted(uri for uri in outside() if re.fullmatch(r"experiments/\w+/README\.md", uri))
            entries += [{uri.split("/")[1].replace("_", " "): uri} for uri in pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what stands outside of docs/."""
    for uri in outside():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / uri)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Mend the links of a page."""
    return relinked(markdown, page.file.src_uri, set(files.src_uris))
