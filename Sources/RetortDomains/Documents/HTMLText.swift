import Foundation

/// The readable text of an HTML page, by its headings. No HTML parser for Swift is available here, and a search needs
/// only a little: text outside scripts, styles and navigation, line breaks at the ends of blocks, entities as
/// characters.
struct HTMLText {
    private(set) var sections: [DocumentSection] = []
    private var path: [(level: Int, words: String)] = []
    private var text = ""
    private var headingLevel: Int?

    private static let hidden: Set<String> = ["script", "style", "template", "noscript", "nav", "svg", "head", "title"]
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
            guard Self.beginsTag(rest), let end = rest.firstIndex(of: ">") else {
                append("<")
                rest = rest.dropFirst()
                continue
            }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            let isClosing = tag.hasPrefix("/")
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }.lowercased()
            if Self.hidden.contains(name), !isClosing, !tag.hasSuffix("/") {
                rest = Self.afterHidden(name, rest)
            } else if name.count == 2, name.first == "h", let level = name.last?.wholeNumberValue,
                (1...6).contains(level)
            {
                isClosing ? endHeading() : beginHeading(level)
            } else if Self.blocks.contains(name) {
                text += ["p", "div", "section", "article", "table", "ul", "ol"].contains(name) ? "\n\n" : "\n"
            }
        }
        append(rest)
        finish()
    }

    /// Whether a `<` begins a tag, a comment or a declaration. In a text such as `a < 3` it is a character.
    private static func beginsTag(_ text: Substring) -> Bool {
        let next = text.dropFirst().first
        if next == "/" { return text.dropFirst(2).first?.isLetter == true }
        return next.map { $0.isLetter || $0 == "!" || $0 == "?" } ?? false
    }

    /// What follows the content of a hidden element. Without a closing tag only programs and styles end with the page;
    /// a head ends where the body begins, and another element hides nothing.
    private static func afterHidden(_ name: String, _ rest: Substring) -> Substring {
        if let close = tag("</\(name)", in: rest) { return rest[close...] }
        switch name {
        case "script", "style": return ""
        case "head": return tag("<body", in: rest).map { rest[$0...] } ?? rest
        default: return rest
        }
    }

    /// Where a tag begins that has the whole name, and not one that only begins with it.
    private static func tag(_ opening: String, in text: Substring) -> Substring.Index? {
        var rest = text
        while let found = rest.range(of: opening, options: .caseInsensitive) {
            let next = rest[found.upperBound...].first
            if next.map({ !($0.isLetter || $0.isNumber || $0 == "-") }) ?? true { return found.lowerBound }
            rest = rest[found.upperBound...]
        }
        return nil
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

    /// Entities as characters; an unknown one stays as it is.
    private static func decoded(_ text: String) -> String {
        text.replacing(/&(#[xX][0-9A-Fa-f]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]{1,9});/) { match in
            HTMLEntities.text(String(match.output.1)) ?? String(match.output.0)
        }
    }
}
