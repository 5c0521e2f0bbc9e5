"""Compares an answer of local-alb with AWS's own API model, which botocore ships as service-2.json. The clients leave out
what they do not know, so they would not notice."""

import re
from xml.etree import ElementTree

# Codes that every action can answer, so that the model of an action does not name them.
COMMON = {
    "AccessDenied", "ExpiredToken", "InternalFailure", "InvalidAction", "MalformedQueryString", "MissingAction",
    "MissingAuthenticationToken", "Throttling", "ValidationError",
}


def tag(element):
    return element.tag.rpartition("}")[2]


def name_of(member, shape):
    return shape.serialization.get("name", member)


def structure(element, shape, where):
    members = {name_of(member, of): of for member, of in shape.members.items()}
    required = {name_of(member, shape.members[member]) for member in shape.required_members}
    seen = [tag(child) for child in element]
    yield from (f"{where}: the model has no member {name}" for name in seen if name not in members)
    yield from (f"{where}: {name} stands there twice" for name in set(seen) if seen.count(name) > 1)
    yield from (f"{where}: the required member {name} is missing" for name in sorted(required.difference(seen)))
    for child in element:
        if tag(child) in members:
            yield from differences(child, members[tag(child)], f"{where}.{tag(child)}")


def sequence(element, shape, where):
    item = name_of("member", shape.member)
    for number, child in enumerate(element):
        if tag(child) != item:
            yield f"{where}: an item is called {tag(child)}, not {item}"
        yield from differences(child, shape.member, f"{where}[{number}]")


def value(element, shape, where):
    text = element.text or ""
    enum = getattr(shape, "enum", None)
    if len(element):
        yield f"{where}: a {shape.type_name} has elements in it"
    elif enum and text not in enum:
        yield f"{where}: {text!r} is none of {', '.join(enum)}"
    elif shape.type_name in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", text):
            yield f"{where}: {text!r} is no whole number"
        elif not shape.metadata.get("min", int(text)) <= int(text) <= shape.metadata.get("max", int(text)):
            yield f"{where}: {text} is outside {shape.metadata}"
    elif shape.type_name == "boolean" and text not in ("true", "false"):
        yield f"{where}: {text!r} is neither true nor false"
    elif shape.type_name == "timestamp" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        yield f"{where}: {text!r} is no moment"
    elif shape.type_name == "string" and len(text) < shape.metadata.get("min", 0):
        yield f"{where}: {text!r} is shorter than {shape.metadata['min']}"


def differences(element, shape, where):
    """What the model does not allow in an element, a sentence each."""
    kinds = {"structure": structure, "list": sequence}
    yield from kinds.get(shape.type_name, value)(element, shape, where)


def answer(operation, status, body):
    """What the model does not allow in an answer to an operation."""
    root = ElementTree.fromstring(body)
    if status < 300:
        result = f"{operation.name}Result"
        if tag(root) != f"{operation.name}Response" or [tag(child) for child in root] != [result, "ResponseMetadata"]:
            yield f"{operation.name}: the frame is {tag(root)} with {[tag(child) for child in root]}"
        elif operation.output_shape is not None:
            yield from differences(root[0], operation.output_shape, operation.name)
    else:
        error = {tag(child): child.text for child in root[0]}
        known = {shape.error_code: shape.metadata["error"]["httpStatusCode"] for shape in operation.error_shapes}
        if error["Code"] in known:
            if status != known[error["Code"]]:
                yield f"{operation.name}: {error['Code']} with status {status}, not {known[error['Code']]}"
        elif error["Code"] not in COMMON:
            yield f"{operation.name}: the model knows no error {error['Code']}"
