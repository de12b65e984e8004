import Foundation

/// A regular expression as `tokenizers` reads it, with Oniguruma in Ruby's syntax, made one that ICU reads alike.
///
/// `^` and `$` match at every line, only `\n` ends a line, `(?m:` lets `.` match it, `{1,3}+` repeats a repetition
/// instead of being possessive, `{2}?` makes one optional, `\h` is a hexadecimal digit, and `\w` holds six fractions and
/// superscripts and no joiners.
struct OnigurumaPattern {
    /// The pattern in ICU's syntax.
    private(set) var translated = ""
    private let scalars: [Unicode.Scalar]
    private var position = 0
    /// The pieces that are written so far.
    private var pieces: [String] = []
    /// The piece where the last atom begins, which a quantifier repeats.
    private var atom: Int?
    private var groups: [Int] = []

    private static let word = #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u00B2\u00B3\u00B9\u00BC-\u00BE"#
    private static let hexadecimal = "0-9A-Fa-f"

    init(_ pattern: String) {
        scalars = Array(pattern.unicodeScalars)
        while position < scalars.count { readPiece() }
        translated = pieces.joined()
    }

    /// - Throws: `TokenizerError.badPattern` for a pattern that ICU cannot read.
    static func expression(_ pattern: String, file: String) throws -> NSRegularExpression {
        let options: NSRegularExpression.Options = [.anchorsMatchLines, .useUnixLineSeparators]
        guard let expression = try? NSRegularExpression(pattern: Self(pattern).translated, options: options) else {
            throw TokenizerError.badPattern(file: file, pattern: pattern)
        }
        return expression
    }

    private func text(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(scalars[range])) }

    private mutating func add(atom text: String) {
        atom = pieces.count
        pieces.append(text)
    }

    private mutating func readPiece() {
        let scalar = scalars[position]
        switch scalar {
        case "\\": add(atom: escape(inClass: false))
        case "[": add(atom: characterClass())
        case "(": openGroup()
        case ")":
            position += 1
            pieces.append(")")
            atom = groups.popLast()
        case "{": interval()
        case "|":
            position += 1
            pieces.append("|")
            atom = nil
        case "*", "+", "?":
            position += 1
            pieces.append(String(scalar))
        default:
            position += 1
            add(atom: String(scalar))
        }
    }

    /// A backslash and what belongs to it.
    private mutating func escape(inClass: Bool) -> String {
        let start = position
        guard position + 1 < scalars.count else {
            position += 1
            return "\\"
        }
        let mark = scalars[position + 1]
        position += 2
        let word = Self.word
        switch mark {
        case "h": return inClass ? Self.hexadecimal : "[\(Self.hexadecimal)]"
        case "H": return "[^\(Self.hexadecimal)]"
        case "w": return inClass ? word : "[\(word)]"
        case "W": return "[^\(word)]"
        case "b": return inClass ? #"\x08"# : "(?:(?<=[\(word)])(?![\(word)])|(?<![\(word)])(?=[\(word)]))"
        case "B" where !inClass: return "(?:(?<=[\(word)])(?=[\(word)])|(?<![\(word)])(?![\(word)]))"
        case "N" where !inClass && !isAt("{"): return #"[^\n]"#
        case "O" where !inClass: return "(?s:.)"
        case "p", "P", "x", "u", "k":
            let closing: Unicode.Scalar? = isAt("{") ? "}" : mark == "k" && isAt("<") ? ">" : nil
            if let closing, let end = scalars[position...].firstIndex(of: closing) { position = end + 1 }
            return property(text(start..<position))
        default: return text(start..<position)
        }
    }

    /// `\p{^L}` is `\P{L}`.
    private func property(_ text: String) -> String {
        if text.hasPrefix(#"\p{^"#) { return #"\P{"# + text.dropFirst(4) }
        if text.hasPrefix(#"\P{^"#) { return #"\p{"# + text.dropFirst(4) }
        return text
    }

    private func isAt(_ scalar: Unicode.Scalar) -> Bool { position < scalars.count && scalars[position] == scalar }

    /// `[…]`, which may contain others.
    private mutating func characterClass() -> String {
        var written = "["
        position += 1
        if isAt("^") {
            written += "^"
            position += 1
        }
        var isFirst = true
        while position < scalars.count {
            let scalar = scalars[position]
            if scalar == "\\" {
                written += escape(inClass: true)
            } else if scalar == "[" {
                written += namedClass() ?? characterClass()
            } else {
                position += 1
                // A bracket at the beginning is itself.
                written += scalar == "]" && isFirst ? #"\]"# : String(scalar)
                if scalar == "]", !isFirst { return written }
            }
            isFirst = false
        }
        return written
    }

    /// `[:alpha:]` within a class.
    private mutating func namedClass() -> String? {
        guard position + 1 < scalars.count, scalars[position + 1] == ":",
            let end = scalars[(position + 2)...].firstIndex(of: "]"), scalars[end - 1] == ":"
        else { return nil }
        defer { position = end + 1 }
        return text(position..<end + 1)
    }

    private mutating func openGroup() {
        let start = position
        position += 1
        if isAt("?") {
            position += 1
            let flags = scalars[position...].prefix { "imx-".unicodeScalars.contains($0) }
            if !flags.isEmpty {
                // Ruby's `m` is what others call `s`.
                position += flags.count
                let end = position < scalars.count ? String(scalars[position]) : ""
                position = min(position + 1, scalars.count)
                pieces.append("(?" + flags.map { $0 == "m" ? "s" : String($0) }.joined() + end)
                if end != ")" { groups.append(pieces.count - 1) }
                atom = nil
                return
            }
            if isAt("<"), position + 1 < scalars.count, !"=!".unicodeScalars.contains(scalars[position + 1]) {
                position = (scalars[position...].firstIndex(of: ">") ?? scalars.count - 1) + 1
            } else {
                position = min(position + (isAt("<") ? 2 : 1), scalars.count)
            }
        }
        groups.append(pieces.count)
        pieces.append(text(start..<position))
        atom = nil
    }

    /// `{2}`, `{1,3}`, `{1,}` or `{,3}`; anything else is a brace.
    private mutating func interval() {
        let body = scalars[(position + 1)...].prefix { $0 != "}" }
        let parts = body.split(separator: ",", omittingEmptySubsequences: false)
        let isInterval =
            parts.count <= 2 && parts.contains { !$0.isEmpty } && body.endIndex < scalars.count
            && parts.allSatisfy { $0.allSatisfy { ("0"..."9").contains($0) } }
        guard isInterval, let atom else {
            position += 1
            return add(atom: #"\{"#)
        }
        let (least, most) = (String(String.UnicodeScalarView(parts[0])), parts.count > 1 ? parts[1] : nil)
        let end = most.map { "," + String(String.UnicodeScalarView($0)) } ?? ""
        position = body.endIndex + 1
        pieces.append("{\(least.isEmpty ? "0" : least)\(end)}")
        // In Ruby, a sign behind an interval repeats it; only `{1,3}?` takes as few as it can.
        guard isAt("+") || (isAt("?") && most == nil) else { return }
        pieces.insert("(?:", at: atom)
        pieces.append(")")
    }
}
