"""The .tf files of a folder, parsed."""

import json
import re
from pathlib import Path

import hcl2

TERRAFORM = Path(__file__).parent.parent
OPTIONS = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, preserve_heredocs=False)


def configurations():
    """The folders of the root module, the modules and the examples."""
    return [TERRAFORM, *sorted(path for kind in ("modules", "examples") for path in (TERRAFORM / kind).iterdir() if path.is_dir())]


def name_of(folder):
    return str(folder.relative_to(TERRAFORM.parent))


def bare(quoted):
    """The text of a string as the parser returns it, with its quotes."""
    return json.loads(quoted)


def blocks_of(text):
    """Each top-level block as (kind, labels, body)."""
    for kind, found in hcl2.loads(text, serialization_options=OPTIONS).items():
        for body in found if isinstance(found, list) else []:
            labels = []
            while isinstance(body, dict) and len(body) == 1 and (label := next(iter(body))).startswith('"'):
                labels.append(bare(label))
                body = body[label]
            if isinstance(body, dict):
                yield kind, tuple(labels), body


class Configuration:
    def __init__(self, folder):
        self.folder = folder
        self.blocks = [block for path in sorted(folder.glob("*.tf")) for block in blocks_of(path.read_text())]

    def named(self, kind):
        """The bodies of all blocks with one label, by that label."""
        return {labels[0]: body for (found, labels, body) in self.blocks if found == kind and len(labels) == 1}

    def requirements(self):
        """The version of Terraform, and the source and version of each provider."""
        (terraform,) = (body for (kind, _, body) in self.blocks if kind == "terraform")
        (providers,) = terraform["required_providers"]
        wanted = [body for _, body in sorted(providers.items())]
        return bare(terraform["required_version"]), [(bare(body["source"]), bare(body["version"])) for body in wanted]


def written(value):
    """A value as HCL on one line."""
    if isinstance(value, str):
        expression = re.fullmatch(r"\$\{(.*)\}", value, re.DOTALL)
        return " ".join((expression[1] if expression else value).split())
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {written(entry)}' for key, entry in value.items())} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(written(entry) for entry in value)}]"
    return json.dumps(value)
