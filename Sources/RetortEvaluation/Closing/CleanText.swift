/// A text without marks that come only from its writer's tools: foreign line ends and signs, calculator marks,
/// emphasis.
enum CleanText {
    static func of(_ text: String) -> String {
        let all = Array(text.unicodeScalars)
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(all.count)
        var previous: Unicode.Scalar?
        for (index, scalar) in all.enumerated() {
            defer { previous = scalar }
            switch scalar {
            case "\n" where previous == "\r": continue
            case "\r", "\u{85}", "\u{2028}", "\u{2029}": scalars.append("\n")
            case "\u{A0}", "\u{2007}", "\u{2009}", "\u{202F}": scalars.append(" ")
            case "\u{200B}"..."\u{200F}", "\u{202A}"..."\u{202D}", "\u{2060}", "\u{2066}"..."\u{2069}", "\u{FEFF}",
                "\u{AD}":
                continue
            case "\u{2010}"..."\u{2012}", "\u{2212}", "\u{FF0D}", "\u{FE63}", "\u{2796}": scalars.append("-")
            case "\u{2013}" where isSign(previous, index + 1 < all.count ? all[index + 1] : nil): scalars.append("-")
            // Forms of full width.
            case "\u{FF01}"..."\u{FF5E}": scalars.append(Unicode.Scalar(scalar.value - 0xFEE0) ?? scalar)
            case "\u{2044}", "\u{2215}": scalars.append("/")
            case "\u{2019}": scalars.append("'")
            // A Python or JSON text turned the command's \b into a backspace.
            case "\u{8}": scalars.append(contentsOf: ["\\", "b"])
            default: scalars.append(scalar)
            }
        }
        var clean = String(String.UnicodeScalarView(scalars))
        if clean.unicodeScalars.contains(where: { superscripts[$0] != nil }) { clean = withPowers(clean) }
        if clean.utf8.contains(UInt8(ascii: "<")) {
            clean = withoutCalculations(clean)
            if clean.contains("</") {
                clean = clean.replacing(/<\/?(?:b|i|u|em|strong|span|code|p)(?:\s[^<>]*)?>/.ignoresCase(), with: "")
            }
        }
        if ["0x", "0X", "0b", "0B"].contains(where: clean.contains) { clean = withoutPrefixes(clean) }
        if clean.contains("[") { clean = withoutCitations(clean) }
        let pairs = zip(clean.utf8, clean.utf8.dropFirst())
        let mayHoldTime = pairs.contains { (48...57).contains($0) && $1 == UInt8(ascii: "h") }
        if mayHoldTime { clean = withSpelledTimes(clean) }
        if clean.utf8.contains(UInt8(ascii: "*")) || clean.utf8.contains(UInt8(ascii: "`")) {
            clean = withoutEmphasis(clean)
        }
        return clean
    }

    /// Whether a dash between these is the sign of a number.
    private static func isSign(_ before: Unicode.Scalar?, _ after: Unicode.Scalar?) -> Bool {
        guard let after, ("0"..."9").contains(after) || "$€£.".unicodeScalars.contains(after) else { return false }
        return before.map { $0.properties.isWhitespace || "({[=$:,".unicodeScalars.contains($0) } ?? true
    }

    private static let superscripts: [Unicode.Scalar: Character] = [
        "⁰": "0", "¹": "1", "²": "2", "³": "3", "⁴": "4", "⁵": "5", "⁶": "6", "⁷": "7", "⁸": "8", "⁹": "9", "⁻": "-",
        "ⁿ": "n",
        "⁺": "+",
    ]

    /// Writes `10⁻³` as `10^(-3)`; the square and the cube of a unit or a variable are kept.
    private static func withPowers(_ text: String) -> String {
        var result = ""
        var power = ""
        func finish() {
            guard !power.isEmpty else { return }
            let digits = String(power.compactMap { $0.unicodeScalars.first.flatMap { superscripts[$0] } })
            let isPlain = power == "²" || power == "³"
            result += result.last?.isLetter == true && isPlain ? power : "^(\(digits))"
            power = ""
        }
        for character in text {
            if let scalar = character.unicodeScalars.first, superscripts[scalar] != nil {
                power.append(character)
            } else {
                finish()
                result.append(character)
            }
        }
        finish()
        return result
    }

    /// Writes `0x1F` as 31 and `0b101` as 5; `0x12=0` is a product.
    private static func withoutPrefixes(_ text: String) -> String {
        text.replacing(/\b0(?:[xX]([0-9A-Fa-f]{1,15})|[bB]([01]{2,60}))\b(?!\s*=)/) { match in
            let value = match.1.flatMap { Int($0, radix: 16) } ?? match.2.flatMap { Int($0, radix: 2) }
            return value.map { "\($0)" } ?? String(match.0)
        }
    }

    /// Writes `1h30m` as `1 hour 30 minutes`.
    private static func withSpelledTimes(_ text: String) -> String {
        text.replacing(/\b([0-9]{1,6})hr?s?([0-9]{1,2})m(?:ins?)?(?:([0-9]{1,2})s(?:ecs?)?)?\b/) { match in
            "\(match.1) hours \(match.2) minutes" + (match.3.map { " \($0) seconds" } ?? "")
        }
    }

    /// Removes the mark of a source behind a value or a sentence: `14 [1]`, `14 million[3].`
    private static func withoutCitations(_ text: String) -> String {
        let source =
            /([0-9]%?\s|[0-9]%?\s(?!(?:is|are|was|were|and|or|in|to|by|the|equals)\b)[A-Za-z]+\s?|[0-9A-Za-z]\.)\[[0-9]{1,2}\](?=[\s.,;]|$)/
        return text.replacing(source) { $0.1 }
    }

    /// GSM8K's `<<2*80=160>>160`: the mark is removed; where the writer did not repeat its result, the result stays.
    private static func withoutCalculations(_ text: String) -> String {
        guard text.contains("<<") else { return text }
        var result = ""
        var rest = text[...]
        while let open = rest.firstRange(of: "<<") {
            let after = rest[open.upperBound...]
            let line = after.prefix { $0 != "\n" }
            guard let close = line.firstRange(of: ">>") else {
                // The text was cut off inside a mark.
                guard line.endIndex == text.endIndex, line.allSatisfy({ $0.isNumber || "+-*/=.()% ".contains($0) })
                else {
                    result += rest[..<open.upperBound]
                    rest = after
                    continue
                }
                return result + rest[..<open.lowerBound]
            }
            result += rest[..<open.lowerBound]
            let mark = line[..<close.lowerBound]
            rest = rest[close.upperBound...]
            let next = rest.drop { "$-.€£".contains($0) }.first
            if next?.isNumber != true, let value = mark.split(separator: "=").last { result += value }
        }
        return result + rest
    }

    /// Removes Markdown's `**18**`, `*18*` and `` `18` ``; `2**10` and `3 * 6` stay.
    private static func withoutEmphasis(_ text: String) -> String {
        let characters = Array(text)
        var isKept = Array(repeating: true, count: characters.count)
        func isOuter(_ index: Int) -> Bool {
            guard characters.indices.contains(index) else { return true }
            let character = characters[index]
            return character.isWhitespace || "\"'.,:;!?()[]_*-–—$\\".contains(character)
        }
        var index = 0
        var open: (index: Int, width: Int)?
        while index < characters.count {
            if characters[index] == "\n" { open = nil }
            if characters[index] == "`" {
                isKept[index] = false
                index += 1
                continue
            }
            guard characters[index] == "*" else {
                index += 1
                continue
            }
            var width = 1
            while index + width < characters.count, characters[index + width] == "*" { width += 1 }
            let after = index + width
            let isBeforeText = after < characters.count && !characters[after].isWhitespace
            let isAfterText = index > 0 && !characters[index - 1].isWhitespace
            if let start = open, start.width == width, isAfterText, isOuter(after) {
                for place in [start.index, index] {
                    for offset in 0..<width { isKept[place + offset] = false }
                }
                open = nil
            } else if width <= 3, isBeforeText, isOuter(index - 1) {
                open = (index, width)
            }
            index = after
        }
        return String(zip(characters, isKept).filter { $0.1 }.map(\.0))
    }
}
