import Foundation

/// The data of server-sent events, read from bytes as they come (WHATWG HTML, section 9.2.6).
///
/// Lines end with CR, LF or both; the `data` lines of an event are joined by line feeds; comments and other fields are
/// skipped. An event that the stream breaks off in is not one.
struct ServerSentEvents: Sendable {
    /// The longest event that is taken in, in bytes.
    static let limit = 16 << 20
    private var line: [UInt8] = []
    private var data: [UInt8]?
    private var endedWithReturn = false
    private var isAtStart = true

    /// Takes in bytes and gives the events they complete.
    /// - Throws: `RemoteError.malformed` when an event is longer than `limit`.
    mutating func add(_ bytes: some Sequence<UInt8>, endpoint: String = "") throws -> [Data] {
        var events: [Data] = []
        for byte in bytes {
            defer { endedWithReturn = byte == UInt8(ascii: "\r") }
            switch byte {
            case UInt8(ascii: "\n") where endedWithReturn: continue
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if let event = endLine() { events.append(event) }
            default:
                line.append(byte)
                guard line.count + (data?.count ?? 0) <= Self.limit else {
                    throw RemoteError.malformed(
                        endpoint: endpoint, reason: "an event is longer than \(Self.limit) bytes")
                }
            }
        }
        return events
    }

    private mutating func endLine() -> Data? {
        defer { line.removeAll(keepingCapacity: true) }
        if isAtStart {
            isAtStart = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else {
            defer { data = nil }
            return data.map { Data($0) }
        }
        let name = line.prefix { $0 != UInt8(ascii: ":") }
        guard name.elementsEqual("data".utf8) else { return nil }
        var value = line.dropFirst(name.count + 1)
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        data = data.map { $0 + [UInt8(ascii: "\n")] + value } ?? Array(value)
        return nil
    }
}
