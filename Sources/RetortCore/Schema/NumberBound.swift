/// A number that others are held against. Whole numbers are kept as they are written: beyond 2⁵³ a floating-point number
/// would round them.
struct NumberBound: Sendable, Hashable, Comparable {
    let value: Double
    /// The same as a whole number of 64 bits, if it is one.
    let whole: Int?

    init(_ value: Double) { (self.value, whole) = (value, Int(exactly: value)) }

    init(_ whole: Int) { (value, self.whole) = (Double(whole), whole) }

    /// The number that a value is; nil for values of other kinds.
    init?(_ json: JSONValue) {
        if case .integer(let whole) = json {
            self.init(whole)
        } else if let number = json.numeric {
            self.init(number)
        } else {
            return nil
        }
    }

    static func < (left: NumberBound, right: NumberBound) -> Bool {
        if let left = left.whole, let right = right.whole { return left < right }
        return left.value < right.value
    }

    /// As schemas write it.
    var json: JSONValue {
        if let whole, Int(exactly: value) != whole { return .integer(whole) }
        return .number(value)
    }

    var text: String { json.text }

    /// The whole number at the bound or the first one behind it, upwards.
    func firstWhole(_ isExcluded: Bool) -> WholeBound { bound(value.rounded(.up), isExcluded ? 1 : 0) }

    /// The whole number at the bound or the first one before it, downwards.
    func lastWhole(_ isExcluded: Bool) -> WholeBound { bound(value.rounded(.down), isExcluded ? -1 : 0) }

    private func bound(_ rounded: Double, _ step: Int) -> WholeBound {
        guard let whole else { return Int(exactly: rounded).map { .number($0) } ?? .tooWide }
        let (next, hasOverflow) = whole.addingReportingOverflow(step)
        return hasOverflow ? .nothing : .number(next)
    }

    /// What a bound is to whole numbers of 64 bits.
    enum WholeBound {
        case number(Int)
        /// None is within it.
        case nothing
        /// It does not fit 64 bits itself.
        case tooWide
    }
}

extension JSONSchema.NumberRange {
    var isEmpty: Bool {
        guard let low, let high else { return false }
        return low > high || (low == high && (excludesMinimum || excludesMaximum))
    }

    func contains(_ number: Double) -> Bool { contains(NumberBound(number)) }

    func contains(_ number: NumberBound) -> Bool {
        if let low, excludesMinimum ? number <= low : number < low { return false }
        if let high, excludesMaximum ? number >= high : number > high { return false }
        return true
    }

    func meeting(_ other: Self) -> Self {
        var range = self
        if let low = other.low, low >= self.low ?? low {
            range.excludesMinimum = other.excludesMinimum || (low == self.low && excludesMinimum)
            range.low = low
        }
        if let high = other.high, high <= self.high ?? high {
            range.excludesMaximum = other.excludesMaximum || (high == self.high && excludesMaximum)
            range.high = high
        }
        return range
    }

    /// The whole numbers of the range.
    /// - Throws: `JSONSchemaError` for a bound beyond 64 bits.
    func whole(at path: String) throws -> JSONSchema {
        func number(_ bound: NumberBound.WholeBound) throws -> Int? {
            switch bound {
            case .number(let number): return number
            case .nothing: return nil
            case .tooWide: throw JSONSchemaError.malformed(path, "a bound does not fit 64 bits")
            }
        }
        let (first, last) = (low?.firstWhole(excludesMinimum), high?.lastWhole(excludesMaximum))
        let (least, most) = (try first.flatMap(number), try last.flatMap(number))
        // A bound that is there and leaves no number leaves none at all.
        if (first != nil && least == nil) || (last != nil && most == nil) { return .never }
        return .integer(minimum: least, maximum: most)
    }
}
