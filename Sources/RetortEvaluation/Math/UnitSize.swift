/// What a unit measures and how large it is, also for units made of others: `km/h`, `cm^2`, `square meters`, `miles per hour`.
struct UnitSize: Hashable {
    /// The power of each base kind, such as 1 for length and -1 for time.
    private(set) var dimensions: [String: Int] = [:]
    private(set) var factor = Rational(1)

    /// - Returns: nil where a part is no known unit.
    init?(_ name: String) {
        if let unit = MathNames.units[name] {
            add(unit, 1)
            return
        }
        let words = name.replacing("^{", with: "^").replacing("}", with: "").replacing("/", with: " / ")
            .split { $0.isWhitespace || $0 == "·" || $0 == "*" || $0 == "." }.map(String.init)
        guard words.count <= 8 else { return nil }
        var sign = 1
        var power = 1
        var last: MathNames.Unit?
        for word in words {
            switch word.lowercased() {
            case "/", "per": sign = -1
            case "square": power = 2
            case "cubic": power = 3
            case "squared", "cubed":
                guard let last else { return nil }
                for _ in 1..<(word.lowercased() == "squared" ? 2 : 3) { add(last, sign) }
            default:
                let parts = word.split(separator: "^", maxSplits: 1)
                guard let first = parts.first else { return nil }
                var spelling = String(first)
                var exponent = parts.count > 1 ? Int(parts[1]) : 1
                if let digit = spelling.last, parts.count == 1, "23²³".contains(digit) {
                    spelling.removeLast()
                    exponent = digit == "2" || digit == "²" ? 2 : 3
                }
                guard let unit = Self.unit(spelling, isDivisor: sign < 0), let exponent, (1...4).contains(exponent)
                else { return nil }
                for _ in 0..<(exponent * power) { add(unit, sign) }
                (last, power) = (unit, 1)
            }
        }
        guard last != nil else { return nil }
    }

    /// `s` and `h` are seconds and hours below a line.
    private static func unit(_ spelling: String, isDivisor: Bool) -> MathNames.Unit? {
        if isDivisor, let short = ["s": "second", "h": "hour"][spelling.lowercased()] { return MathNames.units[short] }
        return MathNames.units[spelling] ?? MathNames.units[spelling.lowercased()]
    }

    private mutating func add(_ unit: MathNames.Unit, _ sign: Int) {
        let (parts, size) = Self.base(unit)
        for (kind, power) in parts {
            dimensions[kind, default: 0] += power * sign
            if dimensions[kind] == 0 { dimensions[kind] = nil }
        }
        factor = sign > 0 ? factor * size : factor / size
    }

    /// Speeds, areas and volumes in terms of length and time.
    private static func base(_ unit: MathNames.Unit) -> (parts: [String: Int], size: Rational) {
        switch unit.kind {
        case "speed": (["length": 1, "time": -1], unit.factor)
        case "area": (["length": 2], unit.factor)
        case "volume": (["length": 3], unit.factor / 1000)
        default: ([unit.kind: 1], unit.factor)
        }
    }
}
