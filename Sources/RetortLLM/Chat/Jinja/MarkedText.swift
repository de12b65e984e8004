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
            characters?.scalars.contains(scalar) ?? scalar.properties.isWhitespace
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
    func words() -> [MarkedText] {
        scalars.indices.split { scalars[$0].properties.isWhitespace }
            .map { self[($0.first ?? 0)..<($0.last ?? -1) + 1] }
    }

    func lines() -> [MarkedText] {
        let breaks = scalars.indices.filter { scalars[$0] == "\n" }.map { $0..<$0 + 1 }
        let lines = parts(between: breaks)
        return lines.last?.isEmpty == true ? lines.dropLast() : lines
    }

    /// - Returns: nil when it would be longer than `bound`.
    func replacing(
        _ old: MarkedText, with new: MarkedText, limit: Int? = nil, within bound: Int
    ) -> MarkedText? {
        let parts = split(by: old, limit: limit)
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
        mapping { $0 == 0 ? $1.properties.uppercaseMapping : $1.properties.lowercaseMapping }
    }

    /// The text with every word's first letter in upper case, the others in lower case.
    var titled: MarkedText {
        mapping { index, scalar in
            let isInside = index > 0 && scalars[index - 1].properties.isAlphabetic
            return isInside ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
        }
    }
}
