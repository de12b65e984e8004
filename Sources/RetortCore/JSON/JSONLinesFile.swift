import Foundation

/// A JSON Lines file, read a line at a time, with an account of what was read: the one reader of such files.
///
/// A line has at most `longestLine` bytes, which bounds the memory whatever the file's size. A byte-order mark, `\r\n`
/// line ends and empty lines are accepted, and so are files that gzip has compressed, whatever they are called. Files of Retort's own are written with `JSONLines.write`, whole or not at all,
/// and are never torn.
public struct JSONLinesFile: Sendable {
    /// What a last line means that neither ends in a line break nor is valid JSON: a download or a copy that was cut.
    public enum TornEnd: Sendable {
        /// An error that names the line.
        case refuse
        /// The line is left out, and `Account.tornLine` names it.
        case leaveOut
    }

    /// What was found in a file.
    public struct Account: Sendable, Hashable {
        /// Lines that held a record.
        public var records = 0
        /// Lines with nothing on them, which were skipped.
        public var emptyLines = 0
        /// The number of the cut last line that was left out; nil when the file ends as it should.
        public var tornLine: Int?
    }

    /// The longest line that is read, in bytes. A value takes many times the room of its text, and a file without line
    /// breaks must not fill the memory.
    public static let longestLine = 32 << 20

    private let file: URL
    private let tornEnd: TornEnd
    private let longestLine: Int

    /// - Parameter tornEnd: what becomes of a last line that a kill cut off.
    public init(_ file: URL, tornEnd: TornEnd = .refuse) {
        self.init(file, tornEnd: tornEnd, longestLine: Self.longestLine)
    }

    init(_ file: URL, tornEnd: TornEnd = .refuse, longestLine: Int) {
        (self.file, self.tornEnd, self.longestLine) = (file, tornEnd, longestLine)
    }

    /// Calls `body` with each record and its line number, from 1.
    /// - Throws: `JSONLinesError` that names the file, the line and the reason.
    @discardableResult
    public func forEach<Record: Decodable>(
        _ type: Record.Type, _ body: (Record, Int) throws -> Void
    ) throws -> Account {
        try forEach(type, behind: Position()) { record, end in try body(record, end.lines) }
    }

    /// Calls `body` with each record behind a place, and the place behind it.
    /// - Throws: `JSONLinesError` that names the file, the line and the reason.
    @discardableResult
    package func forEach<Record: Decodable>(
        _ type: Record.Type, behind start: Position, _ body: (Record, Position) throws -> Void
    ) throws -> Account {
        var account = Account()
        try forEachLine(behind: start) { line, end, isEnded in
            let number = end.lines
            guard line.contains(where: { !" \t\r".utf8.contains($0) }) else {
                account.emptyLines += 1
                return
            }
            let record: Record
            do {
                record = try ExactJSON.decode(type, from: line)
                if let value = record as? JSONValue, value.array != nil { throw JSONLinesError.list(file.path, number) }
            } catch {
                if Self.beginsList(line), number == 1 { throw JSONLinesError.list(file.path, number) }
                if error is JSONLinesError { throw error }
                let isTorn = !isEnded && !Self.isJSON(line)
                if isTorn, tornEnd == .leaveOut {
                    account.tornLine = number
                    return
                }
                throw JSONLinesError.malformed(
                    file: file.path, line: number,
                    reason: ExactJSON.encodingFault(line)
                        ?? (isTorn ? "the file ends in the middle of this record" : Self.reason(error)))
            }
            try body(record, end)
            account.records += 1
        }
        return account
    }

    /// Calls `body` with each line's value, or with why it has none, and the line's number: for files of which a spoilt
    /// line is left out and named.
    /// - Throws: `JSONLinesError` for a file that is missing or is one JSON list, and what `body` throws.
    package func forEachValue(_ body: (Result<JSONValue, JSONLinesError>, Int) throws -> Void) throws {
        try forEachLine { line, number, isEnded in
            guard line.contains(where: { !" \t\r".utf8.contains($0) }) else { return }
            let value: Result<JSONValue, JSONLinesError>
            do {
                let read = try ExactJSON.value(of: line)
                if read.array != nil, number == 1 { throw JSONLinesError.list(file.path, number) }
                value = .success(read)
            } catch  where Self.beginsList(line) && number == 1 {
                throw JSONLinesError.list(file.path, number)
            } catch {
                let reason = isEnded ? "\(error)" : "the file ends in the middle of this record"
                value = .failure(.malformed(file: file.path, line: number, reason: reason))
            }
            try body(value, number)
        }
    }

    /// All records of a file, and the account of it.
    public func read<Record: Decodable>(_ type: Record.Type) throws -> (records: [Record], account: Account) {
        var records: [Record] = []
        let account = try forEach(type) { record, _ in records.append(record) }
        return (records, account)
    }

    /// A place between two lines of a file's text.
    package struct Position: Sendable, Hashable, Codable {
        /// Bytes of the text before it, of a compressed file when it is unpacked.
        package var bytes = 0
        /// Lines before it.
        package var lines = 0

        package init(bytes: Int = 0, lines: Int = 0) { (self.bytes, self.lines) = (bytes, lines) }
    }

    /// Calls `body` with each line's bytes, its number, and whether a line break ended it.
    /// - Throws: `JSONLinesError.missing`, `JSONLinesError.tooLong`, `JSONLinesError.damaged`, and what `body` throws.
    package func forEachLine(_ body: (Data, Int, Bool) throws -> Void) throws {
        try forEachLine(behind: Position()) { line, end, isEnded in try body(line, end.lines, isEnded) }
    }

    /// Calls `body` with each line behind a place, the place behind the line, and whether a line break ended it.
    /// - Throws: as `forEachLine`.
    package func forEachLine(behind start: Position, _ body: (Data, Position, Bool) throws -> Void) throws {
        let text = try TextFile(file, from: start.bytes)
        var place = start
        var line = Data()
        func append(_ piece: Data) throws {
            guard line.count + piece.count <= longestLine else {
                throw JSONLinesError.tooLong(
                    file: file.path, line: place.lines + 1, limit: longestLine, fileSize: text.fileSize)
            }
            line += piece
        }
        while let chunk = try text.next() {
            var rest = chunk
            while let length = rest.withUnsafeBytes({ $0.firstIndex(of: UInt8(ascii: "\n")) }) {
                try append(rest.prefix(length))
                place.lines += 1
                place.bytes += line.count + 1
                try body(line.withoutMark(place.lines), place, true)
                (line, rest) = (Data(), rest.dropFirst(length + 1))
            }
            try append(rest)
        }
        guard !line.isEmpty else { return }
        place.lines += 1
        place.bytes += line.count
        try body(line.withoutMark(place.lines), place, false)
    }

    private static func beginsList(_ line: Data) -> Bool {
        line.first { !" \t".utf8.contains($0) } == UInt8(ascii: "[")
    }

    private static func isJSON(_ line: Data) -> Bool {
        (try? ExactJSON.value(of: line)) != nil
    }

    package static func reason(_ error: any Error) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? "the record" : "'\(path)'"
        }
        return switch error {
        case DecodingError.keyNotFound(let key, _): "it lacks '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context): "\(place(context)) is of another type"
        case DecodingError.valueNotFound(_, let context): "\(place(context)) is null"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty: context.debugDescription
        case ExactJSONError.alike: "\(error)"
        default: "it is not valid JSON"
        }
    }
}

extension Data {
    /// The first line without a byte-order mark, any other as it is.
    fileprivate func withoutMark(_ line: Int) -> Data {
        line == 1 && starts(with: [0xEF, 0xBB, 0xBF]) ? Data(dropFirst(3)) : self
    }
}

extension JSONLinesError {
    /// A line that begins or holds a list, as a file does that is one JSON value.
    static func list(_ file: String, _ line: Int) -> JSONLinesError {
        .malformed(
            file: file, line: line,
            reason: "it is a list, and a .jsonl file has one record a line; name a file that is one JSON list .json")
    }
}
