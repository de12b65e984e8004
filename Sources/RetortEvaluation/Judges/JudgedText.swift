/// Foreign text between marks, for a judge to read. Nothing in the text can close its mark or open another one:
/// anything that begins like a mark is written with `&lt;`, in any case and with any blanks, and invisible characters
/// are removed.
enum JudgedText {
    /// - Parameter name: the mark's name, in lower case.
    static func marked(_ name: String, _ text: String) -> String {
        "<\(name)>\n\(escaped(name, text))\n</\(name)>"
    }

    private static func escaped(_ name: String, _ text: String) -> String {
        let visible = text.unicodeScalars.filter { $0.properties.generalCategory != .format }
        let plain = String(String.UnicodeScalarView(visible))
        guard plain.contains("<") else { return plain }
        var result = ""
        var rest = plain[...]
        while let open = rest.firstIndex(of: "<") {
            let after = rest[rest.index(after: open)...]
            let word = after.drop { $0.isWhitespace || $0 == "/" || $0 == "\\" }.prefix(name.count)
            result += rest[..<open]
            result += word.lowercased() == name ? "&lt;" : "<"
            rest = after
        }
        return result + rest
    }
}
