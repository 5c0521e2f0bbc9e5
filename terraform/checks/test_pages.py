"""Each output and variable that a page names exists in the example that the page applies, and no release is latest."""

import re
import unittest

from programs import ROOT, TERRAFORM

EXAMPLES = TERRAFORM / "examples"
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
# `terraform output -raw url`, `terraform -chdir=... output url`; in prose "output `url`" or "`output url`".
OUTPUTS = re.compile(r"terraform(?: -chdir=\S+)? output(?: -\w+)* (\w+)|\boutputs?\s+`(\w+)`|`output (\w+)`")
# "`install_script` of output `agent`".
PARTS = re.compile(r"`(\w+)`\s+of\s+(?:the\s+)?output\s+`(\w+)`|`(\w+)`\s+of\s+`output (\w+)`")


def examples_of(page):
    """The examples that the page applies: it changes into their folders."""
    return sorted(set(re.findall(r"^ +cd terraform/examples/([\w-]+)$", page, re.MULTILINE)))


def declared(kind, folder):
    """The names of a configuration's outputs or variables."""
    return set(re.findall(rf'^{kind} "(\w+)"', (folder / f"{kind}s.tf").read_text(), re.MULTILINE))


def found(pattern, text):
    return [tuple(group for group in match.groups() if group) for match in pattern.finditer(text)]


def module_of(output, folder):
    """The folder of the module whose outputs this output passes on."""
    (name,) = re.findall(rf'output "{output}" {{[^}}]*value += module\.(\w+)\n', (folder / "outputs.tf").read_text())
    (source,) = re.findall(rf'module "{name}" {{\n  source += "([^"]+)"', (folder / "main.tf").read_text())
    return (folder / source).resolve()


class Pages(unittest.TestCase):
    def test_these_pages_apply_an_example(self):
        applied = {name: examples_of(text) for name, text in PAGES.items() if examples_of(text)}
        self.assertEqual(applied, {"deploy.md": ["hello-world"], "existing-fleet.md": ["existing-fleet"]})

    def test_each_output_that_a_page_names_is_one_of_its_example(self):
        named = 0
        for page, text in PAGES.items():
            for example in examples_of(text):
                outputs = declared("output", EXAMPLES / example)
                for (name,) in found(OUTPUTS, text):
                    self.assertIn(name, outputs, f"{page}: examples/{example} has no output {name}")
                    named += 1
                for part, output in found(PARTS, text):
                    self.assertIn(part, declared("output", module_of(output, EXAMPLES / example)), f"{page}: no {part} in output {output}")
        self.assertGreaterEqual(named, 5)

    def test_a_page_names_outputs_only_of_an_example_that_it_applies(self):
        for page, text in PAGES.items():
            if not examples_of(text):
                self.assertEqual(found(OUTPUTS, text), [], page)

    def test_each_variable_that_a_page_sets_is_one_of_its_example(self):
        elsewhere = re.compile(r"terraform -chdir=terraform/examples/([\w-]+) apply((?:.*\\\n)*.*)")
        for page, text in PAGES.items():
            here = [(example, elsewhere.sub("", text)) for example in examples_of(text)]
            for example, commands in here + elsewhere.findall(text):
                for name in re.findall(r"""-var ["']?(\w+)=""", commands):
                    self.assertIn(name, declared("variable", EXAMPLES / example), f"{page}, examples/{example}")

    def test_the_permissions_on_the_pages_are_those_of_the_policy(self):
        action = re.compile(r"\b((?!aws:)[a-z0-9]+:[A-Z]\w+)")
        allowed = set(action.findall("".join((TERRAFORM / f"modules/agent/{name}.tf").read_text() for name in ("instance_policy", "operator_policy"))))
        told = {page: set(action.findall(PAGES[page])) for page in PAGES}
        of_the_nodes = {one for one in allowed if not one.startswith(("autoscaling:", "ec2:", "ssm:"))}
        self.assertEqual(told["deploy.md"], of_the_nodes)
        self.assertLessEqual(told["auto-scaling.md"], allowed)
        self.assertIn("autoscaling:EnterStandby", told["auto-scaling.md"])
        self.assertIn("ec2:DescribeInstances", told["lease.md"])
        for page, actions in told.items():
            self.assertLessEqual(actions, allowed, page)

    def test_nobody_arms_a_schedule_by_following_a_page_for_a_fleet_in_production(self):
        """The first thing that such a page sends to the nodes changes nothing."""
        page = PAGES["existing-fleet.md"]
        (applied,) = re.findall(r"^ +terraform apply.*?[^\\]$", page, re.MULTILINE | re.DOTALL)
        defaults = (EXAMPLES / "existing-fleet/variables.tf").read_text()
        self.assertRegex(defaults, r'variable "schedule" \{[^}]*default += null\n')
        self.assertNotIn("schedule", applied)
        sent = re.findall(r"--document-name shop-(\w+)", page)
        self.assertEqual(sent[:2], ["install", "check"])
        self.assertLess(page.index("shop-check"), page.index("-var 'schedule="))

    def test_nothing_upgrades_to_whatever_release_is_the_latest(self):
        files = [path for path in TERRAFORM.rglob("*") if path.suffix in (".tf", ".yaml", ".hcl")]
        texts = {**PAGES, **{str(path.relative_to(ROOT)): path.read_text() for path in files}}
        for name, text in texts.items():
            self.assertFalse("releasever=latest" in text, name)


if __name__ == "__main__":
    unittest.main()
