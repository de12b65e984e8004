/// What a unit measures and how large it is, also for units made of others: `km/h`, `cm^2`, `square meters`, `miles per hour`.
struct UnitSize: Hashable {
    /// The power of each base kind, such as 1 for length and -1 for time.
    private(set) var dimensions: [String: Int] = [:]
    private(set) var factor = Rational(1)

    /// - Returns: nil where a part is no known unit.
    init?(_ name: String) {
        if let unit = MathNames.units[name] {
            add(Self.base(unit), 1)
            return
        }
        let words = name.replacing("^{", with: "^").replacing("}", with: "").replacing("/", with: " / ")
            .split { $0.isWhitespace || $0 == "·" || $0 == "*" || $0 == "." }.map(String.init)
        guard words.count <= 8 else { return nil }
        var sign = 1
        var power = 1
        var last: UnitSymbols.Size?
        for word in words {
            switch word.lowercased() {
            case "/", "per": sign = -1
            case "square": power = 2
            case "cubic": power = 3
            case "squared", "cubed":
                guard let last else { return nil }
                add(last, word.lowercased() == "squared" ? sign : 2 * sign)
            default:
                guard let (unit, exponent) = Self.factor(word, isDivisor: sign < 0) else { return nil }
                add(unit, sign * exponent * power)
                (last, power) = (unit, 1)
            }
        }
        guard last != nil else { return nil }
    }

    /// A unit with its power: `cm`, `m^2`, `m2`, `m³`.
    private static func factor(_ word: String, isDivisor: Bool) -> (UnitSymbols.Size, Int)? {
        let parts = word.split(separator: "^", maxSplits: 1)
        guard let first = parts.first else { return nil }
        var spelling = String(first)
        var exponent = parts.count > 1 ? Int(parts[1]) : 1
        if let digit = spelling.last, parts.count == 1, "23²³".contains(digit) {
            spelling.removeLast()
            exponent = digit == "2" || digit == "²" ? 2 : 3
        }
        guard let unit = unit(spelling, isDivisor: isDivisor), let exponent, (1...4).contains(exponent) else {
            return nil
        }
        return (unit, exponent)
    }

    /// `s` and `h` are seconds and hours below a line.
    private static func unit(_ spelling: String, isDivisor: Bool) -> UnitSymbols.Size? {
        if isDivisor, let short = ["s": "second", "h": "hour"][spelling.lowercased()] {
            return MathNames.units[short].map(base)
        }
        return MathNames.units[spelling].map(base) ?? UnitSymbols.size(spelling)
            ?? MathNames.units[spelling.lowercased()].map(base)
    }

    private mutating func add(_ unit: UnitSymbols.Size, _ times: Int) {
        for (kind, power) in unit.dimensions {
            dimensions[kind, default: 0] += power * times
            if dimensions[kind] == 0 { dimensions[kind] = nil }
        }
        for _ in 0..<abs(times) { factor = times > 0 ? factor * unit.factor : factor / unit.factor }
    }

    /// Speeds, areas, volumes, power and energy in terms of length, time and mass.
    private static func base(_ unit: MathNames.Unit) -> UnitSymbols.Size {
        let (parts, size): ([String: Int], Rational) =
            switch unit.kind {
            case "speed": (["length": 1, "time": -1], unit.factor)
            case "area": (["length": 2], unit.factor)
            case "volume": (["length": 3], unit.factor / 1000)
            case "power": (["mass": 1, "length": 2, "time": -3], unit.factor)
            // In kilowatt hours.
            case "energy": (["mass": 1, "length": 2, "time": -2], unit.factor * 3_600_000)
            default: ([unit.kind: 1], unit.factor)
            }
        return UnitSymbols.Size(dimensions: parts, factor: size)
    }
}
