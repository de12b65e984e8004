import Foundation
import RetortCore

/// Splits a text into the words that the model turns into tokens: the `pre_tokenizer` of `tokenizer.json`, step by
/// step.
struct PreTokenizer: Sendable {
    fileprivate enum Step: Sendable {
        case split(WordSplitter, Behaviour, inverted: Bool)
        /// The model maps bytes to characters; here only words are split.
        case byteLevel(prefixSpace: Bool, WordSplitter?)
        case metaspace(Metaspace)
        /// Every character of a class separately.
        case isolated(CharacterClass, Behaviour)
        /// Words and runs of symbols; blanks are dropped.
        case words
        /// Text between blanks.
        case blankSeparated
    }

    fileprivate enum CharacterClass: Sendable {
        case punctuation, digit

        func contains(_ scalar: Unicode.Scalar) -> Bool {
            switch self {
            case .punctuation: PreTokenizer.isPunctuation(scalar)
            case .digit: scalar.isNumber
            }
        }
    }

    /// What happens to text that a pattern matches.
    enum Behaviour: String, Sendable {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    private let steps: [Step]
    /// Whether words are written in GPT-2's byte characters.
    let isByteLevel: Bool

    /// - Throws: `TokenizerError.unsupported` that names the unknown part.
    init(_ tree: JSONTree?, file: String) throws {
        var steps: [Step] = []
        var isByteLevel = false
        let parts = tree?["pretokenizers"]?.array ?? [tree].compactMap(\.self).filter { !$0.isNull }
        for part in parts {
            let type = part["type"]?.string ?? "?"
            isByteLevel = isByteLevel || type == "ByteLevel"
            steps += try Self.steps(of: part, type: type, file: file)
        }
        self.steps = steps
        self.isByteLevel = isByteLevel
    }

    private static func steps(of part: JSONTree, type: String, file: String) throws -> [Step] {
        switch type {
        case "ByteLevel":
            let splitter = part["use_regex"]?.bool ?? true ? try WordSplitter(WordSplitter.gpt2, file: file) : nil
            return [.byteLevel(prefixSpace: part["add_prefix_space"]?.bool ?? true, splitter)]
        case "Split":
            let behaviour = try behaviour(part, file: file)
            let pattern = try WordSplitter(TextNormalizer.Pattern(part["pattern"], file: file), file: file)
            return [.split(pattern, behaviour, inverted: part["invert"]?.bool ?? false)]
        case "Metaspace": return [.metaspace(try Metaspace(part, file: file))]
        case "BertPreTokenizer": return [.blankSeparated, .isolated(.punctuation, .isolated)]
        case "Whitespace": return [.words]
        case "WhitespaceSplit": return [.blankSeparated]
        case "Punctuation": return [.isolated(.punctuation, try behaviour(part, file: file))]
        case "Digits":
            return [.isolated(.digit, part["individual_digits"]?.bool ?? false ? .isolated : .contiguous)]
        case "Sequence":
            return try (part["pretokenizers"]?.array ?? []).flatMap {
                try steps(of: $0, type: $0["type"]?.string ?? "?", file: file)
            }
        default: throw TokenizerError.unsupported(file: file, "the pre-tokenizer \(type)")
        }
    }

    private static func behaviour(_ part: JSONTree, file: String) throws -> Behaviour {
        let name = part["behavior"]?.string ?? Behaviour.isolated.rawValue
        guard let behaviour = Behaviour(rawValue: name) else {
            throw TokenizerError.unsupported(file: file, "the Split behaviour \(name)")
        }
        return behaviour
    }

    /// Calls `body` with each word, in order.
    /// - Parameter start: what precedes the text.
    func forEachWord(of text: String, after start: Tokenizer.Start, _ body: (String) -> Void) {
        apply(0, to: text, after: start, body)
    }

    private func apply(_ step: Int, to text: String, after start: Tokenizer.Start, _ body: (String) -> Void) {
        guard !text.isEmpty else { return }
        guard step < steps.count else { return body(text) }
        var start = start
        steps[step].forEachPart(of: text, after: start) { part in
            apply(step + 1, to: part, after: start, body)
            start = .token(takesBlanks: false)
        }
    }

    /// ASCII's symbols, and everything that Unicode classifies as punctuation.
    static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return (33...47).contains(scalar.value) || (58...64).contains(scalar.value)
                || (91...96).contains(scalar.value) || (123...126).contains(scalar.value)
        }
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return true
        default: return false
        }
    }
}

extension PreTokenizer.Step {
    fileprivate func forEachPart(of text: String, after start: Tokenizer.Start, _ body: (String) -> Void) {
        switch self {
        case .split(let splitter, .isolated, false): splitter.forEachWord(of: text, body)
        case .split(let splitter, let behaviour, let inverted):
            behaviour.join(splitter.parts(of: text, inverted: inverted), body)
        case .byteLevel(let prefixSpace, let splitter):
            let spaced = prefixSpace && text.utf8.first != UInt8(ascii: " ") ? " " + text : text
            if let splitter { splitter.forEachWord(of: spaced, body) } else { body(spaced) }
        case .metaspace(let metaspace): metaspace.forEachPart(of: text, after: start, body)
        case .isolated(let characters, let behaviour):
            behaviour.join(
                text.unicodeScalars.map { (String($0), isMatch: characters.contains($0)) }.joiningGaps(), body)
        case .words: Self.words(of: text, body)
        case .blankSeparated:
            text.unicodeScalars.split { $0.properties.isWhitespace }.forEach { body(String($0)) }
        }
    }

    /// `\w+|[^\w\s]+`
    private static func words(of text: String, _ body: (String) -> Void) {
        func kind(_ scalar: Unicode.Scalar) -> Int {
            if scalar.properties.isWhitespace { return 0 }
            return scalar.isPartOfWord ? 1 : 2
        }
        var rest = text.unicodeScalars[...]
        while let first = rest.first {
            let kindOfFirst = kind(first)
            let word = rest.prefix { kind($0) == kindOfFirst }
            if kindOfFirst != 0 { body(String(word)) }
            rest = rest[word.endIndex...]
        }
    }
}

extension PreTokenizer.Behaviour {
    /// Joins the parts of a text as the behaviour demands.
    fileprivate func join(_ parts: [(text: String, isMatch: Bool)], _ body: (String) -> Void) {
        var held = ""
        var holdsMatch = false
        func flush() {
            if !held.isEmpty { body(held) }
            held = ""
        }
        for part in parts {
            switch self {
            case .removed: if !part.isMatch { body(part.text) }
            case .isolated: body(part.text)
            case .contiguous:
                if part.isMatch != holdsMatch { flush() }
                held += part.text
            case .mergedWithPrevious:
                // A match joins the gap before it, but not another match.
                if !part.isMatch || holdsMatch { flush() }
                held += part.text
            case .mergedWithNext:
                if part.isMatch || !holdsMatch { flush() }
                held += part.text
            }
            holdsMatch = part.isMatch
        }
        flush()
    }
}

extension [(String, isMatch: Bool)] {
    /// Joins adjacent parts that do not match.
    fileprivate func joiningGaps() -> [(text: String, isMatch: Bool)] {
        var joined: [(text: String, isMatch: Bool)] = []
        for (text, isMatch) in self {
            if !isMatch, let last = joined.last, !last.isMatch {
                joined[joined.count - 1].text += text
            } else {
                joined.append((text, isMatch))
            }
        }
        return joined
    }
}

extension Unicode.Scalar {
    /// `\p{N}`, which does not include Chinese numerals, for example.
    var isNumber: Bool {
        switch properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }

    /// `\w` (Unicode's annex on regular expressions, UTS 18, appendix C).
    var isPartOfWord: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .decimalNumber, .nonspacingMark, .spacingMark, .enclosingMark, .connectorPunctuation: return true
        default: return false
        }
    }
}

/// SentencePiece's treatment of blanks: each becomes a visible character, and a word begins with one.
private struct Metaspace: Sendable {
    private enum Prefix: String { case always, first, never }

    private let replacement: String
    private let prefix: Prefix
    private let splits: Bool

    init(_ tree: JSONTree, file: String) throws {
        replacement = tree["replacement"]?.string ?? "▁"
        let isOldPrefix = tree["add_prefix_space"]?.bool ?? true
        let name = tree["prepend_scheme"]?.string ?? (isOldPrefix ? "always" : "never")
        guard let prefix = Prefix(rawValue: name), replacement.unicodeScalars.count == 1 else {
            throw TokenizerError.unsupported(file: file, "this Metaspace pre-tokenizer")
        }
        self.prefix = prefix
        splits = tree["split"]?.bool ?? true
    }

    func forEachPart(of text: String, after start: Tokenizer.Start, _ body: (String) -> Void) {
        let mark = Array(replacement.utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 { if byte == 0x20 { bytes += mark } else { bytes.append(byte) } }
        let begins = prefix == .always ? start != .middle : prefix == .first && start == .text
        if begins, !bytes.starts(with: mark) { bytes = mark + bytes }
        guard splits, let markScalar = replacement.unicodeScalars.first else {
            return body(String(decoding: bytes, as: UTF8.self))
        }
        var word = String.UnicodeScalarView()
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            if scalar == markScalar, !word.isEmpty {
                body(String(word))
                word = String.UnicodeScalarView()
            }
            word.append(scalar)
        }
        if !word.isEmpty { body(String(word)) }
    }
}
