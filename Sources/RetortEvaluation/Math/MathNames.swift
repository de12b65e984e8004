import Foundation

/// Names of functions, constants and units in LaTeX, plain text, Python and SymPy.
enum MathNames {
    /// Functions by every spelling, with their canonical names.
    static let functions: [String: String] = {
        var all: [String: String] = [:]
        for name in ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"] { all[name] = name }
        for name in ["sin", "cos", "tan", "cot", "sec", "csc"] {
            all["arc\(name)"] = "arc\(name)"
            all["a\(name)"] = "arc\(name)"
        }
        for name in ["log", "exp", "factorial", "binomial", "gcd", "lcm"] { all[name] = name }
        all.merge([
            "ln": "log", "lg": "log10", "log10": "log10", "log2": "log2", "floor": "floor", "ceil": "ceil",
            "ceiling": "ceil", "Abs": "abs", "abs": "abs", "max": "max", "min": "min", "Max": "max", "Min": "min",
        ]) { first, _ in first }
        return all
    }()

    /// Words of Python and SymPy that build a value from arguments in brackets.
    static let builders: Set<String> = [
        "sqrt", "cbrt", "root", "Rational", "Fraction", "Integer", "Float", "Decimal", "Matrix", "ImmutableMatrix",
        "ImmutableDenseMatrix", "MutableDenseMatrix", "array", "Interval", "FiniteSet", "Union", "Eq", "Tuple", "Pow",
        "Mul", "Add", "Point", "Point2D", "Point3D", "set", "frozenset", "tuple", "list", "int", "float", "complex",
    ]

    static let constants: [String: String] = [
        "pi": "pi", "Pi": "pi", "PI": "pi", "e": "e", "E": "e", "i": "i", "I": "i", "infty": "oo", "oo": "oo",
        "inf": "oo", "infinity": "oo", "Infinity": "oo",
    ]

    static let greek: Set<String> = [
        "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa",
        "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma",
        "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega", "triangle", "angle",
    ]

    private static let others: Set<String> = ["Reals", "EmptySet", "emptyset", "in", "True", "False", "np", "sympy"]

    private static let all: Set<String> = {
        var names = Set(functions.keys).union(builders).union(greek).union(others).union(constants.keys)
        for single in ["e", "E", "i", "I"] { names.remove(single) }
        return names
    }()

    private static let longest = all.map(\.count).max() ?? 0

    /// A run of letters split into names and single letters; nil when it is a word.
    static func segments(_ run: String) -> [String]? {
        if run.count == 1 || all.contains(run) { return [run] }
        var segments: [String] = []
        var singles = 0
        var rest = run[...]
        while !rest.isEmpty {
            let lengths = stride(from: min(longest, rest.count), through: 2, by: -1)
            if let name = lengths.lazy.map({ String(rest.prefix($0)) }).first(where: prefixes.contains) {
                segments.append(name)
                rest = rest.dropFirst(name.count)
            } else {
                singles += 1
                guard singles <= 3 else { return nil }
                segments.append(String(rest.removeFirst()))
            }
        }
        return segments
    }

    /// Names that may stand in a run with other letters, such as `sinx` or `2pir`.
    private static let prefixes: Set<String> = Set([
        "sqrt", "pi", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "theta", "alpha",
    ])

    /// A known unit: its canonical name, what it measures, and its size in base units.
    struct Unit: Sendable {
        let name: String
        let kind: String
        let factor: Rational
    }

    static let units: [String: Unit] = {
        var all: [String: Unit] = [:]
        func add(_ kind: String, _ factor: Rational, _ names: String) {
            let spellings = names.split(separator: " ").map(String.init)
            for spelling in spellings {
                all[spelling] = Unit(name: spellings[0], kind: kind, factor: factor)
            }
        }
        add("length", Rational(1, 1000), "mm millimeter millimeters millimetre millimetres")
        add("length", Rational(1, 100), "cm centimeter centimeters centimetre centimetres")
        add("length", 1, "m meter meters metre metres")
        add("length", 1000, "km kilometer kilometers kilometre kilometres")
        add("length", Rational(254, 10_000), "inch inches")
        add("length", Rational(3048, 10_000), "feet foot ft")
        add("length", Rational(9144, 10_000), "yard yards yd")
        add("length", Rational(1_609_344, 1000), "mile miles mi")
        add("mass", Rational(1, 1000), "g gram grams")
        add("mass", 1, "kg kilogram kilograms")
        add("time", 1, "second seconds sec secs")
        add("time", 60, "minute minutes min mins")
        add("time", 3600, "hour hours hr hrs")
        add("time", 86_400, "day days")
        add("time", 604_800, "week weeks")
        add("months", 1, "month months")
        add("months", 12, "year years yr yrs")
        add("mass", Rational(45_359_237, 100_000_000), "pound pounds lb lbs")
        add("mass", Rational(45_359_237, 1_600_000_000), "ounce ounces oz")
        add("mass", Rational(1, 1_000_000), "mg milligram milligrams")
        add("volume", 1, "liter liters litre litres L")
        add("volume", Rational(1, 1000), "ml mL milliliter milliliters millilitre millilitres")
        add("volume", Rational(3_785_411_784, 1_000_000_000), "gallon gallons gal")
        add("volume", Rational(946_352_946, 1_000_000_000), "quart quarts")
        add("volume", Rational(473_176_473, 1_000_000_000), "pint pints")
        add("speed", Rational(1_609_344, 3_600_000), "mph")
        add("speed", Rational(1000, 3600), "kph kmh kmph")
        add("data", 1, "MB mb")
        add("data", 1000, "GB gb")
        add("energy", 1, "kWh kwh")
        add("power", 1000, "kW")
        add("power", 1, "watt watts")
        add("data", Rational(1, 1000), "KB kB")
        add("data", 1_000_000, "TB")
        add("mass", 1000, "tonne tonnes")
        add("mass", Rational(90_718_474, 100_000), "ton tons")
        add("time", Rational(1, 1000), "millisecond milliseconds ms")
        add("length", Rational(1, 1_000_000_000), "nm nanometer nanometers nanometre nanometres")
        add("yen", 1, "yen")
        add("rupees", 1, "rupee rupees")
        add("turns", 1, "rpm")
        add("area", Rational(40_468_564_224, 10_000_000), "acre acres")
        add("area", 10_000, "hectare hectares")
        add("euros", 1, "euro euros EUR")
        add("money", Rational(1, 100), "cent cents")
        add("money", 1, "dollar dollars USD usd")
        add("count", 12, "dozen dozens")
        add("share", Rational(1, 100), "percent")
        add("angle", 1, "degree degrees deg")
        return all
    }()

    private static let small = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    ]
    private static let tens = [
        "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
        "hundred": 100,
    ]

    /// The value of a number in words, such as `seven` or `twenty-one`.
    static func number(_ words: String) -> Int? {
        let parts = words.lowercased().split(whereSeparator: { $0 == "-" || $0 == " " }).map(String.init)
        switch parts.count {
        case 1: return small.firstIndex(of: parts[0]) ?? tens[parts[0]]
        case 2:
            guard let ten = tens[parts[0]], ten < 100, let one = small.firstIndex(of: parts[1]), (1...9).contains(one)
            else { return nil }
            return ten + one
        default: return nil
        }
    }
}

extension Rational: ExpressibleByIntegerLiteral {
    init(integerLiteral value: Int) { self.init(value) }
}
