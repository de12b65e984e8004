/// Text in which every character carries its origin: the template itself, or a span of a message.
///
/// A template trims, cuts and joins the texts it is given, and the marks move along. After rendering, it is therefore
/// known exactly which characters a student may learn to write, and which ones a user wrote and must not be read as
/// special tokens.
struct MarkedText: Hashable, Sendable {
    /// The characters.
    private(set) var scalars: [Unicode.Scalar]
    /// For each character, the number of its source; 0 is the template.
    private(set) var sources: [Int32]

    static let template: Int32 = 0

    init(_ text: String = "", source: Int32 = template) {
        scalars = Array(text.unicodeScalars)
        sources = Array(repeating: source, count: scalars.count)
    }

    private init(scalars: [Unicode.Scalar], sources: [Int32]) {
        self.scalars = scalars
        self.sources = sources
    }

    var count: Int { scalars.count }
    var isEmpty: Bool { scalars.isEmpty }
    var string: String { String(String.UnicodeScalarView(scalars)) }

    subscript(range: Range<Int>) -> MarkedText {
        MarkedText(scalars: Array(scalars[range]), sources: Array(sources[range]))
    }

    static func += (left: inout MarkedText, right: MarkedText) {
        left.scalars += right.scalars
        left.sources += right.sources
    }

    static func + (left: MarkedText, right: MarkedText) -> MarkedText {
        var sum = left
        sum += right
        return sum
    }

    /// Whether the characters are the same; their sources are ignored.
    static func == (left: MarkedText, right: MarkedText) -> Bool { left.scalars == right.scalars }
    func hash(into hasher: inout Hasher) { hasher.combine(scalars) }

    static func < (left: MarkedText, right: MarkedText) -> Bool {
        left.scalars.lexicographicallyPrecedes(right.scalars)
    }

    // MARK: What templates do to text

    /// The text without the given characters at its ends; without blanks if none are given.
    func stripped(_ characters: MarkedText? = nil, left: Bool = true, right: Bool = true) -> MarkedText {
        func falls(_ scalar: Unicode.Scalar) -> Bool {
            characters?.scalars.contains(scalar) ?? scalar.isBlankInPython
        }
        let start = left ? scalars.firstIndex { !falls($0) } ?? count : 0
        let end = right ? (scalars.lastIndex { !falls($0) } ?? start - 1) + 1 : count
        return self[start..<max(start, end)]
    }

    func repeated(_ times: Int) -> MarkedText {
        MarkedText(
            scalars: Array(repeatElement(scalars, count: times).joined()),
            sources: Array(repeatElement(sources, count: times).joined()))
    }

    /// The places where `part` occurs, from left to right, without overlaps.
    func ranges(of part: MarkedText) -> [Range<Int>] { part.isEmpty ? [] : scalars.ranges(of: part.scalars) }

    func contains(_ part: MarkedText) -> Bool { part.isEmpty || !ranges(of: part).isEmpty }
    func hasPrefix(_ part: MarkedText) -> Bool { scalars.starts(with: part.scalars) }
    func hasSuffix(_ part: MarkedText) -> Bool {
        count >= part.count && scalars[(count - part.count)...].elementsEqual(part.scalars)
    }

    /// The parts between separators.
    /// - Parameter limit: the most cuts; counted from the right when `fromRight`.
    func split(by separator: MarkedText, limit: Int? = nil, fromRight: Bool = false) -> [MarkedText] {
        let all = ranges(of: separator)
        let cuts = limit.map { fromRight ? Array(all.suffix(max(0, $0))) : Array(all.prefix(max(0, $0))) } ?? all
        return parts(between: cuts)
    }

    /// The parts between blanks, without empty ones.
    /// - Parameter limit: the most cuts, after which the rest stays whole; counted from the right when `fromRight`.
    func words(limit: Int? = nil, fromRight: Bool = false) -> [MarkedText] {
        let words = scalars.indices.split { scalars[$0].isBlankInPython }
            .map { ($0.first ?? 0)..<($0.last ?? -1) + 1 }
        guard let limit, words.count > limit + 1 else { return words.map { self[$0] } }
        if fromRight {
            let rest = self[0..<words[words.count - limit - 1].upperBound].stripped()
            return [rest] + words.suffix(limit).map { self[$0] }
        }
        return words.prefix(limit).map { self[$0] } + [self[words[limit].lowerBound..<count].stripped(right: false)]
    }

    /// The lines, by all of Python's line ends.
    func lines(keepingEnds keepsEnds: Bool = false) -> [MarkedText] {
        var lines: [MarkedText] = []
        var (start, index) = (0, 0)
        while index < count {
            guard scalars[index].endsLineInPython else {
                index += 1
                continue
            }
            let isPair = scalars[index] == "\r" && index + 1 < count && scalars[index + 1] == "\n"
            let next = index + (isPair ? 2 : 1)
            lines.append(self[start..<(keepsEnds ? next : index)])
            (start, index) = (next, next)
        }
        return start < count ? lines + [self[start..<count]] : lines
    }

    /// - Returns: nil when it would be longer than `bound`.
    func replacing(
        _ old: MarkedText, with new: MarkedText, limit: Int? = nil, within bound: Int
    ) -> MarkedText? {
        let limit = limit.flatMap { $0 < 0 ? nil : $0 }
        // Nothing is found before every character and at the end.
        let parts =
            old.isEmpty
            ? parts(between: (0...count).prefix(limit ?? .max).map { $0..<$0 }) : split(by: old, limit: limit)
        let (growth, overflows) = (parts.count - 1).multipliedReportingOverflow(by: new.count)
        guard !overflows, growth < bound, count + growth <= bound else { return nil }
        return parts.dropFirst().reduce(into: parts.first ?? self) {
            $0 += new
            $0 += $1
        }
    }

    private func parts(between cuts: [Range<Int>]) -> [MarkedText] {
        var start = 0
        var parts: [MarkedText] = []
        for cut in cuts {
            parts.append(self[start..<cut.lowerBound])
            start = cut.upperBound
        }
        return parts + [self[start..<count]]
    }

    /// The text with each character replaced; a replacement of several characters keeps the source.
    func mapping(_ change: (Int, Unicode.Scalar) -> String) -> MarkedText {
        var mapped = MarkedText()
        for index in scalars.indices {
            mapped += MarkedText(change(index, scalars[index]), source: sources[index])
        }
        return mapped
    }

    var uppercased: MarkedText { mapping { $1.properties.uppercaseMapping } }
    var lowercased: MarkedText { mapping { $1.properties.lowercaseMapping } }

    /// The text with its first letter in upper case, the others in lower case.
    var capitalized: MarkedText {
        mapping { $0 == 0 ? $1.properties.titlecaseMapping : $1.properties.lowercaseMapping }
    }

    /// The text with every letter behind something that is no letter in upper case, the others in lower case:
    /// Python's `str.title`.
    var titled: MarkedText {
        mapping { index, scalar in
            let isInside = index > 0 && scalars[index - 1].properties.isCased
            return isInside ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
        }
    }

    /// The text with every word's first character in upper case, the others in lower case: Jinja's filter `title`, for
    /// which words begin behind blanks, hyphens and opening brackets.
    var titledByBlanks: MarkedText {
        func begins(_ scalar: Unicode.Scalar) -> Bool {
            scalar.isBlankInPython || "-({[<".unicodeScalars.contains(scalar)
        }
        return mapping { index, scalar in
            let isInside = index > 0 && !begins(scalars[index - 1])
            return isInside ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
        }
    }

    /// The text with a character put behind it, or before it, until it has a length.
    func padded(to width: Int, _ fill: Unicode.Scalar, atStart: Bool = false) -> MarkedText {
        let filling = MarkedText(String(fill)).repeated(max(0, width - count))
        return atStart ? filling + self : self + filling
    }

    /// The text in the middle of a width; like Python, an odd blank is on the left if the width is odd.
    func centred(in width: Int, fill: Unicode.Scalar) -> MarkedText {
        let missing = max(0, width - count)
        let left = missing / 2 + (missing & width & 1)
        return padded(to: count + left, fill, atStart: true).padded(to: width, fill)
    }

    /// Whether all characters meet a condition, and there is at least one.
    func consists(of condition: (Unicode.Scalar) -> Bool) -> Bool { !isEmpty && scalars.allSatisfy(condition) }

    var isUpper: Bool {
        scalars.contains { $0.properties.isUppercase } && !scalars.contains { $0.properties.isLowercase }
    }

    var isLower: Bool {
        scalars.contains { $0.properties.isLowercase } && !scalars.contains { $0.properties.isUppercase }
    }
}

extension Unicode.Scalar {
    /// Python's `str.isspace`, which also counts four control characters.
    var isBlankInPython: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }

    /// Whether `str.splitlines` cuts behind it.
    var endsLineInPython: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// Python's `str.isalpha`.
    var isLetterInPython: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// `\w` of Python's regular expressions.
    var isWordInPython: Bool { self == "_" || isLetterInPython || properties.numericType != nil }
}
