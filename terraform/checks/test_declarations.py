"""Every variable has a type, every variable and output a description, nothing is declared that nothing uses, and what is global
has its region in its name.
"""

import json
import re
import tempfile
import unittest
from pathlib import Path

from configuration import Configuration, configurations, name_of


def problems(folder):
    """What is wrong with the declarations of one configuration."""
    configuration = Configuration(folder)
    blocks = [block for block in configuration.blocks if block[0] != "locals"]
    blocks += [("local", (name,), value) for (kind, _, body) in configuration.blocks if kind == "locals" for name, value in body.items()]
    # Comments are not among the texts: the parser drops them. What follows an escaped line break is a word of its own.
    texts = [((kind, labels), json.dumps(body).replace("\\n", " ")) for (kind, labels, body) in blocks]

    def unused(kind, *labels):
        """Whether nothing but the declaration itself refers to it."""
        prefix = {"variable": "var"}.get(kind, kind)
        reference = re.compile(rf"(?<![\w.]){re.escape('.'.join((prefix, *labels)))}(?![\w-])")
        return not any(reference.search(text) for declaration, text in texts if declaration != (kind, labels))

    variables, outputs = (configuration.named(kind) for kind in ("variable", "output"))
    found = [f'variable "{name}" has no type' for name, body in variables.items() if body.get("type", "any") in ("any", "${any}")]
    found += [f'{kind} "{name}" has no description' for kind, named in (("variable", variables), ("output", outputs)) for name, body in named.items() if body.get("description", '""') == '""']
    found += [f"{'.'.join((kind, *labels))} is not used" for (kind, labels, _) in blocks if kind in ("variable", "local", "data") and unused(kind, *labels)]
    found += [f"{kind}.{label} has one name in all regions" for (kind, label, name) in global_names(configuration) if not re.search(r"region|aws_iam_role\.", name)]
    return sorted(found)


def global_names(configuration):
    """The names that AWS wants to be unique in an account, not only in a region."""
    arguments = {"aws_cloudwatch_dashboard": "dashboard_name", "aws_iam_instance_profile": "name", "aws_iam_policy": "name", "aws_iam_role": "name"}
    for kind, labels, body in configuration.blocks:
        if kind == "resource" and labels[0] in arguments and arguments[labels[0]] in body:
            yield *labels, body[arguments[labels[0]]]


class Declarations(unittest.TestCase):
    def test_every_one_is_typed_described_and_used(self):
        for folder in configurations():
            self.assertEqual(problems(folder), [], name_of(folder))

    def found_in(self, text):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "main.tf").write_text(text)
        return problems(folder)

    def test_what_is_missing_is_found(self):
        self.assertEqual(self.found_in('''
            variable "bare" {}
            variable "anything" {
              description = "Anything."
              type        = any
            }
            variable "used" {
              description = "In a string, a nested block and a function."
              type        = string
            }
            variable "used_too" { # var.used_too
              description = "Only in its own validation and in a comment."
              type        = string
              validation {
                condition     = var.used_too != ""
                error_message = "used_too must be set."
              }
            }
            locals {
              alone = local.alone_too
              named = upper("${var.used}-x")
            }
            # local.alone, var.bare
            data "aws_region" "current" {}
            data "aws_partition" "current" {}
            resource "aws_sns_topic" "topic" {
              name = "${var.anything}-${local.named}-${data.aws_region.current.name}-${local.alone_too}"
            }
            output "silent" {
              value = aws_sns_topic.topic.arn
            }
        '''), [
            "data.aws_partition.current is not used",
            "local.alone is not used",
            'output "silent" has no description',
            'variable "anything" has no type',
            'variable "bare" has no description',
            'variable "bare" has no type',
            "variable.bare is not used",
            "variable.used_too is not used",
        ])

    def test_a_global_name_without_its_region_is_found(self):
        self.assertEqual(self.found_in('''
            data "aws_region" "current" {}
            resource "aws_cloudwatch_dashboard" "web" {
              dashboard_name = "web"
            }
            resource "aws_iam_role" "window" {
              name = "window-${data.aws_region.current.id}"
            }
            resource "aws_iam_instance_profile" "window" {
              name = aws_iam_role.window.name
            }
            resource "aws_iam_policy" "nodes" {
              name = "nodes"
            }
            resource "aws_iam_role" "named_by_aws" {
              name_prefix = "web-"
            }
        '''), ["aws_cloudwatch_dashboard.web has one name in all regions", "aws_iam_policy.nodes has one name in all regions"])

    def test_a_name_that_begins_another_is_no_use_of_it(self):
        self.assertEqual(self.found_in('''
            variable "name" {
              description = "Name."
              type        = string
            }
            variable "name_prefix" {
              description = "Prefix."
              type        = string
            }
            output "name" {
              description = "Name."
              value       = var.name_prefix
            }
        '''), ["variable.name is not used"])


if __name__ == "__main__":
    unittest.main()
