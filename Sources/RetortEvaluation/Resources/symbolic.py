"""Retort's second look at answers, run inside the sandbox: SymPy for what only algebra decides, and Math-Verify.

Expressions come as constructor calls that Retort wrote itself; texts of models go to Math-Verify only.
"""
import base64
import json

import sympy

try:
    import math_verify
except ImportError:
    math_verify = None

NAMES = {
    name: getattr(sympy, name)
    for name in (
        "Add Mul Pow Integer Rational Symbol pi E I oo sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh "
        "tanh exp log floor ceiling Abs factorial binomial gcd lcm Max Min Tuple Interval FiniteSet Union Eq Matrix S"
    ).split()
}
NAMES["__builtins__"] = {}
DIGITS = 50
# Where variables are tried: positive, as school algebra has them.
POINTS = [sympy.Rational(7, 5), sympy.Rational(31, 13), sympy.Rational(17, 29), sympy.Rational(101, 37)]


def retort_text(encoded):
    return base64.b64decode(encoded).decode()


def retort_equal(first, second):
    """Whether two expressions agree to 50 digits at every point tried, and the reason."""
    a, b = (eval(retort_text(text), NAMES) for text in (first, second))
    if a == b:
        return {"equal": True, "reason": "equal to SymPy"}
    names = sorted((a.free_symbols | b.free_symbols), key=str)
    tried = 0
    for start in range(len(POINTS) if names else 1):
        values = {name: POINTS[(start + i) % len(POINTS)] + i // len(POINTS) for i, name in enumerate(names)}
        x, y = (sympy.N(e.subs(values), DIGITS + 15) for e in (a, b))
        if not (x.is_number and y.is_number) or any(v.has(sympy.nan, sympy.zoo, sympy.oo) for v in (x, y)):
            continue
        tried += 1
        scale = max(abs(x), abs(y), sympy.Float("1e-30", DIGITS))
        if abs(sympy.N(x - y, DIGITS)) > sympy.Float(10, DIGITS) ** (-DIGITS + 5) * scale:
            return {"equal": False, "reason": "another value to SymPy"}
    if not tried:
        return {"equal": False, "reason": "it has no value at any point tried"}
    return {"equal": True, "reason": f"equal to {DIGITS} digits"}


def retort_str(expression):
    """An expression as SymPy prints it."""
    names = NAMES | {"Symbol": lambda name, positive: sympy.Symbol(name)}
    return {"text": str(eval(retort_text(expression), names))}


def retort_verify(reference, answer):
    """Math-Verify's verdict."""
    if math_verify is None:
        return {"equal": None, "reason": "Math-Verify is not installed; run 'make bootstrap'"}
    parse, verify = math_verify.parse, math_verify.verify

    def read(text):
        found = parse(text, parsing_timeout=None)
        return found if found or "$" in text else parse(f"${text}$", parsing_timeout=None)

    gold = retort_text(reference)
    gold = parse(f"${gold}$", parsing_timeout=None) or parse(gold, parsing_timeout=None)
    given = read(retort_text(answer))
    if not gold or not given:
        return {"equal": None, "reason": "Math-Verify reads no " + ("answer" if gold else "reference")}
    return {"equal": bool(verify(gold, given, timeout_seconds=None)), "reason": "Math-Verify"}


def retort_formula(reference, answer):
    """Math-Verify's verdict on two formulas, each read as a whole: it may not look for numbers in them."""
    if math_verify is None:
        return {"equal": None, "reason": "Math-Verify is not installed; run 'make bootstrap'"}
    config = [math_verify.LatexExtractionConfig()]

    def read(text):
        text = text.strip().strip("$")
        return [] if "$" in text or "\n" in text else math_verify.parse(f"${text}$", config, parsing_timeout=None)

    gold, given = read(retort_text(reference)), read(retort_text(answer))
    if not gold or not given:
        return {"equal": None, "reason": "Math-Verify reads no " + ("answer" if gold else "reference")}
    return {"equal": bool(math_verify.verify(gold, given, timeout_seconds=None)), "reason": "Math-Verify"}
