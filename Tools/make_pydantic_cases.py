"""Schemas that pydantic makes of models, and others of the kinds it makes, with values and whether the PyPI package jsonschema
finds them valid: the cases of JSONSchemaTests.

Usage: python Tools/make_pydantic_cases.py > Tests/RetortCoreTests/Fixtures/pydantic.jsonl   (pip install jsonschema pydantic)
"""
import datetime, enum, json, random, sys, uuid
from typing import Annotated, Literal, Optional, Union

import jsonschema
from pydantic import BaseModel, ConfigDict, Field

r = random.Random(11)


class Colour(str, enum.Enum):
    red = "red"
    blue = "blue"


class Place(BaseModel):
    city: Annotated[str, Field(min_length=2, max_length=8, pattern=r"^[A-Z][a-z]*$")]
    code: Optional[Annotated[str, Field(pattern=r"^\d{3}(-[A-F]{2})?$")]] = None


class Stop(BaseModel):
    place: Place
    minutes: Annotated[float, Field(gt=0, le=7.5)]
    colour: Colour = Colour.red


class Trip(BaseModel):
    model_config = ConfigDict(extra="forbid")
    stops: Annotated[list[Stop], Field(min_length=1, max_length=3)]
    price: Union[int, float, None] = None
    tags: dict[str, Annotated[int, Field(ge=0, lt=5)]] = {}


class Node(BaseModel):
    name: Annotated[str, Field(max_length=3)]
    left: Optional["Node"] = None
    children: list["Node"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    friend: Optional["Pets"] = None


class Pets(BaseModel):
    pets: list[Annotated[Union[Cat, Dog], Field(discriminator="kind")]]


Dog.model_rebuild()


class Span(BaseModel):
    pair: tuple[int, str]
    day: datetime.date
    key: uuid.UUID
    either: Literal[1, "a", None]


schemas = [model.model_json_schema() for model in (Place, Stop, Trip, Node, Pets, Span)]
schemas += [
    {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"type": "object", "required": ["z"]},
    {"type": "object", "required": ["z"], "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": False, "b": True}},
    {"minimum": 3}, {"maxLength": 2}, {"minimum": 0, "maxLength": 1}, {"enum": []}, False, True,
    {"type": ["string", "integer"], "enum": ["a", 1, None]},
    {"enum": [1.0, "x", {"a": 1}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"type": "object", "properties": {"a": {"minimum": 2}, "b": {"type": "string"}}, "required": ["b"]}]},
    {"allOf": [{"type": "number", "exclusiveMinimum": 1}, {"type": "integer", "maximum": 4.5}]},
    {"anyOf": [{"type": "string"}, {"type": "integer"}], "maxLength": 1, "minimum": 2},
    {"oneOf": [{"type": "string", "maxLength": 1}, {"type": "string", "minLength": 3}, {"type": "null"}]},
    {"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}]},
    {"type": "string", "pattern": "b+"}, {"type": "string", "pattern": "^(a|bc)*$"}, {"type": "string", "pattern": "x$"},
    {"type": "string", "pattern": "^[^a-c]{1,2}$"}, {"type": "string", "pattern": "a.c|^$"},
    {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 5},
    {"type": "number", "exclusiveMinimum": -0.5, "maximum": 0.5},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "boolean"}, "minItems": 2},
    {"$defs": {"a/b": {"type": "integer"}, "c": {"$ref": "#/$defs/a~1b"}}, "type": "array", "items": {"$ref": "#/$defs/c"}},
    {"type": "object", "properties": {"up": {"$ref": "#"}, "n": {"type": "integer"}}, "additionalProperties": False},
    {"$ref": "#/definitions/x", "minimum": 2, "definitions": {"x": {"type": "integer", "maximum": 4}}},
]
words = ["", "a", "b", "ab", "abc", "Ab", "Rome", "red", "blue", "green", "012", "012-AF", "bb", "xbx", "x", "aaaa", "axc", "bca",
         "2024-02-29", "2023-02-29", "2024-12-31", "2024-13-01", "12345678-1234-1234-1234-123456789abc", "cat", "dog", "é", "𝄞𝄞𝄞"]


def value(depth=0):
    k = r.randint(0, 8 if depth < 2 else 5)
    if k == 0: return r.choice(words)
    if k == 1: return r.randint(-3, 9)
    if k == 2: return r.randint(-8, 40) / 4
    if k == 3: return r.random() < .5
    if k == 4: return None
    if k == 5: return r.choice([1.0, 2.0, "1", 5])
    if k == 6: return [value(depth + 1) for _ in range(r.randint(0, 3))]
    return {n: value(depth + 1) for n in r.sample(["a", "b", "z", "kind", "name", "city"], r.randint(0, 3))}


def fit(s, root, depth=0):
    """A value that is often valid."""
    if r.random() < .07 or depth > 7 or s in (True, False): return value(depth)
    if "$ref" in s:
        target = root
        for step in s["$ref"].split("/")[1:]: target = target[step.replace("~1", "/").replace("~0", "~")]
        return fit(target, root, depth + 1)
    if "const" in s: return s["const"]
    if s.get("enum"): return r.choice(s["enum"])
    for key in ("anyOf", "oneOf"):
        if key in s: return fit(r.choice(s[key]), root, depth + 1)
    if "allOf" in s:
        parts = [fit(x, root, depth) for x in s["allOf"]]
        if all(isinstance(p, dict) for p in parts): return {k: v for p in parts for k, v in p.items()}
        return parts[0]
    t = s.get("type")
    if isinstance(t, list): t = r.choice(t)
    if t == "string": return r.choice(words)
    if t == "integer": return r.choice([1, 2, 3, 4, 5, 2.0])
    if t == "number": return r.choice([0, 1, 0.25, -0.5, 0.5, 7.5, 7.75])
    if t == "boolean": return True
    if t == "null": return None
    if t == "array":
        prefix = s.get("prefixItems", [])
        n = r.randint(s.get("minItems", 0), s.get("maxItems", 2 if depth < 4 else 0) + (r.random() < .1))
        return [fit(prefix[i] if i < len(prefix) else s.get("items", True), root, depth + 1) for i in range(n)]
    if t == "object" or "properties" in s:
        properties, required = s.get("properties", {}), s.get("required", [])
        names = [n for n in set(properties) | set(required) if n in required or r.random() < .4]
        if r.random() < .05 and names: names.pop()
        o = {n: fit(properties.get(n, s.get("additionalProperties", True)), root, depth + 1) for n in sorted(names)}
        if isinstance(s.get("additionalProperties"), dict): o["k"] = fit(s["additionalProperties"], root, depth + 1)
        return o
    return value(depth)


valid = 0
for schema in schemas:
    # Formats are annotations there unless a checker is given.
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for _ in range(20):
        v = fit(schema, schema)
        ok = checker.is_valid(v)
        valid += ok
        print(json.dumps({"schema": schema, "value": v, "valid": ok}, ensure_ascii=False, separators=(",", ":")))
print(valid, file=sys.stderr)
