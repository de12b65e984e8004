import Foundation

/// Files of one JSON value a line, read with bounded memory and written whole or not at all. No value changes its type.
public enum JSONLines {
    /// Calls `body` with each record and its line number, from 1. Empty lines are skipped.
    /// - Throws: `JSONLinesError` that names the file and the line.
    public static func forEach<Record: Decodable>(
        _ type: Record.Type, in file: URL, _ body: (Record, Int) throws -> Void
    ) throws {
        guard let handle = FileHandle(forReadingAtPath: file.path) else {
            throw JSONLinesError.missing(file: file.path)
        }
        defer { try? handle.close() }
        var number = 0
        var rest = Data()
        func read(_ line: Data) throws {
            number += 1
            let line = number == 1 && line.starts(with: [0xEF, 0xBB, 0xBF]) ? line.dropFirst(3) : line
            guard line.contains(where: { !" \t\r".utf8.contains($0) }) else { return }
            let record: Record
            do {
                record = try ExactJSON.decode(type, from: line)
            } catch {
                throw JSONLinesError.malformed(file: file.path, line: number, reason: reason(error))
            }
            try body(record, number)
        }
        while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty {
            rest += chunk
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                try read(Data(rest[..<end]))
                rest = rest[rest.index(after: end)...]
            }
            rest = Data(rest)
        }
        if !rest.isEmpty { try read(rest) }
    }

    /// All records of a file.
    public static func read<Record: Decodable>(_ type: Record.Type, from file: URL) throws -> [Record] {
        var records: [Record] = []
        try forEach(type, in: file) { record, _ in records.append(record) }
        return records
    }

    /// Writes records, one a line.
    public static func write(_ records: some Sequence<some Encodable>, to file: URL) throws {
        try AtomicFile.write(to: file) { handle in
            for record in records { try handle.write(contentsOf: ExactJSON.encode(record) + Data("\n".utf8)) }
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "it lacks '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context) where context.codingPath.isEmpty:
            "the record is of another type"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is of another type"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty: context.debugDescription
        case ExactJSONError.alike: "\(error)"
        default: "it is not valid JSON"
        }
    }
}

/// A JSON Lines file that cannot be read.
public enum JSONLinesError: Error, CustomStringConvertible, Equatable {
    case missing(file: String)
    case malformed(file: String, line: Int, reason: String)

    /// What is wrong, without the place.
    public var reason: String {
        switch self {
        case .missing: "it cannot be read"
        case .malformed(_, _, let reason): reason
        }
    }

    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path"
        case .malformed(let file, let line, let reason): "\(file), line \(line): \(reason); correct or remove the line"
        }
    }
}
