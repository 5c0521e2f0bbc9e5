"""Each module and example has a README with its inputs and outputs as they are, and a usage example that fits them."""

import re
import tempfile
import unittest
from pathlib import Path

from configuration import Configuration, TERRAFORM, blocks_of, configurations, name_of
from readmes import BEGIN, END, head_of, readme

MODULE = """
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.100" }
  }
}

variable "port" {
  description = "Port of the <service>, 1 | 2."
  type        = object({ first = optional(number, 1), last = number })
  default     = { last = 2 }
}

variable "name" {
  description = "Name."
  type        = string
}
"""


def text_of(folder):
    path = folder / "README.md"
    return path.read_text() if path.exists() else ""


def code_of(head):
    """The indented blocks, which are code."""
    return "\n".join(line[4:] for line in head.splitlines() if line.startswith("    ") or not line)


def variables_of(folder):
    """The names of all variables, and of those that have to be set."""
    variables = Configuration(folder).named("variable")
    return set(variables), {name for name, body in variables.items() if "default" not in body}


class Readmes(unittest.TestCase):
    def test_each_has_the_inputs_and_outputs_of_its_folder(self):
        for folder in configurations():
            self.assertEqual(text_of(folder), readme(folder), f"{name_of(folder)}: run python3 terraform/checks/readmes.py")

    def test_each_says_what_the_folder_is(self):
        for folder in configurations():
            title, _, prose = head_of(text_of(folder)).partition("\n\n")
            self.assertTrue(title.startswith("# ") and title != f"# {folder.name}" and len(prose) > 100, f"{name_of(folder)}: write a title, what it is and a usage example above the inputs")

    def test_the_usage_of_each_module_fits_its_variables(self):
        for folder in configurations():
            if folder.parent.name == "examples":
                continue
            blocks = blocks_of(code_of(head_of(text_of(folder))))
            source = f'"../node-agent/{name_of(folder)}"'
            used = [set(body) for (kind, _, body) in blocks if kind == "module" and body["source"] == source]
            self.assertEqual(len(used), 1, f"{name_of(folder)}: its README has no module with source = {source}")
            known, required = variables_of(folder)
            self.assertLessEqual(used[0] - {"source", "version"}, known, name_of(folder))
            self.assertLessEqual(required, used[0], name_of(folder))

    def test_the_usage_of_each_example_sets_its_variables(self):
        for folder in configurations():
            if folder.parent.name != "examples":
                continue
            named = set(re.findall(r"""-var ["']?(\w+)=""", head_of(text_of(folder))))
            known, required = variables_of(folder)
            self.assertLessEqual(named, known, name_of(folder))
            self.assertLessEqual(required, named, name_of(folder))

    def test_links_stay_in_the_folder_that_is_published(self):
        for folder in configurations():
            for link in re.findall(r"\]\(([^)]+)\)", head_of(text_of(folder))):
                target = (folder / link).resolve()
                self.assertTrue(link.startswith("https://") or target.is_relative_to(TERRAFORM) and target.exists(), f"{name_of(folder)}: {link}")

    def test_the_published_folder_has_the_licences(self):
        for ours, original in (("LICENSE", "LICENSE-MIT"), ("LICENSE-APACHE", "LICENSE-APACHE")):
            self.assertEqual((TERRAFORM / ours).read_text(), (TERRAFORM.parent / original).read_text(), ours)

    def test_the_part_written_by_hand_stays_and_the_rest_follows_the_module(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "main.tf").write_text(MODULE)
        (folder / "README.md").write_text(f"# Mine\n\nBy hand.\n\n{BEGIN}\n\nold\n{END}\n")
        made = readme(folder)
        self.assertTrue(made.startswith(f"# Mine\n\nBy hand.\n\n{BEGIN}\n"), made)
        self.assertNotIn("old", made)
        rows = [line for line in made.splitlines() if line.startswith("| `")]
        self.assertEqual(rows, [
            "| `name` | Name. | `string` | required |",
            r"| `port` | Port of the \<service>, 1 \| 2. | `object({first = optional(number, 1), last = number})` | `{ last = 2 }` |",
        ])
        (folder / "README.md").write_text(made)
        self.assertEqual(readme(folder), made)


if __name__ == "__main__":
    unittest.main()
