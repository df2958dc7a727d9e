"""Files → policy. The only module of this package that reads files.

- The loader refuses what cannot be right on its own: an unknown or duplicate key, no class, no route, a missing `default: held`, a
  route for an undefined class, a route table by which carrying more classes frees a document (invariant 1). `policies/check.py`
  judges the rest.
- The hash covers the policy, the registry and the prices byte for byte, so that a decision names exactly the rules it was made under.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from policies.detection import parse_ner, parse_participants
from policies.errors import PolicyFileError
from policies.facts import FACTS, Fact
from policies.model import BUILT_IN_CLASSES, CLASS_NAME, CLEAN, UNSCANNABLE, Lane
from policies.monotone import gains
from policies.overrides import parse_lowering
from policies.policy import ClassRule, Policy, Route
from policies.rule_syntax import CONDITION_KEYS, parse_condition
from policies.yaml_value import Source, YamlValue, parse

__all__ = ["DEFAULT_POLICY", "DEFAULT_REGISTRY", "ClassRule", "Policy", "Route", "load_policy", "parse_policy", "read_source"]

DEFAULT_POLICY = Path(__file__).with_name("default.yaml")
DEFAULT_REGISTRY = Path(__file__).with_name("endpoints.yaml")

MAX_BYTES = 1 << 20
OPTIONAL = ("evidence", "ner", "participants", "isolation", "overrides")

FOLLOWS_FROM_SCAN = {
    UNSCANNABLE: "no condition here: it follows from a scan that failed or could not finish",
    CLEAN: "no condition here: a record is CLEAN when no other class is raised",
}


def load_policy(path: Path, *, registry: Path | None = None, prices: Path | None = None) -> Policy:
    """Read a policy; `registry` and `prices` are the files it is used with, which its hash then covers.

    Raises PolicyFileError with FILE:LINE.
    """
    return parse_policy(
        read_source(path),
        registry=read_source(registry) if registry else None,
        prices=read_source(prices) if prices else None,
    )


def policy_hash(path: Path, *, registry: Path | None = None, prices: Path | None = None) -> str:
    """The hash that the policy would have if it were read now, from the same files. Raises PolicyFileError where one cannot be read."""
    registry_source, price_source = (read_source(one) if one else None for one in (registry, prices))
    return _hash(read_source(path), registry_source, price_source)


def read_source(path: Path) -> Source:
    """The bytes of a policy, registry, price or case file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyFileError(f"{path}: expected a readable file: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise PolicyFileError(f"{path}: expected at most {MAX_BYTES} bytes, found {len(data)}")
    return Source(name=str(path), data=data)


def parse_policy(source: Source, *, registry: Source | None = None, prices: Source | None = None) -> Policy:
    """Bytes → policy. Pure."""
    root = parse(source)
    keys = root.table(required=("version", "classes", "routes", "default"), optional=OPTIONAL)
    if keys["default"].text("`held`, the only default there is") != "held":
        keys["default"].fail("`held`, the only default there is")
    classes = _classes(keys["classes"])
    routes = tuple(_route(item, classes) for item in keys["routes"].items("a list of at least one route"))
    policy = Policy(
        version=keys["version"].written("a version, such as a date"),
        classes=classes,
        routes=routes,
        hash=_hash(source, registry, prices),
        evidence=_evidence(keys.get("evidence")),
        ner=parse_ner(keys.get("ner")),
        participants=parse_participants(keys.get("participants")),
        lowering=parse_lowering(keys.get("overrides"), evidence=_evidence(keys.get("evidence"))),
        isolation="netns" if "isolation" in keys and keys["isolation"].choice(("none", "netns")) == "netns" else "none",
        file=source.name,
        source=source.data.decode(),
    )
    _refuse_unsound(policy)
    return policy


def _evidence(value: YamlValue | None) -> Literal["planned", "complete"]:
    return "complete" if value is not None and value.choice(("planned", "complete")) == "complete" else "planned"


def _classes(value: YamlValue) -> dict[str, ClassRule]:
    entries = value.mapping("a table of data classes")
    rules: dict[str, ClassRule] = {}
    for name, entry in entries.items():
        if not CLASS_NAME.fullmatch(name):
            raise PolicyFileError(f"{value.file}:{entry.line}: {entry.path}: expected a class name in capitals, digits and underscores")
        rules[name] = _class_rule(name, entry, entries)
    if not any(rule.condition for rule in rules.values()):
        value.fail("at least one class with a condition; without any, every document would be CLEAN")
    return rules


def _class_rule(name: str, value: YamlValue, classes: dict[str, YamlValue]) -> ClassRule:
    if name in FOLLOWS_FROM_SCAN:
        keys = value.mapping("a table")
        for key, entry in keys.items():
            if key in CONDITION_KEYS:
                raise PolicyFileError(f"{value.file}:{entry.line}: {entry.path}: expected {FOLLOWS_FROM_SCAN[name]}")
        basis = value.table(required=("basis",))["basis"]
        return ClassRule(name=name, basis=basis.text("the legal basis"), condition=None, line=value.line)
    keys = value.mapping("a class with its basis and one condition")
    if "basis" not in keys:
        value.table(required=("basis",), optional=(*CONDITION_KEYS, "covered_by"))
    condition = parse_condition(value, beside=("basis", "covered_by"))
    covered_by = keys["covered_by"].names("data class", pattern=CLASS_NAME.pattern) if "covered_by" in keys else ()
    if name in covered_by or not set(covered_by) <= classes.keys() - set(FOLLOWS_FROM_SCAN):
        keys["covered_by"].fail("other classes of this policy")
    return ClassRule(name=name, basis=keys["basis"].text("the legal basis"), condition=condition, covered_by=covered_by, line=value.line)


def _route(value: YamlValue, classes: dict[str, ClassRule]) -> Route:
    keys = value.table(required=("when", "lanes"), optional=("cloud_requires",))
    when = keys["when"].names("data class", pattern=CLASS_NAME.pattern)
    for name in when:
        if name not in classes and name not in BUILT_IN_CLASSES:
            known = ", ".join(dict.fromkeys([*classes, *BUILT_IN_CLASSES]))
            raise PolicyFileError(f"{value.file}:{keys['when'].line}: {keys['when'].path}: unknown class {name}; expected one of {known}")
    lanes = tuple(Lane(name) for name in keys["lanes"].names("lane, local or cloud", pattern="local|cloud"))
    requires = _requires(keys["cloud_requires"]) if "cloud_requires" in keys else {}
    if requires and Lane.CLOUD not in lanes:
        keys["cloud_requires"].fail("no cloud_requires, since this route does not permit the cloud lane")
    return Route(when=frozenset(when), lanes=lanes, cloud_requires=requires, line=value.line)


def _requires(value: YamlValue) -> dict[str, Fact]:
    keys = value.table(optional=tuple(FACTS))
    return {name: fact(name, entry) for name, entry in keys.items()}


def fact(name: str, value: YamlValue) -> Fact:
    """One fact, stated or required, of the type that FACTS gives it."""
    if FACTS[name] is bool:
        return value.flag()
    return value.whole("a whole number of days", at_least=0) if FACTS[name] is int else value.text("a text")


def _hash(source: Source, registry: Source | None, prices: Source | None) -> str:
    digest = hashlib.sha256(b"waybill policy v1")
    for label, part in (("policy", source), ("registry", registry), ("prices", prices)):
        if part is not None:
            digest.update(f"{label}:{len(part.data)}:".encode() + part.data)
    return digest.hexdigest()


def _refuse_unsound(policy: Policy) -> None:
    """Refuse a table that could free a record for carrying more classes, or whose labels could hide where it belongs."""
    for gain in gains(policy):
        raise PolicyFileError(f"{policy.file}:{policy.routes[gain.more].line}: routes[{gain.more}]: {gain.message}")
    for name, rule in policy.classes.items():
        for other in rule.covered_by:
            if policy.rank(other) > policy.rank(name):
                where = f"{policy.file}:{rule.line}: classes.{name}.covered_by"
                raise PolicyFileError(
                    f"{where}: expected {other} to have the same route or an earlier one; records would be listed as freer"
                )
