import Foundation
import RetortCore

/// The changes that are made to a text before it is split into words: the `normalizer` of `tokenizer.json`.
indirect enum TextNormalizer: Sendable {
    case sequence([TextNormalizer])
    case unicode(UnicodeForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case prepend(String)
    case replace(Pattern, with: String)
    case bert(BertNormalizer)
    case characters(CharacterMap)

    enum UnicodeForm: String { case NFC, NFD, NFKC, NFKD }

    enum Pattern: Sendable {
        case text([UInt8])
        /// An expression with its text in the file.
        case expression(NSRegularExpression, String)
    }

    /// - Throws: `TokenizerError.unsupported` that names the unknown part.
    init(_ tree: JSONTree, file: String) throws {
        let type = tree["type"]?.string ?? "?"
        switch type {
        case "Sequence":
            self = .sequence(try (tree["normalizers"]?.array ?? []).map { try Self($0, file: file) })
        case "Lowercase": self = .lowercase
        case "StripAccents": self = .stripAccents
        case "Strip":
            self = .strip(left: tree["strip_left"]?.bool ?? true, right: tree["strip_right"]?.bool ?? true)
        case "Prepend": self = .prepend(tree["prepend"]?.string ?? "")
        case "Replace":
            self = .replace(try Pattern(tree["pattern"], file: file), with: tree["content"]?.string ?? "")
        case "BertNormalizer": self = .bert(BertNormalizer(tree))
        case "Precompiled":
            // An empty table replaces nothing.
            let table = tree["precompiled_charsmap"]?.string ?? ""
            self = table.isEmpty ? .sequence([]) : .characters(try CharacterMap(base64: table, file: file))
        default:
            guard let form = UnicodeForm(rawValue: type) else {
                throw TokenizerError.unsupported(file: file, "the normalizer \(type)")
            }
            self = .unicode(form)
        }
    }

    /// - Parameter continuing: whether the text continues other text, so that nothing is put before it.
    func callAsFunction(_ text: String, continuing: Bool) -> String {
        switch self {
        case .sequence(let all): all.reduce(text) { $1($0, continuing: continuing) }
        case .unicode(.NFC): text.precomposedStringWithCanonicalMapping
        case .unicode(.NFD): text.decomposedStringWithCanonicalMapping
        case .unicode(.NFKC): text.precomposedStringWithCompatibilityMapping
        case .unicode(.NFKD): text.decomposedStringWithCompatibilityMapping
        case .lowercase: text.lowercased()
        case .stripAccents: text.keepingScalars { !$0.isMark }
        case .strip(let left, let right): text.strippingBlanks(left: left, right: right)
        case .prepend(let prefix): continuing || text.isEmpty ? text : prefix + text
        case .replace(let pattern, let content): pattern.replace(in: text, with: content)
        case .bert(let bert): bert(text)
        case .characters(let map): map(text)
        }
    }
}

extension TextNormalizer.Pattern {
    /// `{"String": …}` or `{"Regex": …}`.
    init(_ tree: JSONTree?, file: String) throws {
        if let text = tree?["String"]?.bytes {
            self = .text(text)
        } else if let pattern = tree?["Regex"]?.string {
            self = .expression(try OnigurumaPattern.expression(pattern, file: file), pattern)
        } else {
            throw TokenizerError.unsupported(file: file, "a pattern that is neither String nor Regex")
        }
    }

    func replace(in text: String, with content: String) -> String {
        switch self {
        case .text(let part):
            // Compares bytes, because String's own search compares characters including their accents.
            return String(decoding: Array(text.utf8).replacing(part, with: Array(content.utf8)), as: UTF8.self)
        case .expression(let expression, _):
            return expression.stringByReplacingMatches(
                in: text, range: NSRange(location: 0, length: (text as NSString).length),
                withTemplate: NSRegularExpression.escapedTemplate(for: content))
        }
    }
}

/// BERT's cleaning: removes control characters, turns blanks into spaces, separates Chinese characters, and removes
/// accents and case.
struct BertNormalizer: Sendable {
    private let cleansText: Bool
    private let splitsChinese: Bool
    private let stripsAccents: Bool
    private let lowercases: Bool

    init(_ tree: JSONTree) {
        cleansText = tree["clean_text"]?.bool ?? true
        splitsChinese = tree["handle_chinese_chars"]?.bool ?? true
        lowercases = tree["lowercase"]?.bool ?? true
        stripsAccents = tree["strip_accents"]?.bool ?? lowercases
    }

    func callAsFunction(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if cleansText, Self.isControl(scalar) { continue }
            if cleansText, scalar.properties.isWhitespace {
                scalars.append(" ")
            } else if splitsChinese, Self.isChinese(scalar) {
                scalars.append(contentsOf: [" ", scalar, " "])
            } else {
                scalars.append(scalar)
            }
        }
        var result = String(scalars)
        if stripsAccents {
            result = result.decomposedStringWithCanonicalMapping.keepingScalars {
                $0.properties.generalCategory != .nonspacingMark
            }
        }
        return lowercases ? result.lowercased() : result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\t", "\n", "\r": return false
        case "\0", "\u{FFFD}": return true
        default:
            switch scalar.properties.generalCategory {
            case .control, .format, .unassigned, .privateUse, .surrogate: return true
            default: return false
            }
        }
    }

    private static func isChinese(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}

extension Unicode.Scalar {
    /// Whether it is a mark of any kind, `\p{M}`.
    fileprivate var isMark: Bool {
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }
}

extension String {
    func keepingScalars(_ keeps: (Unicode.Scalar) -> Bool) -> String {
        String(String.UnicodeScalarView(unicodeScalars.filter(keeps)))
    }

    fileprivate func strippingBlanks(left: Bool, right: Bool) -> String {
        var scalars = unicodeScalars[...]
        if left { scalars = scalars.drop { $0.properties.isWhitespace } }
        while right, let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        return String(scalars)
    }
}
