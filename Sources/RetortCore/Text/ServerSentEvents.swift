import Foundation

/// One event of a stream of server-sent events.
public struct ServerSentEvent: Sendable, Hashable {
    /// The `data` lines, joined by line feeds.
    public var data: Data
    /// The `event` field; nil stands for `message`.
    public var name: String?

    /// - Parameter name: of its kind; nil for an ordinary message.
    public init(data: Data, name: String? = nil) {
        self.data = data
        self.name = name
    }
}

/// Server-sent events, read from bytes as they come (WHATWG HTML, section 9.2.6).
///
/// Lines end with CR, LF or both; the `data` lines of an event are joined by line feeds; comments and unknown fields are
/// skipped. An event that the stream breaks off in is not one.
public struct ServerSentEvents: Sendable {
    /// What a stream is resumed after: the `id` of the last event that has one.
    public private(set) var lastID: String?
    /// How long to wait before the stream is resumed, in milliseconds, where the other side says so.
    public private(set) var retry: Int?
    /// The longest event that is taken in, in bytes.
    private let limit: Int
    private var line: [UInt8] = []
    private var data: [UInt8]?
    private var name: String?
    private var id: String?
    private var endedWithReturn = false
    private var isAtStart = true

    /// - Parameter limit: the longest event that is taken in, in bytes.
    public init(limit: Int = 16 << 20) { self.limit = limit }

    /// Takes in bytes and gives the events they complete.
    /// - Throws: `ServerSentEventsError` when an event is longer than the limit.
    public mutating func add(_ bytes: some Sequence<UInt8>) throws(ServerSentEventsError) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            defer { endedWithReturn = byte == UInt8(ascii: "\r") }
            switch byte {
            case UInt8(ascii: "\n") where endedWithReturn: continue
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if let event = endLine() { events.append(event) }
            default:
                line.append(byte)
                guard line.count + (data?.count ?? 0) <= limit else { throw .tooLong(limit: limit) }
            }
        }
        return events
    }

    private mutating func endLine() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        if isAtStart {
            isAtStart = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else { return endEvent() }
        let field = line.prefix { $0 != UInt8(ascii: ":") }
        var value = line.dropFirst(field.count + 1)
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: field, as: UTF8.self) {
        case "data": data = data.map { $0 + [UInt8(ascii: "\n")] + value } ?? Array(value)
        case "event": name = String(decoding: value, as: UTF8.self)
        case "id" where !value.contains(0): id = String(decoding: value, as: UTF8.self)
        case "retry": retry = Int(String(decoding: value, as: UTF8.self)) ?? retry
        default: break
        }
        return nil
    }

    private mutating func endEvent() -> ServerSentEvent? {
        defer { (data, name) = (nil, nil) }
        // An event of no data counts for its identity.
        if let id { lastID = id.isEmpty ? nil : id }
        return data.map { ServerSentEvent(data: Data($0), name: name.flatMap { $0.isEmpty ? nil : $0 }) }
    }
}

/// A stream that is none of server-sent events.
public enum ServerSentEventsError: Error, CustomStringConvertible, Equatable {
    case tooLong(limit: Int)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .tooLong(let limit): "an event is longer than \(limit) bytes"
        }
    }
}
