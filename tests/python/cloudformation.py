"""Reads a CloudFormation template, and what it comes to under given parameters.

Only what infra/template.yaml uses: conditions of Equals, Not, Join and Ref; `Fn::If`; `AWS::NoValue`.
References to resources stay as they are: `{"Ref": "Key"}`, `{"Fn::GetAtt": "Key.Arn"}`.
"""

import re

import yaml

ABSENT = object()


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` is read as `{"Ref": "X"}`."""


def short_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


def read(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


def under(template, **parameters):
    """The template with every `Fn::If` decided, under these parameters and the defaults of the rest."""
    values = {name: declared.get("Default") for name, declared in template["Parameters"].items()}
    unknown = parameters.keys() - values.keys()
    if unknown:
        raise KeyError(f"no such parameters: {sorted(unknown)}")
    values |= parameters
    holds = {name: truth(condition, values) for name, condition in template["Conditions"].items()}
    return {name: decided(section, holds) for name, section in template.items() if name != "Conditions"}


def truth(condition, values):
    (function, argument), = condition.items()
    match function:
        case "Fn::Equals":
            one, other = (value_of(side, values) for side in argument)
            return one == other
        case "Fn::Not":
            return not truth(argument[0], values)
    raise NotImplementedError(function)


def value_of(expression, values):
    match expression:
        case {"Ref": name}:
            return str(values[name])
        case {"Fn::Join": [separator, {"Ref": name}]}:
            return separator.join(str(values[name]).split(","))
        case dict():
            raise NotImplementedError(expression)
    return str(expression)


def decided(node, holds):
    match node:
        case {"Fn::If": [condition, then, otherwise]}:
            return decided(then if holds[condition] else otherwise, holds)
        case {"Ref": "AWS::NoValue"}:
            return ABSENT
        case dict():
            inner = {key: decided(value, holds) for key, value in node.items()}
            return {key: value for key, value in inner.items() if value is not ABSENT}
        case list():
            return [value for value in (decided(value, holds) for value in node) if value is not ABSENT]
    return node


def resources(template, type_):
    """The properties of all resources of a type, by their names."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == type_
    }


def references(node):
    """Every name that is referred to anywhere below: by `Ref`, `Fn::GetAtt` or within `Fn::Sub`."""
    match node:
        case {"Ref": name}:
            return {name}
        case {"Fn::GetAtt": str(name)}:
            return {name.split(".")[0]}
        case {"Fn::Sub": str(text)}:
            return {name.split(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)}
        case dict():
            return set().union(*map(references, node.values()))
        case list():
            return set().union(*map(references, node))
    return set()


def listed(value):
    """A list, where CloudFormation also takes one item alone."""
    return value if isinstance(value, list) else [value]
