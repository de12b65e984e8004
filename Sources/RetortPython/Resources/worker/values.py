"""Conversion of values and errors between Python and Retort: as JSON that keeps their types."""
import dataclasses
import enum
import json
import math
import re
import traceback

DEPTH = 64
DIGITS = 100_000
# The parts of Python's own descriptions of objects that differ between processes or machines.
VARYING = re.compile(
    r""" at 0x[0-9A-Fa-f]{6,16}(?=>| \(\w+\)>|; to '|; dead>|, file ["'])|(?<=\(PCG64\)) at 0x[0-9A-Fa-f]{6,16}| id='\d{9,}'(?=>)"""
)
MODULE = re.compile(r"""<module '([^'\n]+)' (?:from (?:'[^'\n]*'|"[^"\n]*")|\([^\n]*?\))>""")
# The path of a module in the message of an import error.
PLACE = re.compile(r""" \((?:/[^()\n]*|consider renaming '[^'\n]*'[^()\n]*)\)""")


def text_of(message):
    return json.dumps(message, ensure_ascii=True, allow_nan=False)


def to_json(value, depth=0):
    """A value as JSON that keeps its type; a value that JSON cannot express becomes its text.

    Raises ValueError for a value that JSON could only hold in part, and passes on what the value's own methods raise.
    Methods that subclasses of Python's built-in types override are not called.
    """
    if depth > DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} deep, or holds itself")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, int):
        if int.bit_length(value) > DIGITS * 3.3219281:
            raise ValueError(f"an integer of more than {DIGITS:,} digits")
        return int.__int__(value)
    if isinstance(value, float):
        value = float.__float__(value)
        if math.isfinite(value):
            return value
        return {"$float": "nan" if value != value else "inf" if value > 0 else "-inf"}
    if isinstance(value, dict):
        members = {}
        for k, v in dict.items(value):
            name = key_of(k, depth)
            if name in members:
                raise ValueError(f"more than one of its keys is '{name[:100]}' in JSON, whose keys are texts")
            members[name] = to_json(v, depth + 1)
        # A program's own dictionary must not be mistaken for a number.
        return {"$float": [members["$float"]]} if len(members) == 1 and "$float" in members else members
    for kind in (list, tuple):
        if isinstance(value, kind):
            return [to_json(v, depth + 1) for v in kind.__iter__(value)]
    for kind in (set, frozenset):
        if isinstance(value, kind):
            return sorted([to_json(v, depth + 1) for v in kind.__iter__(value)], key=text_of)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name), depth + 1) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return to_json(value.value, depth + 1)
    module = str(type(value).__module__ or "")
    name = type(value).__name__
    if module.startswith("pandas") and name in ("NAType", "NaTType"):
        return None
    if (module.startswith("numpy") or name in ("Series", "Index") and module.startswith("pandas")) and hasattr(value, "tolist"):
        return to_json(numbers_of(value), depth + 1)
    if module.startswith("sympy") and getattr(value, "is_Integer", False):
        return to_json(int(value), depth + 1)
    return plain(steady(str(value.tobytes() if isinstance(value, memoryview) else value)))


def key_of(key, depth):
    key = from_json(to_json(key, depth + 1))
    return key if isinstance(key, str) else str(key)


def numbers_of(value):
    """The contents of a numpy array or number in Python's own types."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    result = value.tolist()
    if type(result) is type(value):
        # Python has no number type of that precision.
        return float(value) if kind == "f" else str(value)
    if kind in ("m", "M") and type(value).__module__.startswith("numpy"):
        # A date in nanoseconds would become a plain number.
        if isinstance(result, list):
            return [numbers_of(one) for one in value]
        return str(value) if type(result) is int else result
    return result


def steady(text):
    """A description without memory addresses and paths, so that equal programs print equal text."""
    if " at 0x" in text or " id='" in text:
        text = VARYING.sub("", text)
    return MODULE.sub(r"<module '\1'>", text) if "<module '" in text else text


def settled(value):
    """JSON in which every text is steady."""
    if isinstance(value, str):
        return steady(value)
    if isinstance(value, dict):
        return {name: settled(one) for name, one in value.items()}
    return [settled(one) for one in value] if isinstance(value, list) else value


def plain(text):
    """A text that JSON can hold, whatever methods its class overrides."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def from_json(value):
    if isinstance(value, dict):
        if len(value) == 1 and "$float" in value:
            inner = value["$float"]
            return {"$float": from_json(inner[0])} if isinstance(inner, list) else float(inner)
        return {k: from_json(v) for k, v in value.items()}
    return [from_json(v) for v in value] if isinstance(value, list) else value


def name_of(value):
    """The name of a value's class, even if its metaclass hides it."""
    try:
        return plain(type.__dict__["__name__"].__get__(type(value)))[:200]
    except BaseException:
        return "object"


def describe(error, file="<program>"):
    """Describes an exception, even one with faulty methods; the line is that of the last frame in `file`."""
    line, message = None, ""
    try:
        # An exception's attributes may be properties that the program defines.
        trace = BaseException.__dict__["__traceback__"].__get__(error)
        for frame in traceback.extract_tb(trace):
            if frame.filename == file:
                line = frame.lineno
        if isinstance(error, SyntaxError) and error.filename == file:
            line = error.lineno
            message = plain(str(error.msg))
        else:
            message = steady(plain(str(error)))
            if file == "<program>" and isinstance(error, (ImportError, AttributeError)):
                message = PLACE.sub("", message)
    except BaseException:
        pass
    return {"type": name_of(error), "message": message[:1000], "line": line if type(line) is int else None}
