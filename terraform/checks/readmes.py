"""Writes the inputs and outputs into the README of each module and example.

    python3 terraform/checks/readmes.py

What stands between the two markers is generated from the .tf files. What stands above them is written by hand. Needs
python-hcl2 from PyPI.
"""

import re

from configuration import Configuration, bare, configurations, name_of, written

BEGIN = "<!-- The rest is generated: python3 terraform/checks/readmes.py -->"
EMPTY = '""'
END = "<!-- The generated part ends here. -->"


def plain(text):
    """Prose for a cell of a table, where nothing is Markdown or HTML."""
    return re.sub(r"([\\`*<|\[\]])", r"\\\1", " ".join(text.split()))


def code(value):
    escaped = written(value).replace("|", "\\|")
    return f"`{escaped}`"


def described(name, body):
    return f"| `{name}` | {plain(bare(body.get('description', EMPTY)))}"


def inputs(configuration):
    """Those that have to be set first."""
    variables = configuration.named("variable")
    for name, body in sorted(variables.items(), key=lambda item: ("default" in item[1], item[0])):
        default = code(body["default"]) if "default" in body else "required"
        yield f"{described(name, body)} | {code(body.get('type', 'any'))} | {default} |"


def outputs(configuration):
    for name, body in sorted(configuration.named("output").items()):
        yield f"{described(name, body)} |"


def generated(folder):
    configuration = Configuration(folder)
    terraform, providers = configuration.requirements()
    lines = [BEGIN, "", "## Requirements", "", "| what | version |", "|---|---|", f"| Terraform | `{terraform}` |"]
    lines += [f"| provider `{source}` | `{version}` |" for (source, version) in providers]
    lines += ["", "## Inputs", "", "| name | description | type | default |", "|---|---|---|---|", *inputs(configuration)]
    lines += ["", "## Outputs", "", "| name | description |", "|---|---|", *outputs(configuration), "", END]
    return "\n".join(lines)


def head_of(text):
    """The part written by hand."""
    return text.split(BEGIN)[0]


def readme(folder):
    """The README as it should be; without one, the folder's name is its head."""
    path = folder / "README.md"
    head = head_of(path.read_text()) if path.exists() else f"# {folder.name}\n"
    return f"{head.rstrip()}\n\n{generated(folder)}\n"


if __name__ == "__main__":
    for folder in configurations():
        text, path = readme(folder), folder / "README.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {name_of(path)}")
