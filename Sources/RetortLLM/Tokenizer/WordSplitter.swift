import Foundation

/// Splits text into the words within which BPE merges.
///
/// The patterns of GPT-2 and of Qwen2 and Llama 3 are scanned by hand, many times faster than by a regular expression
/// engine; all other patterns go through ICU.
struct WordSplitter: Sendable {
    static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    private enum Kind: Sendable {
        /// GPT-2's own pattern.
        case gpt2
        /// Qwen2's pattern, with numbers in groups of up to `digits`.
        case grouped(digits: Int)
        case expression(NSRegularExpression)
        /// A fixed text.
        case text([UInt8])
    }

    private let kind: Kind

    init(_ pattern: String, file: String) throws {
        if pattern == Self.gpt2 {
            kind = .gpt2
        } else if let digits = (1...9).first(where: { Self.grouped(digits: $0).contains(pattern) }) {
            kind = .grouped(digits: digits)
        } else {
            kind = .expression(try OnigurumaPattern.expression(pattern, file: file))
        }
    }

    private init(kind: Kind) { self.kind = kind }

    init(_ pattern: TextNormalizer.Pattern, file: String) throws {
        switch pattern {
        case .text(let text): self.init(kind: .text(text))
        case .expression(_, let pattern): try self.init(pattern, file: file)
        }
    }

    /// The spellings of the Qwen2 / Llama 3 pattern for a group size.
    private static func grouped(digits: Int) -> [String] {
        let numbers = digits == 1 ? [#"\p{N}"#, #"\p{N}{1,1}"#] : [#"\p{N}{1,\#(digits)}"#]
        return numbers.map {
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + $0
                + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        }
    }

    /// For a pattern like Qwen2's or Llama 3's, the most digits that form one word.
    var digitGroup: Int? { if case .grouped(let digits) = kind { digits } else { nil } }

    /// Calls `body` with each word, in order; together they are the text.
    func forEachWord(of text: String, _ body: (String) -> Void) {
        parts(of: text) { word, _ in body(word) }
    }

    /// The parts of a text, each with whether the pattern matches it (or, if inverted, whether it does not).
    func parts(of text: String, inverted: Bool) -> [(text: String, isMatch: Bool)] {
        var parts: [(text: String, isMatch: Bool)] = []
        self.parts(of: text) { parts.append(($0, $1 != inverted)) }
        return parts
    }

    private func parts(of text: String, _ body: (String, _ isMatch: Bool) -> Void) {
        switch kind {
        // These two patterns match every character.
        case .gpt2: scan(text, contractions: .exactCase, digits: nil) { body($0, true) }
        case .grouped(let digits): scan(text, contractions: .anyCase, digits: digits) { body($0, true) }
        case .expression(let expression): split(text, by: expression, body)
        case .text(let pattern): split(text, by: pattern, body)
        }
    }

    private func split(_ text: String, by expression: NSRegularExpression, _ body: (String, Bool) -> Void) {
        let whole = text as NSString
        var end = 0
        func part(_ start: Int, _ next: Int, isMatch: Bool) {
            if next > start { body(whole.substring(with: NSRange(location: start, length: next - start)), isMatch) }
        }
        for match in expression.matches(in: text, range: NSRange(location: 0, length: whole.length)) {
            part(end, match.range.location, isMatch: false)
            end = match.range.location + match.range.length
            part(match.range.location, end, isMatch: true)
        }
        part(end, whole.length, isMatch: false)
    }

    private func split(_ text: String, by pattern: [UInt8], _ body: (String, Bool) -> Void) {
        let bytes = Array(text.utf8)
        var end = 0
        for range in bytes.ranges(of: pattern) {
            if range.lowerBound > end { body(String(decoding: bytes[end..<range.lowerBound], as: UTF8.self), false) }
            body(String(decoding: pattern, as: UTF8.self), true)
            end = range.upperBound
        }
        if end < bytes.count { body(String(decoding: bytes[end...], as: UTF8.self), false) }
    }

    private enum Contractions { case exactCase, anyCase }

    private func scan(_ text: String, contractions: Contractions, digits: Int?, _ body: (String) -> Void) {
        let scalars = Array(text.unicodeScalars)
        let classes = scalars.map(ScalarClass.init)
        var start = 0
        while start < scalars.count {
            let scanner = WordScanner(scalars: scalars, classes: classes, start: start)
            let end =
                scanner.contraction(ignoringCase: contractions == .anyCase)
                ?? (digits.map { scanner.groupedWord(digits: $0) } ?? scanner.gpt2Word()) ?? scanner.whitespace()
            var word = String.UnicodeScalarView()
            word.append(contentsOf: scalars[start..<end])
            body(String(word))
            start = end
        }
    }
}

/// The character classes that the patterns distinguish.
private enum ScalarClass: Equatable {
    case letter, number, newline, space, other

    init(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x61...0x7A, 0x41...0x5A: self = .letter
        case 0x30...0x39: self = .number
        case 0x0A, 0x0D: self = .newline
        case 0x20: self = .space
        case 0..<0x80:
            self = scalar.properties.isWhitespace ? .space : .other
        default:
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
            case .decimalNumber, .letterNumber, .otherNumber: self = .number
            default: self = scalar.properties.isWhitespace ? .space : .other
            }
        }
    }

    var isBlank: Bool { self == .space || self == .newline }
}

/// Finds the end of the word that starts at `start`, alternative by alternative.
private struct WordScanner {
    let scalars: [Unicode.Scalar]
    let classes: [ScalarClass]
    let start: Int

    private func at(_ index: Int) -> ScalarClass? { index < classes.count ? classes[index] : nil }

    private func run(from index: Int, while condition: (ScalarClass) -> Bool) -> Int {
        var end = index
        while end < classes.count, condition(classes[end]) { end += 1 }
        return end
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`
    func contraction(ignoringCase: Bool) -> Int? {
        guard scalars[start] == "'" else { return nil }
        func letter(_ offset: Int) -> Unicode.Scalar? {
            guard start + offset < scalars.count else { return nil }
            let scalar = scalars[start + offset]
            // The one non-ASCII letter that equals s when case is ignored.
            if ignoringCase, scalar.value == 0x17F { return "s" }
            return ignoringCase && (0x41...0x5A).contains(scalar.value)
                ? Unicode.Scalar(scalar.value + 0x20) : scalar
        }
        switch (letter(1), letter(2)) {
        case ("s", _), ("t", _), ("m", _), ("d", _): return start + 2
        case ("r", "e"), ("v", "e"), ("l", "l"): return start + 3
        default: return nil
        }
    }

    /// `[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+`
    func groupedWord(digits: Int) -> Int? {
        if classes[start] == .letter { return run(from: start) { $0 == .letter } }
        if classes[start] == .space || classes[start] == .other, at(start + 1) == .letter {
            return run(from: start + 1) { $0 == .letter }
        }
        if classes[start] == .number {
            return min(run(from: start) { $0 == .number }, start + digits)
        }
        let symbols = scalars[start] == " " && at(start + 1) == .other ? start + 1 : start
        if at(symbols) == .other { return run(from: run(from: symbols) { $0 == .other }) { $0 == .newline } }
        let blanks = run(from: start) { $0.isBlank }
        return classes[start..<blanks].lastIndex(of: .newline).map { $0 + 1 }
    }

    /// ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
    func gpt2Word() -> Int? {
        let first = scalars[start] == " " && start + 1 < scalars.count ? start + 1 : start
        let kind = classes[first]
        guard !kind.isBlank else { return nil }
        return run(from: first) { $0 == kind }
    }

    /// `\s+(?!\S)|\s+`: all blanks, except that the last one belongs to a following word.
    func whitespace() -> Int {
        let end = run(from: start) { $0.isBlank }
        return end < scalars.count && end - start > 1 ? end - 1 : max(end, start + 1)
    }
}
