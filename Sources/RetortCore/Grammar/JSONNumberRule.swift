/// JSON numbers within bounds, without an exponent: what was read can always be brought within the bounds.
struct JSONNumberRule: Hashable, Sendable {
    private let range: JSONSchema.NumberRange
    private let low: Int?
    private let high: Int?
    private let isWhole: Bool
    /// Digits in all, and those behind the point.
    private let mostDigits: Int
    private let mostDecimals: Int

    /// A whole number.
    init(minimum: Int?, maximum: Int?) {
        range = .init()
        (low, high) = (minimum, maximum)
        isWhole = true
        mostDecimals = 0
        mostDigits = max(15, [low, high].compactMap { $0 }.map { String($0.magnitude).count }.max() ?? 0)
    }

    init(_ range: JSONSchema.NumberRange, decimals: Int = 6) {
        self.range = range
        (low, high) = (nil, nil)
        isWhole = false
        // So many are exact as floating-point numbers.
        mostDigits = 15
        mostDecimals = decimals
    }

    /// What was read.
    struct State: Hashable, Sendable {
        fileprivate var isNegative = false
        /// All digits as one number. Where every continuation is within the bounds, only whether it is zero is kept.
        fileprivate var digits: Int128 = 0
        fileprivate var isFree = false
        fileprivate var wholeDigits = 0
        /// Digits behind the point; nil before it.
        fileprivate var decimals: Int?

        init() {}
    }

    /// Whether any number can be written.
    var isPossible: Bool { reaches(State()) || reaches(State(negative: true)) }

    /// Whether the number may end here.
    func isComplete(_ state: State) -> Bool {
        guard state.wholeDigits > 0, state.decimals != 0, !(state.isNegative && state.digits == 0) else { return false }
        return state.isFree || holds(state.digits, scale: state.decimals ?? 0, state.isNegative)
    }

    func reading(_ byte: UInt8, in state: State) -> State? {
        var next = state
        switch byte {
        case UInt8(ascii: "-"):
            guard state == State() else { return nil }
            next.isNegative = true
        case UInt8(ascii: "."):
            guard !isWhole, state.wholeDigits > 0, state.decimals == nil, state.wholeDigits < mostDigits else {
                return nil
            }
            next.decimals = 0
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard state.wholeDigits + (state.decimals ?? 0) < mostDigits else { return nil }
            if let decimals = state.decimals {
                guard decimals < mostDecimals else { return nil }
                next.decimals = decimals + 1
            } else {
                // No leading zeros.
                guard state.wholeDigits == 0 || state.digits > 0 else { return nil }
                next.wholeDigits += 1
            }
            let digit = Int128(byte - UInt8(ascii: "0"))
            next.digits = state.isFree ? (state.digits > 0 || digit > 0 ? 1 : 0) : state.digits * 10 + digit
        default: return nil
        }
        if next.isFree { return isEndless(next) ? nil : next }
        guard reaches(next) else { return nil }
        if next.wholeDigits > 0, isFree(next) {
            next.isFree = true
            next.digits = min(next.digits, 1)
        }
        return next
    }

    /// Whether only zeros could follow a sign: `-0` is no number that is written.
    private func isEndless(_ state: State) -> Bool {
        guard state.isNegative, state.digits == 0, state.wholeDigits > 0 else { return false }
        if isWhole { return true }
        return state.decimals.map { $0 == min(mostDecimals, mostDigits - state.wholeDigits) } ?? false
    }

    private static func power(_ exponent: Int) -> Int128 { (0..<exponent).reduce(Int128(1)) { power, _ in power * 10 } }

    /// Whether a number is within the bounds.
    private func holds(_ digits: Int128, scale: Int, _ isNegative: Bool) -> Bool {
        if isNegative, digits == 0 { return false }
        return above(digits, scale, isNegative) && below(digits, scale, isNegative)
    }

    private func value(_ digits: Int128, _ scale: Int, _ isNegative: Bool) -> Double {
        let magnitude = Double(digits) / Double(Self.power(scale))
        return isNegative ? -magnitude : magnitude
    }

    private func above(_ digits: Int128, _ scale: Int, _ isNegative: Bool) -> Bool {
        if isWhole { return low.map { Int128($0) <= (isNegative ? -digits : digits) } ?? true }
        return JSONSchema.NumberRange(minimum: range.minimum, excludesMinimum: range.excludesMinimum)
            .contains(value(digits, scale, isNegative))
    }

    private func below(_ digits: Int128, _ scale: Int, _ isNegative: Bool) -> Bool {
        if isWhole { return high.map { Int128($0) >= (isNegative ? -digits : digits) } ?? true }
        return JSONSchema.NumberRange(maximum: range.maximum, excludesMaximum: range.excludesMaximum)
            .contains(value(digits, scale, isNegative))
    }

    /// Whether some continuation lies within the bounds.
    private func reaches(_ state: State) -> Bool {
        if let decimals = state.decimals {
            let more = min(mostDecimals, mostDigits - state.wholeDigits) - decimals
            return more > 0 || decimals > 0 ? reaches(state, more, scale: decimals + more) : false
        }
        let most =
            state.wholeDigits == 0
            ? mostDigits : state.digits == 0 ? 0 : mostDigits - state.wholeDigits
        let least = state.wholeDigits == 0 ? 1 : 0
        return (least...max(least, most)).contains { more in
            let decimals = max(0, min(mostDecimals, mostDigits - state.wholeDigits - more))
            return reaches(state, more + decimals, scale: decimals)
        }
    }

    /// Whether some number of `more` digits more lies within the bounds. Numbers grow with their digits, so the first that is
    /// not below (not above, where negative) is looked for.
    private func reaches(_ state: State, _ more: Int, scale: Int) -> Bool {
        let factor = Self.power(more)
        var low = max(state.digits * factor, state.isNegative ? 1 : 0)
        let last = state.digits * factor + factor - 1
        guard low <= last else { return false }
        var high = last
        let isNegative = state.isNegative
        func isFar(_ digits: Int128) -> Bool {
            isNegative ? below(digits, scale, true) : above(digits, scale, false)
        }
        guard isFar(high) else { return false }
        while low < high {
            let middle = (low + high) / 2
            if isFar(middle) { high = middle } else { low = middle + 1 }
        }
        return holds(low, scale: scale, isNegative)
    }

    /// Whether all continuations lie within the bounds.
    private func isFree(_ state: State) -> Bool {
        let more = state.decimals == nil && state.digits > 0 ? mostDigits - state.wholeDigits : 0
        let scale = state.decimals ?? 0
        let least = state.digits
        // Above all that may follow, decimals included.
        let most = (state.digits + 1) * Self.power(more)
        func isWithin(_ digits: Int128, _ scale: Int) -> Bool {
            above(digits, scale, state.isNegative) && below(digits, scale, state.isNegative)
        }
        return isWithin(least, scale) && isWithin(most, scale)
    }
}

extension JSONNumberRule.State {
    fileprivate init(negative: Bool) {
        self.init()
        isNegative = negative
    }
}
