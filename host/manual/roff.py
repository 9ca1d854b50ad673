"""Turns the Markdown of our documents, and texts such as those of --help, into roff for man(7)."""
import re


def escaped(text):
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\`").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def bold(text):
    return "\\fB" + escaped(text) + "\\fR"


def inline(text):
    """One paragraph of Markdown. Links keep their text only: the pages name each other at their ends."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = []
    for part in re.split(r"(``.+?``|`[^`]+`)", text):
        if part.startswith("`"):
            parts.append(bold(part.strip("`").strip()))
            continue
        for piece in re.split(r"(\*\*[^*]+\*\*|(?<![\w*])\*[^*\s][^*]*\*(?![\w*]))", part):
            if piece.startswith("**"):
                parts.append("\\fB" + escaped(piece[2:-2]) + "\\fR")
            elif len(piece) > 2 and piece.startswith("*"):
                parts.append("\\fI" + escaped(piece[1:-1]) + "\\fR")
            else:
                parts.append(escaped(piece))
    line = "".join(parts).strip()
    return "\\&" + line if line[:1] in (".", "'") else line


def code(lines):
    text = "\n".join(lines).strip("\n")
    return [".PP", ".RS 4", ".EX", escaped(text), ".EE", ".RE"]


def definition(term, text):
    """A term and its explanation, both roff. The text may be several paragraphs."""
    lines = [".TP", term]
    for i, paragraph in enumerate(p for p in text if p):
        lines += ([".IP"] if i else []) + [paragraph]
    return lines if len(lines) > 2 else lines + ["\\&"]


def cells(row):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def table(rows):
    """A table becomes a list of definitions: the first column is the term."""
    header, lines = cells(rows[0]), []
    for row in rows[2:]:
        first, *others = cells(row)
        if len(header) == 2:
            text = [inline(others[0])]
        else:
            text = [(f"\\fI{escaped(name)}\\fR: " if name else "") + inline(cell)
                    for name, cell in zip(header[1:], others) if cell]
        lines += definition(inline(first), text)
    return lines


def markdown(lines, heading=".SS"):
    """Blocks of Markdown, as far as our documents use it."""
    out, i = [], 0

    def paragraph(start, stop):
        nonlocal i
        words = [start]
        while i < len(lines) and lines[i].strip() and not stop(lines[i]):
            words.append(lines[i].strip())
            i += 1
        return " ".join(words)

    begins = re.compile(r"(- |\d+\. |\||#|```|<!--)").match
    while i < len(lines):
        line = lines[i]
        i += 1
        if not line.strip() or line.startswith(("<", "![")) or line.lstrip().startswith("<!--"):
            continue
        if line.startswith("```"):
            block = []
            while not lines[i].startswith("```"):
                block.append(lines[i])
                i += 1
            i += 1
            out += code(block)
        elif line.startswith("    "):
            block = [line[4:]]
            while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip()):
                block.append(lines[i][4:])
                i += 1
            out += code(block)
        elif line.startswith("|"):
            rows = [line]
            while i < len(lines) and lines[i].startswith("|"):
                rows.append(lines[i])
                i += 1
            out += table(rows)
        elif line.startswith("#"):
            out += [heading + " " + inline(line.lstrip("# "))]
        elif item := re.match(r"(-|\d+\.) +(.*)", line):
            mark = "\\(bu 2" if item[1] == "-" else f"{item[1]} 4"
            out += [f".IP {mark}", inline(paragraph(item[2], begins))]
        else:
            text = inline(paragraph(line.strip(), begins))
            if text:
                out += [".PP", text]
    return out
