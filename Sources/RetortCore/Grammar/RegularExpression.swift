/// The regular part of ECMA-262's expressions, with Unicode: literals, classes, groups, alternatives, repetitions and the
/// anchors `^` and `$`. What needs memory or looks around is refused by its name.
indirect enum RegularExpression: Sendable {
    case empty
    case start
    case end
    case set(ScalarSet)
    case sequence([RegularExpression])
    case choice([RegularExpression])
    case repeated(RegularExpression, minimum: Int, maximum: Int?)

    /// Why an expression cannot be used.
    struct Failure: Error { let reason: String }

    init(_ pattern: String) throws(Failure) {
        var parser = RegularExpressionParser(pattern)
        self = try parser.whole()
    }
}

private struct RegularExpressionParser {
    typealias Failure = RegularExpression.Failure

    private let scalars: [UInt32]
    private var position = 0
    private var depth = 0

    private static let deepest = 64
    private static let mostRepetitions = 4096
    static let digits = ScalarSet([0x30...0x39])
    static let word = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let blanks = ScalarSet([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ])
    static let lineEnds = ScalarSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029])

    init(_ pattern: String) { scalars = pattern.unicodeScalars.map(\.value) }

    private var next: Character? {
        position < scalars.count ? Unicode.Scalar(scalars[position]).map(Character.init) : nil
    }

    private mutating func take(_ text: String) -> Bool {
        let wanted = text.unicodeScalars.map(\.value)
        guard scalars[position...].starts(with: wanted) else { return false }
        position += wanted.count
        return true
    }

    mutating func whole() throws(Failure) -> RegularExpression {
        let expression = try alternatives()
        guard position == scalars.count else { throw Failure(reason: "a ')' closes nothing") }
        return expression
    }

    private mutating func alternatives() throws(Failure) -> RegularExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw Failure(reason: "its groups are nested too deeply") }
        var choices = [try sequence()]
        while take("|") { choices.append(try sequence()) }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private mutating func sequence() throws(Failure) -> RegularExpression {
        var parts: [RegularExpression] = []
        while let next, next != "|", next != ")" {
            let atom = try atom()
            parts.append(try repetition(of: atom))
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func repetition(of atom: RegularExpression) throws(Failure) -> RegularExpression {
        var bounds: (Int, Int?)?
        if take("*") {
            bounds = (0, nil)
        } else if take("+") {
            bounds = (1, nil)
        } else if take("?") {
            bounds = (0, 1)
        } else if next == "{" {
            bounds = counts()
        }
        guard let (least, most) = bounds else { return atom }
        // A lazy repetition reads the same texts.
        _ = take("?")
        if let next, "*+?".contains(next) { throw Failure(reason: "'\(next)' repeats nothing") }
        guard least <= Self.mostRepetitions, most ?? 0 <= Self.mostRepetitions else {
            throw Failure(reason: "it repeats more than \(Self.mostRepetitions) times")
        }
        if let most, most < least { throw Failure(reason: "the numbers in {\(least),\(most)} are out of order") }
        return .repeated(atom, minimum: least, maximum: most)
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else is a brace that stands for itself.
    private mutating func counts() -> (Int, Int?)? {
        let start = position
        position += 1
        func fail(_ parser: inout Self) -> (Int, Int?)? {
            parser.position = start
            return nil
        }
        guard let least = number() else { return fail(&self) }
        if take("}") { return (least, least) }
        guard take(",") else { return fail(&self) }
        if take("}") { return (least, nil) }
        guard let most = number(), take("}") else { return fail(&self) }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while position < scalars.count, Self.digits.contains(scalars[position]) {
            value = min((value ?? 0) * 10 + Int(scalars[position] - 0x30), 1 << 30)
            position += 1
        }
        return value
    }

    private mutating func atom() throws(Failure) -> RegularExpression {
        if take("(") { return try group() }
        if take("[") { return .set(try characterClass()) }
        if take(".") { return .set(Self.lineEnds.inverted) }
        if take("^") { return .start }
        if take("$") { return .end }
        if take("\\") { return .set(try escape(inClass: false)) }
        if let next, "*+?".contains(next) { throw Failure(reason: "'\(next)' repeats nothing") }
        if next == "{", counts() != nil { throw Failure(reason: "a repetition in braces repeats nothing") }
        defer { position += 1 }
        return .set(ScalarSet(scalars[position]))
    }

    private mutating func group() throws(Failure) -> RegularExpression {
        if take("?") {
            for (mark, name) in [("=", "lookahead"), ("!", "lookahead"), ("<=", "lookbehind"), ("<!", "lookbehind")]
            where take(mark) {
                throw Failure(reason: "\(name) is not regular")
            }
            if take("<") || take("P<") {
                while let next, next != ">" { position += 1 }
                guard take(">") else { throw Failure(reason: "a group's name does not end") }
            } else if !take(":") {
                throw Failure(reason: "flags and other kinds of groups are not supported")
            }
        }
        let inner = try alternatives()
        guard take(")") else { throw Failure(reason: "a '(' is not closed") }
        return inner
    }

    private mutating func characterClass() throws(Failure) -> ScalarSet {
        let isInverted = take("^")
        var set = ScalarSet()
        while !take("]") {
            guard position < scalars.count else { throw Failure(reason: "a '[' is not closed") }
            let first = try member()
            guard first.ranges.count == 1, let low = first.ranges.first, low.count == 1, next == "-",
                position + 1 < scalars.count, scalars[position + 1] != 0x5D
            else {
                set = set.union(first)
                continue
            }
            position += 1
            let last = try member()
            guard last.ranges.count == 1, let high = last.ranges.first, high.count == 1 else {
                // `a-\d` is the three of them.
                set = set.union(first).union(ScalarSet(0x2D)).union(last)
                continue
            }
            guard low.lowerBound <= high.lowerBound else { throw Failure(reason: "a range in '[]' is out of order") }
            set = set.union(ScalarSet([low.lowerBound...high.lowerBound]))
        }
        return isInverted ? set.inverted : set
    }

    private mutating func member() throws(Failure) -> ScalarSet {
        if take("\\") { return try escape(inClass: true) }
        guard position < scalars.count else { throw Failure(reason: "a '[' is not closed") }
        defer { position += 1 }
        return ScalarSet(scalars[position])
    }

    /// What stands behind a backslash.
    private mutating func escape(inClass: Bool) throws(Failure) -> ScalarSet {
        guard let letter = next else { throw Failure(reason: "it ends with a backslash") }
        position += 1
        switch letter {
        case "d": return Self.digits
        case "D": return Self.digits.inverted
        case "w": return Self.word
        case "W": return Self.word.inverted
        case "s": return Self.blanks
        case "S": return Self.blanks.inverted
        case "t": return ScalarSet(0x09)
        case "n": return ScalarSet(0x0A)
        case "v": return ScalarSet(0x0B)
        case "f": return ScalarSet(0x0C)
        case "r": return ScalarSet(0x0D)
        case "b" where inClass: return ScalarSet(0x08)
        case "x": return ScalarSet(try hexadecimal(2))
        case "u": return ScalarSet(try unicode())
        case "c":
            guard let control = next, control.isASCII, control.isLetter else {
                throw Failure(reason: "'\\c' needs a letter")
            }
            position += 1
            return ScalarSet(scalars[position - 1] % 32)
        case "0" where next.map { !$0.isNumber } ?? true: return ScalarSet(0)
        case "b", "B": throw Failure(reason: "word boundaries ('\\\(letter)') are not supported")
        case "p", "P": throw Failure(reason: "Unicode properties ('\\\(letter)') are not supported; name the ranges")
        case "0"..."9", "k": throw Failure(reason: "back references ('\\\(letter)') are not regular")
        case _ where letter.isLetter: throw Failure(reason: "there is no '\\\(letter)'")
        default: return ScalarSet(scalars[position - 1])
        }
    }

    private mutating func hexadecimal(_ count: Int) throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let digit = next?.hexDigitValue else {
                throw Failure(reason: "an escape needs \(count) hexadecimal digits")
            }
            value = value * 16 + UInt32(digit)
            position += 1
        }
        return value
    }

    private mutating func unicode() throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        if take("{") {
            var count = 0
            while let digit = next?.hexDigitValue, count < 6 {
                value = value * 16 + UInt32(digit)
                position += 1
                count += 1
            }
            guard take("}"), count > 0 else { throw Failure(reason: "'\\u{' needs hexadecimal digits and '}'") }
        } else {
            value = try hexadecimal(4)
            if (0xD800...0xDBFF).contains(value), take("\\u") {
                let low = try hexadecimal(4)
                guard (0xDC00...0xDFFF).contains(low) else { throw Failure(reason: "half of a surrogate pair") }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
        }
        guard Unicode.Scalar(value) != nil else { throw Failure(reason: "'\\u' names no character") }
        return value
    }
}
