import Foundation

/// Files of one JSON value a line, written whole or not at all; `JSONLinesFile` reads them. No value changes its type.
public enum JSONLines {
    /// Writes records, one a line.
    public static func write(_ records: some Sequence<some Encodable>, to file: URL) throws {
        try AtomicFile.write(to: file) { handle in
            for record in records { try handle.write(contentsOf: ExactJSON.encode(record) + Data("\n".utf8)) }
        }
    }
}

/// A JSON Lines file that cannot be read.
public enum JSONLinesError: Error, CustomStringConvertible, Equatable {
    case missing(file: String)
    case malformed(file: String, line: Int, reason: String)
    /// A compressed file that cannot be unpacked.
    case damaged(file: String, reason: String)
    /// A line has more bytes than are read of one.
    case tooLong(file: String, line: Int, limit: Int, fileSize: Int)

    /// What is wrong, without the place.
    public var reason: String {
        switch self {
        case .missing: "it cannot be read"
        case .malformed(_, _, let reason), .damaged(_, let reason): reason
        case .tooLong(_, _, let limit, let size):
            "it is longer than \(Self.size(limit)), the most that one record may have (the file has \(Self.size(size)))"
        }
    }

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path"
        case .malformed(let file, let line, let reason): "\(file), line \(line): \(reason); correct or remove the line"
        case .damaged(let file, let reason): "\(file): \(reason); copy or load it again"
        case .tooLong(let file, let line, _, _):
            "\(file), line \(line): \(reason); put each record on a line of its own, name a file that is one JSON list "
                + ".json, or remove the line"
        }
    }

    private static func size(_ bytes: Int) -> String {
        bytes < 1 << 20 ? "\(bytes) bytes" : "\(bytes >> 20) MiB"
    }
}
