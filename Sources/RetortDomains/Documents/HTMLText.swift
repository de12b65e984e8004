import Foundation

/// The readable text of an HTML page, by its headings. No HTML parser for Swift is available here, and a search needs
/// only a little: text outside scripts, styles and navigation, line breaks at the ends of blocks, entities as
/// characters.
struct HTMLText {
    private(set) var sections: [DocumentSection] = []
    private var path: [(level: Int, words: String)] = []
    private var text = ""
    private var headingLevel: Int?

    private static let hidden: Set<String> = ["script", "style", "template", "noscript", "nav", "svg", "head"]
    private static let blocks: Set<String> = [
        "p", "div", "section", "article", "li", "ul", "ol", "tr", "table", "br", "pre", "blockquote", "dd", "dt", "hr",
        "main", "header", "footer", "figcaption", "td", "th",
    ]

    init(_ html: String) {
        var rest = html[...]
        while let start = rest.firstIndex(of: "<") {
            append(rest[..<start])
            rest = rest[start...]
            if rest.hasPrefix("<!--") {
                rest = rest.range(of: "-->").map { rest[$0.upperBound...] } ?? ""
                continue
            }
            guard let end = rest.firstIndex(of: ">") else { break }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            let isClosing = tag.hasPrefix("/")
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }.lowercased()
            if Self.hidden.contains(name), !isClosing, !tag.hasSuffix("/") {
                let close = rest.range(of: "</\(name)", options: .caseInsensitive)
                rest = close.map { rest[$0.lowerBound...] } ?? ""
            } else if name.count == 2, name.first == "h", let level = name.last?.wholeNumberValue,
                (1...6).contains(level)
            {
                isClosing ? endHeading() : beginHeading(level)
            } else if Self.blocks.contains(name) {
                text += ["p", "div", "section", "article", "table", "ul", "ol"].contains(name) ? "\n\n" : "\n"
            }
        }
        append(rest.firstIndex(of: "<") == nil ? rest : "")
        finish()
    }

    private mutating func append(_ raw: Substring) {
        text += Self.decoded(String(raw)).replacing(/[ \t\n]+/, with: " ")
    }

    private mutating func beginHeading(_ level: Int) {
        finish()
        headingLevel = level
    }

    private mutating func endHeading() {
        guard let level = headingLevel else { return }
        headingLevel = nil
        let words = text.trimmingCharacters(in: .whitespacesAndNewlines)
        text = ""
        path.removeAll { $0.level >= level }
        if !words.isEmpty { path.append((level, words)) }
    }

    private mutating func finish() {
        defer { text = "" }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
        let words = lines.joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
        guard !words.isEmpty else { return }
        sections.append(
            DocumentSection(heading: path.isEmpty ? nil : path.map(\.words).joined(separator: " › "), text: words))
    }

    private static let names = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "mdash": "—", "ndash": "–",
        "hellip": "…", "copy": "©", "euro": "€", "rsquo": "’", "lsquo": "‘", "ldquo": "“", "rdquo": "”", "deg": "°",
    ]

    /// Entities as characters; an unknown one stays as it is.
    private static func decoded(_ text: String) -> String {
        text.replacing(/&(#x[0-9A-Fa-f]{1,6}|#[0-9]{1,7}|[A-Za-z]{2,8});/) { match in
            let name = match.output.1
            guard name.hasPrefix("#") else { return names[String(name)] ?? String(match.output.0) }
            let digits = name.dropFirst()
            let code = digits.first == "x" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return code.flatMap(Unicode.Scalar.init).map { String(Character($0)) } ?? String(match.output.0)
        }
    }
}
