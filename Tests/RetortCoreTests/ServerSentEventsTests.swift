import Foundation
import RetortCore
import Testing

@Suite("Server-sent events")
struct ServerSentEventsTests {
    @Test("events come whole, however the bytes are cut", arguments: [1, 2, 3, 7, 1000])
    func anyCut(size: Int) throws {
        let bytes = Array(
            "\u{FEFF}: hello\r\ndata: {\"a\":\r\ndata: \"é\"}\r\n\r\nevent: x\ndata:two\n\ndata: [DONE]\n\ndata: cut"
                .utf8)
        var reader = ServerSentEvents()
        var events: [ServerSentEvent] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            events += try reader.add(bytes[start..<min(start + size, bytes.count)])
        }
        #expect(events.map { String(decoding: $0.data, as: UTF8.self) } == ["{\"a\":\n\"é\"}", "two", "[DONE]"])
        #expect(events.map(\.name) == [nil, "x", nil])
    }

    @Test("what a stream is resumed by: the last whole event's identity, even of one without data, and the pause")
    func resumption() throws {
        var reader = ServerSentEvents()
        #expect(try reader.add("id: 7\nretry: 250\n\n".utf8).isEmpty)
        #expect(reader.lastID == "7" && reader.retry == 250)
        #expect(try reader.add("id: 8\ndata:\n\n".utf8).map(\.data) == [Data()])
        #expect(try reader.add("data: x\n\nretry: soon\nid: 9\ndata: cut".utf8).count == 1)
        #expect(reader.lastID == "8" && reader.retry == 250)
    }

    @Test("an event beyond the limit is refused, whether of one line or of many")
    func flood() throws {
        var one = ServerSentEvents(limit: 100)
        #expect(throws: ServerSentEventsError.tooLong(limit: 100)) { try one.add([UInt8](repeating: 120, count: 101)) }
        var many = ServerSentEvents(limit: 100)
        #expect(throws: ServerSentEventsError.tooLong(limit: 100)) {
            try many.add(String(repeating: "data: 12345\n", count: 20).utf8)
        }
    }
}
