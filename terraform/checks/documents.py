"""SSM documents: what schema 2.2 allows, and a run of one as the SSM agent does it.

Rules from the Systems Manager user guide (documents-schemas-features, documents-syntax-data-elements-parameters,
documents-command-ssm-plugin-reference, send-commands-reboot) and from the SSM agent's pluginutil.go: a time-out outside of
5 to 172800 silently becomes 3600, patterns are checked by Java at the API and by Go's regexp on the node. Values are checked
at the API only. From 3.3.2746.0, the agent passes a parameter with interpolationType ENV_VAR in a variable
(documents-syntax-data-elements-parameters, parameter-troubleshooting); older agents ignore the key.
"""

import itertools
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

PARAMETER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
REBOOT = 194
RUNS = itertools.count(1)


class Invalid(ValueError):
    pass


def need(condition, what):
    if not condition:
        raise Invalid(what)


def validated(text):
    """Parses the document; fails unless AWS and the agent would accept it."""
    need(len(text.encode()) <= 64 * 1024, "longer than 64 KB")
    document = yaml.safe_load(text)
    need(document.get("schemaVersion") == "2.2", "schemaVersion")
    need(set(document) <= {"schemaVersion", "description", "parameters", "mainSteps"}, f"unknown keys in {set(document)}")
    parameters = document.get("parameters", {})
    for name, parameter in parameters.items():
        need(parameter.get("type") in ("String", "StringList"), f"{name}: Command documents have String and StringList only")
        need(set(parameter) <= {"type", "description", "default", "allowedValues", "allowedPattern", "interpolationType"}, f"{name}: unknown key")
        need(parameter.get("interpolationType", "ENV_VAR") == "ENV_VAR", f"{name}: interpolationType")
        need("allowedPattern" in parameter, f"{name}: no pattern, and the agent checks nothing else")
        is_free = accepts(parameter, "$(reboot)")
        need(not is_free or "interpolationType" in parameter, f"{name}: the shell would run its value")
        check_pattern(name, parameter.get("allowedPattern", ""))
        need("default" in parameter, f"{name}: hooks run without parameters, so it needs a default")
        need(accepts(parameter, parameter["default"]), f"{name}: its own default does not fit")
    need(document.get("mainSteps"), "no steps")
    names = [step["name"] for step in document["mainSteps"]]
    need(len(set(names)) == len(names) and all(re.fullmatch(r"[A-Za-z0-9_]{1,64}", name) for name in names), "step names")
    used = set()
    for step in document["mainSteps"]:
        need(set(step) <= {"action", "name", "precondition", "inputs", "onFailure", "finallyStep"}, f"unknown key in {set(step)}")
        need(step["action"] == "aws:runShellScript", "action")
        need(step.get("precondition") == {"StringEquals": ["platformType", "Linux"]}, "precondition")
        need(set(step["inputs"]) == {"runCommand", "timeoutSeconds"}, "the timeout must be explicit, or the agent uses 3600")
        lines = step["inputs"]["runCommand"]
        need(isinstance(lines, list) and all(isinstance(line, str) for line in lines), "runCommand is a list of lines")
        timeout = step["inputs"]["timeoutSeconds"]
        need(PARAMETER.fullmatch(timeout) or 5 <= int(timeout) <= 172800, "timeoutSeconds")
        used |= set(PARAMETER.findall("\n".join([*lines, timeout])))
    need(used == set(parameters), f"used {used}, declared {set(parameters)}")
    return document


def check_pattern(name, pattern):
    need("(?" not in pattern and not re.search(r"\\[1-9]", pattern), f"{name}: Go's regexp has no look-around and no back references")
    repeats = [int(number) for number in re.findall(r"\{(?:\d+,)?(\d+)\}", pattern)]
    need(all(number <= 1000 for number in repeats), f"{name}: Go's regexp repeats 1000 times at the most")
    need(not pattern or (pattern.startswith("^") and pattern.endswith("$")), f"{name}: a pattern without ends matches any part")


def accepts(parameter, value):
    if "allowedValues" in parameter and value not in parameter["allowedValues"]:
        return False
    # In Java and Go, unlike in Python, $ does not match before a final line break.
    return "allowedPattern" not in parameter or bool(re.search(parameter["allowedPattern"][:-1] + r"\Z", value))


def known_values(document, values):
    """The value of each parameter: the given one, or the default."""
    parameters = document.get("parameters", {})
    for name, value in values.items():
        need(accepts(parameters[name], value), f"{name} refuses {value!r}")
    return {name: values.get(name, parameter["default"]) for name, parameter in parameters.items()}


def script_of(document, in_variables=(), **values):
    """The script of the first step, with the parameters inserted, except those that an agent passes in variables."""
    known = known_values(document, values)
    lines = document["mainSteps"][0]["inputs"]["runCommand"]
    return PARAMETER.sub(lambda found: found[0] if found[1] in in_variables else known[found[1]], "\n".join(lines))


def send_command(document, env, reboot_node, as_hook=False, knows_variables=False, **values):
    """Runs a document as the SSM agent does, from the top after each reboot that it asks for. Returns the last run."""
    parameters = document.get("parameters", {}).items()
    in_variables = [name for name, parameter in parameters if knows_variables and "interpolationType" in parameter]
    known = known_values(document, values)
    env = {**env, "SSM_COMMAND_ID": "11111111-2222-3333-4444-555555555555", **{f"SSM_{name}": known[name] for name in in_variables}}
    with tempfile.TemporaryDirectory() as folder:
        # Its path is new for each run of an association, and the same after a reboot.
        script = Path(folder) / "orchestration/11111111-2222-3333-4444-555555555555" / str(next(RUNS)) / "step/_script.sh"
        script.parent.mkdir(parents=True)
        script.write_text(script_of(document, in_variables, **values))
        script.chmod(0o700)
        # The SSM agent gives up after 15 runs.
        for _ in range(15):
            done = subprocess.run(["sh", "-c", str(script)], env=env, capture_output=True, text=True)
            if done.returncode != REBOOT:
                return done
            need(not as_hook, "a hook asked for a reboot")
            reboot_node()
    raise Invalid("never ends")
