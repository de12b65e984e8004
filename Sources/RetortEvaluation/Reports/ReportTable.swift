/// A table of a report, the same in Markdown and on the page: the first columns name the row, the others are numbers.
public struct ReportTable: Sendable, Hashable {
    /// What the table shows.
    public var title: String
    /// The column heads.
    public var columns: [String]
    /// How many columns, from the first, are names.
    public var names: Int
    /// The rows' texts, one for each column.
    public var rows: [[String]]
    /// What a reader should know; empty for nothing.
    public var note: String

    /// - Parameter names: how many columns, from the first, are names.
    public init(_ title: String, columns: [String], names: Int = 1, rows: [[String]], note: String = "") {
        self.title = title
        self.columns = columns
        self.names = names
        self.rows = rows
        self.note = note
    }

    /// As Markdown, its note below; empty without rows.
    public var markdown: String {
        guard !rows.isEmpty else { return "" }
        let rule = columns.indices.map { $0 < names ? "---" : "---:" }
        let lines = [columns, rule] + rows
        return lines.map { "| \($0.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ")) |" }
            .joined(separator: "\n") + "\n" + (note.isEmpty ? "" : "\n\(note)\n")
    }

    /// As a section of the page; empty without rows.
    var html: String {
        guard !rows.isEmpty else { return "" }
        let table = HTMLTable.render(columns.map(\.escaped), rows.map { $0.map(\.escaped) }, label: title)
        return "<section><h2>\(title.escaped)</h2>\(table)"
            + (note.isEmpty ? "" : "<p class=\"note\">\(note.escaped)</p>") + "</section>"
    }
}
