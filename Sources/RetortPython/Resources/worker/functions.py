"""A user's module of Python functions: how its public functions are described as tools, and how they are called.

A tool's description is read from its signature, annotations and docstring. What cannot be expressed as JSON is reported
with the function's name and line; nothing is guessed.
"""
import ast
import collections.abc
import dataclasses
import enum
import functools
import importlib.util
import inspect
import json
import os
import sys
import types
import typing

HOOKS = ("setup", "state", "grade")
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
SEQUENCES = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Set)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
DEPTH = 16


class Inexpressible(Exception):
    """An annotation that has no JSON schema."""


def load(path, root):
    """Imports a module by its path; it can import the modules beside it."""
    sys.dont_write_bytecode = True
    if root not in sys.path:
        sys.path.insert(0, root)
    name = os.path.splitext(os.path.basename(path))[0]
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    # Dataclasses and forward references look up their module by name.
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


CACHED = type(functools.lru_cache(lambda: None))


def is_function(value):
    """Whether a value is a function, or one whose results `functools.cache` or `lru_cache` keeps."""
    return inspect.isfunction(value) or isinstance(value, CACHED)


def public(module):
    """The functions that are tools by default: those defined in the module itself, except hooks and private ones."""
    return {
        name: value
        for name, value in vars(module).items()
        if is_function(value) and value.__module__ == module.__name__ and not name.startswith("_") and name not in HOOKS
    }


def describe(module, chosen):
    """A specification of each tool, and every fault with its place."""
    found = public(module)
    faults = repeated(module.__file__)
    if chosen is not None:
        for name in chosen:
            if name not in found:
                faults.append({"function": name, "line": None, "message": f"the module has no public function '{name}'"})
        found = {name: found[name] for name in chosen if name in found}
    tools = []
    for name, function in found.items():
        try:
            tools.append(specification(name, function))
        except Inexpressible as error:
            faults.append({"function": name, "line": inspect.unwrap(function).__code__.co_firstlineno, "message": str(error)})
    hooks = [name for name in HOOKS if is_function(getattr(module, name, None))]
    if not tools and not hooks and not faults:
        message = "the module has no tool and no hook; a tool is a public function with a docstring and annotations"
        faults.append({"function": None, "line": None, "message": message})
    return {"tools": tools, "hooks": hooks, "faults": faults}


def repeated(path):
    """Functions that are defined twice. The second definition replaces the first without a trace in the module."""
    # Bytes, because a coding line or a byte-order mark tells their encoding.
    with open(path, "rb") as file:
        tree = ast.parse(file.read())
    faults, seen = [], {}
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        if any("overload" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        if node.name in seen:
            message = f"it is defined twice, first in line {seen[node.name]}; rename one of the two"
            faults.append({"function": node.name, "line": node.lineno, "message": message})
        seen[node.name] = node.lineno
    return faults


def specification(name, function):
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Inexpressible("a tool must be an ordinary function that returns its value")
    summary, remarks = documentation(function)
    if not summary:
        raise Inexpressible("the function has no docstring; its first paragraph tells the model what the tool does")
    hints = annotations(function)
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise Inexpressible(f"'*{parameter.name}' has no schema; name every parameter")
        if parameter.name not in hints:
            raise Inexpressible(f"the parameter '{parameter.name}' has no annotation, such as {parameter.name}: str")
        schema = schema_of(hints[parameter.name], f"the parameter '{parameter.name}'")
        if isinstance(function, CACHED) and not is_hashable(hints[parameter.name]):
            raise Inexpressible(f"a function with a cache cannot take the list or dictionary '{parameter.name}'; remove the cache")
        required = parameter.default is parameter.empty
        if not required and parameter.default is not None:
            default = plain(parameter.default, f"the default of '{parameter.name}'")
            schema = {**schema, "default": default}
        parameters.append(
            {
                "name": parameter.name,
                "type": type_of(schema),
                "summary": remarks.get(parameter.name, ""),
                "required": required,
                "schema": schema,
            }
        )
    returns = type_of(schema_of(hints["return"], "the result")) if "return" in hints else "any"
    return {"name": name, "summary": summary, "parameters": parameters, "returns": returns}


def is_hashable(kind, depth=0):
    """Whether all values of a type can be the argument of a function with a cache."""
    if depth > DEPTH:
        return False
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return is_hashable(arguments[0], depth + 1)
    if origin in (typing.Union, types.UnionType) or origin in (tuple, frozenset):
        return all(is_hashable(one, depth + 1) for one in arguments if one is not Ellipsis)
    if (origin or kind) in SEQUENCES or (origin or kind) in MAPPINGS:
        return (origin or kind) is frozenset
    return not inspect.isclass(kind) or (getattr(kind, "__hash__", None) is not None and not typing.is_typeddict(kind))


def annotations(function):
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise Inexpressible(f"its annotations cannot be read: {type(error).__name__}: {error}") from None


def type_of(schema):
    if "enum" in schema and all(value is None or isinstance(value, str) for value in schema["enum"]):
        return "string"
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kinds = [one for one in kind if one != "null"]
        return kinds[0] if len(kinds) == 1 else "any"
    return kind


def schema_of(kind, where, depth=0):
    """The JSON schema of an annotation."""
    if depth > DEPTH:
        raise Inexpressible(f"{where} is nested too deeply, or refers to itself")
    if kind is None or kind is type(None):
        return {"type": "null"}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if kind is typing.Any or kind is inspect.Parameter.empty or kind is object:
        return {}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        schema = schema_of(arguments[0], where, depth)
        words = [extra for extra in arguments[1:] if isinstance(extra, str)]
        return {**schema, "description": " ".join(words)} if words else schema
    if origin is typing.Literal:
        return {"enum": [plain(value, where) for value in arguments]}
    if origin in (typing.Union, types.UnionType):
        return union([schema_of(one, where, depth + 1) for one in arguments])
    if origin in (typing.Required, typing.NotRequired, getattr(typing, "ReadOnly", None)) and origin is not None:
        return schema_of(arguments[0], where, depth)
    base = origin or kind
    if base is tuple:
        if not arguments:
            return {"type": "array"}
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": schema_of(arguments[0], where, depth + 1)}
        parts = [schema_of(one, where, depth + 1) for one in arguments]
        schema = {"type": "array", "minItems": len(parts), "maxItems": len(parts)}
        return {**schema, "items": parts[0] if all(one == parts[0] for one in parts) else union(parts)}
    if base in SEQUENCES:
        schema = {"type": "array"}
        return {**schema, "items": schema_of(arguments[0], where, depth + 1)} if arguments else schema
    if base in MAPPINGS:
        if arguments and arguments[0] is not str and typing.get_origin(arguments[0]) is not typing.Literal:
            raise Inexpressible(f"{where}: a dictionary's keys must be str, for JSON has no others")
        schema = {"type": "object"}
        return {**schema, "additionalProperties": schema_of(arguments[1], where, depth + 1)} if arguments else schema
    if inspect.isclass(kind):
        return schema_of_class(kind, where, depth)
    raise Inexpressible(f"{where}: {kind!r} has no JSON schema; use str, int, float, bool, list, dict, Literal, Optional, a dataclass or a TypedDict")


def schema_of_class(kind, where, depth):
    if issubclass(kind, enum.Enum):
        return {"enum": [plain(member.value, where) for member in kind]}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {field.name: schema_of(hints[field.name], f"{where}.{field.name}", depth + 1) for field in dataclasses.fields(kind) if field.init}
        required = [field.name for field in dataclasses.fields(kind) if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]
        return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {name: schema_of(hint, f"{where}.{name}", depth + 1) for name, hint in hints.items()}
        return {"type": "object", "properties": fields, "required": sorted(kind.__required_keys__), "additionalProperties": False}
    raise Inexpressible(f"{where}: the class {kind.__name__} has no JSON schema; make it a dataclass or a TypedDict")


def union(schemas):
    unique = []
    for schema in schemas:
        if schema not in unique:
            unique.append(schema)
    if any(schema == {} for schema in unique):
        return {}
    if len(unique) == 1:
        return unique[0]
    if all(set(schema) == {"type"} and isinstance(schema["type"], str) for schema in unique):
        return {"type": [schema["type"] for schema in unique]}
    others = [schema for schema in unique if schema != {"type": "null"}]
    if len(others) == 1 and len(unique) == 2:
        one = others[0]
        if "enum" in one:
            return {"enum": [*one["enum"], None]}
        if isinstance(one.get("type"), str):
            return {**one, "type": [one["type"], "null"]}
    return {"anyOf": unique}


def plain(value, where):
    """A value that is valid JSON without conversion."""
    if isinstance(value, enum.Enum):
        value = value.value
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise Inexpressible(f"{where}: {value!r} is not a JSON value") from None
    return value


def underlined(lines, index):
    """Whether a line is the heading of one of NumPy's sections: dashes are below it."""
    below = lines[index + 1].strip() if index + 1 < len(lines) else ""
    return bool(lines[index].strip()) and len(below) > 2 and set(below) <= {"-", "="}


def numpy_remarks(lines, names):
    """The texts on parameters in NumPy's form: `x : int`, and the text indented below it."""
    remarks, section, current = {}, None, []
    for index, line in enumerate(lines):
        text = line.strip()
        if underlined(lines, index):
            section, current = text, []
        elif section in ("Parameters", "Other Parameters") and text and set(text) != {"-"}:
            if line[0].isspace():
                for name in current:
                    remarks[name] = f"{remarks.get(name, '')} {text}".strip()
            else:
                heads = [one.strip().lstrip("*") for one in text.partition(":")[0].split(",")]
                current = [name for name in heads if name in names]
    return remarks


def documentation(function):
    """A docstring's first paragraph, and its text on each parameter (Google's `Args:`, NumPy's underlined `Parameters` or
    Sphinx's `:param x:`)."""
    lines = inspect.cleandoc(function.__doc__ or "").splitlines()
    summary = []
    for index, line in enumerate(lines):
        if not line.strip() or line.strip().startswith(":") or line.strip() in ("Args:", "Arguments:", "Parameters:", "Returns:", "Raises:"):
            break
        if underlined(lines, index):
            break
        summary.append(line.strip())
    names = set(inspect.signature(function).parameters)
    remarks, section, current = numpy_remarks(lines, names), False, None
    for line in lines:
        text = line.strip()
        if text in ("Args:", "Arguments:", "Parameters:"):
            section, current = True, None
            continue
        if text.startswith(":param "):
            head, _, rest = text[len(":param ") :].partition(":")
            words = head.split()
            current = words[-1] if words else None
            if current in names:
                remarks[current] = rest.strip()
            continue
        if text.startswith(":"):
            current = None
            continue
        if section and text and not line[0].isspace():
            section = False
        if section and ":" in text:
            head, _, rest = text.partition(":")
            name = head.split("(")[0].strip().lstrip("*")
            if name in names:
                current = name
                remarks[name] = rest.strip()
                continue
        if current and text:
            remarks[current] = f"{remarks.get(current, '')} {text}".strip()
        elif not text:
            current = None
    return " ".join(summary), remarks


def coerced(value, kind, depth=0):
    """Converts a JSON value to its annotated type: enumeration members and dataclasses are made from plain values."""
    if depth > DEPTH or value is None:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return coerced(value, arguments[0], depth)
    if origin in (typing.Union, types.UnionType):
        for one in arguments:
            if one not in PLAIN and fits(value, one):
                return coerced(value, one, depth + 1)
        return float(value) if type(value) is int and float in arguments and int not in arguments else value
    if isinstance(value, list) and arguments and (origin in SEQUENCES or origin is tuple):
        if origin is tuple and Ellipsis not in arguments:
            return tuple(coerced(one, kind, depth + 1) for one, kind in zip(value, arguments)) if len(value) == len(arguments) else value
        parts = [coerced(one, arguments[0], depth + 1) for one in value]
        return origin(parts) if origin in (tuple, set, frozenset) else parts
    if isinstance(value, dict) and arguments and origin in MAPPINGS:
        return {key: coerced(one, arguments[1], depth + 1) for key, one in value.items()}
    if not inspect.isclass(kind):
        return value
    if issubclass(kind, enum.Enum) and not isinstance(value, kind):
        return kind(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind, include_extras=True)
        return kind(**{name: coerced(one, hints.get(name), depth + 1) for name, one in value.items()})
    if kind is float and type(value) is int:
        return float(value)
    return value


def fits(value, kind, depth=0):
    """Whether a JSON value is one of a type, to choose among the types of a union."""
    if depth > DEPTH:
        return False
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is None or kind is type(None):
        return value is None
    if origin is typing.Annotated or origin in (typing.Required, typing.NotRequired):
        return fits(value, arguments[0], depth + 1)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one, depth + 1) for one in arguments)
    if origin is typing.Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if kind in PLAIN:
        return type(value) is kind or (kind is float and type(value) is int)
    base = origin or kind
    if base is tuple and arguments and Ellipsis not in arguments:
        return isinstance(value, list) and len(value) == len(arguments) and all(map(lambda one, kind: fits(one, kind, depth + 1), value, arguments))
    if base is tuple or base in SEQUENCES:
        return isinstance(value, list) and all(fits(one, arguments[0], depth + 1) for one in value if arguments)
    if base in MAPPINGS:
        return isinstance(value, dict) and all(fits(one, arguments[1], depth + 1) for one in value.values() if arguments)
    return fits_class(value, kind, depth) if inspect.isclass(kind) else True


def fits_class(value, kind, depth):
    if issubclass(kind, enum.Enum):
        return any(value == member.value and type(value) is type(member.value) for member in kind)
    if not dataclasses.is_dataclass(kind) and not typing.is_typeddict(kind):
        return True
    if not isinstance(value, dict):
        return False
    schema, hints = schema_of_class(kind, kind.__name__, depth), typing.get_type_hints(kind, include_extras=True)
    known = schema["properties"]
    return set(schema["required"]) <= set(value) <= set(known) and all(fits(one, hints[name], depth + 1) for name, one in value.items())


def positioned(signature, args, kwargs):
    """Arguments by name for parameters that take none by name, `f(a, /)`, as arguments by position."""
    only = [one for one in signature.parameters.values() if one.kind is one.POSITIONAL_ONLY][len(args) :]
    while only and only[-1].name not in kwargs:
        only.pop()
    for one in only:
        if one.name not in kwargs and one.default is one.empty:
            break
        args += (kwargs.pop(one.name, one.default),)
    return args, kwargs


def recorded(function, note):
    """A tool as programs call it: it takes plain values for enumerations and dataclasses, and notes each call.

    `note` takes the arguments by name, the result, and the error, one of which is None.
    """
    signature = inspect.signature(function)
    hints = annotations(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        args, kwargs = positioned(signature, args, kwargs)
        bound = signature.bind(*args, **kwargs)
        given = dict(bound.arguments)
        for name, value in given.items():
            if name in hints:
                bound.arguments[name] = coerced(value, hints[name])
        try:
            result = function(*bound.args, **bound.kwargs)
        except Exception as error:
            note(given, None, error)
            raise
        note(given, result, None)
        return result

    # A program could call the wrapped function directly, without a note, so the reference to it is removed.
    del call.__wrapped__
    call.__signature__ = signature
    return call

