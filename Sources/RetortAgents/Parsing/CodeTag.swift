/// The tags `<code>` and `</code>`, in any case, and with attributes.
enum CodeTag {
    static var opening: Regex<Substring> { /<code(?:\s[^<>]*)?>/.ignoresCase() }
    static var closing: Regex<Substring> { /<\/code\s*>/.ignoresCase() }

    /// Whether a line holds nothing but an opening tag.
    static func isOpening(_ line: String) -> Bool {
        line.contains("<") && line.trimmed.wholeMatch(of: opening) != nil
    }

    /// The language that a tag's attributes name; empty when they name none.
    static func language(of tag: Substring) -> String {
        let attribute = /(?:lang(?:uage)?\s*=\s*["']?(?:language-)?|["'\s](?:language|lang)-)([\w+\#\-]+)/.ignoresCase()
        return tag.firstMatch(of: attribute).map { $0.output.1.lowercased() } ?? ""
    }
}
