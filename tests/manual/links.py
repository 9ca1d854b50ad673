#!/usr/bin/env python3
"""links.py FOLDER...: says which relative links in the documents below lead nowhere; status 1 if some do."""
import pathlib
import re
import sys


def anchors(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)", text, re.M)}


def targets(document):
    text = re.sub(r"^```.*?^```|^    .*?$|`[^`\n]*`", "", document.read_text(), flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<(?:img|source)[^>]*\ssrc(?:set)?=\"([^\"]+)\"", text)
    return [target for target in found if "@" not in target and not re.match(r"[a-z]+:", target)]


def dead_links(document):
    """The links of a document that lead to no file, or to no heading."""
    for target in targets(document):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists():
            yield f"the link {target} leads nowhere"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"the link {target} names no heading there"


def main():
    documents = sorted(file for folder in sys.argv[1:] for file in pathlib.Path(folder).rglob("*.md"))
    links = [target for document in documents for target in targets(document)]
    faults = [f"{document}: {fault}" for document in documents for fault in dead_links(document)]
    if len(documents) < 40 or len(links) < 200:
        faults.append(f"only {len(links)} links in {len(documents)} documents: were they installed?")
    print("\n".join(faults) or f"{len(links)} links in {len(documents)} documents lead somewhere")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
