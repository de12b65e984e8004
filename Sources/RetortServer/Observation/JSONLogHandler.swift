import Foundation
import Logging
import RetortCore

/// Writes log lines to standard error as JSON objects, one per line.
public struct JSONLogHandler: LogHandler {
    /// The lowest level that is logged; `info` by default.
    public var logLevel = Logger.Level.info
    /// Members that every line gets; those of a single message take precedence.
    public var metadata: Logger.Metadata = [:]
    private let label: String

    /// A handler for a logger.
    public init(label: String) { self.label = label }

    /// Reads or sets one of the members that every line gets.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line with `time` (ISO 8601, with fractional seconds), `level`, `logger`, `message` and the metadata
    /// as members.
    public func log(event: LogEvent) {
        var line: [String: JSONValue] = [
            "time": .string(Date().ISO8601Format(Date.ISO8601FormatStyle(includingFractionalSeconds: true))),
            "level": .string(event.level.rawValue), "logger": .string(label), "message": .string("\(event.message)"),
        ]
        for (name, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            line[name] = .string("\(value)")
        }
        FileHandle.standardError.write(Data((ExactJSON.text(.object(line)) + "\n").utf8))
    }
}
