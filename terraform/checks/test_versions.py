"""Versions 5.100 to 6.x of the AWS provider: one constraint everywhere, and nothing that 6.0 deprecates.

What changed is in the provider's version 6 upgrade guide; of that, these modules use aws_region only.
"""

import re
import unittest

from programs import TERRAFORM

DEPRECATED = {
    r"data\.aws_region\.\w+\.name\b": "use id, which both versions have",
    r"aws_s3_bucket\.\w+\.region\b": "use bucket_region",
    r"\b(cpu_core_count|cpu_threads_per_core|elastic_gpu_specifications|elastic_inference_accelerator)\b": "removed",
}


class Versions(unittest.TestCase):
    def test_one_constraint_everywhere(self):
        found = {path: re.findall(r'source += "hashicorp/aws"\n +version += "(.*)"', path.read_text()) for path in TERRAFORM.rglob("versions.tf")}
        self.assertGreater(len(found), 8)
        for path, constraints in found.items():
            self.assertEqual(constraints, [">= 5.100, < 7"], path)

    def test_nothing_that_version_6_removes_or_deprecates(self):
        for path in TERRAFORM.rglob("*.tf"):
            for pattern, instead in DEPRECATED.items():
                self.assertIsNone(re.search(pattern, path.read_text()), f"{path}: {instead}")


if __name__ == "__main__":
    unittest.main()
